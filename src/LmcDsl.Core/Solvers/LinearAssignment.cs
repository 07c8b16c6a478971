using System.Numerics;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Solvers;

/// <summary>A solved assignment problem, with the proof that it is optimal.</summary>
/// <param name="Columns">The column given to each row, <c>[n]</c>.</param>
/// <param name="RowPotentials">Dual u, <c>[n]</c>.</param>
/// <param name="ColumnPotentials">
/// Dual v, <c>[n]</c>: <c>u[i] + v[j] &lt;= cost[i, j]</c> for all i, j, with equality where row i has column j. By weak
/// duality any assignment costs at least sum u + sum v, and this one costs just that.
/// </param>
/// <param name="Cost">The assignment's cost, summed in double.</param>
public sealed record Assignment(int[] Columns, double[] RowPotentials, double[] ColumnPotentials, double Cost);

/// <summary>
/// The linear assignment problem, solved exactly: give each row a column of its own at the least total cost. Column and row
/// reduction (Jonker and Volgenant, Computing 38, 1987), then shortest augmenting paths from all free rows at once; O(n^3)
/// at worst. From nothing, first with potentials in float, 16 columns at a time; then, from what that or a similar problem
/// gave, in double, so that the answer is exact.
/// </summary>
public static class LinearAssignment
{
    // Sums of a few costs must not overflow in float.
    private const float SafeInFloat = 1e30f;

    /// <summary>Finds an assignment of the least total cost.</summary>
    /// <param name="cost">The cost matrix, <c>[n, n]</c> by rows, all finite.</param>
    /// <param name="n">Number of rows and columns, 1 or more.</param>
    /// <param name="start">
    /// The answer to a similar problem: its potentials and columns are where the search begins. Any start is sound; a good
    /// one saves most of the work.
    /// </param>
    /// <returns>The assignment with its potentials.</returns>
    /// <exception cref="LmcException">
    /// n is below 1, the matrix has another size or a number that is not finite, or the start is none of a problem of this size.
    /// </exception>
    public static Assignment Minimize(ReadOnlySpan<float> cost, int n, Assignment? start = null)
    {
        Guard.Require(n >= 1, $"assignment: expected 1 or more rows, found {n}");
        Guard.Require(cost.Length == (long)n * n, $"assignment: expected {n} x {n} costs, found {cost.Length}");
        if (start is not null) RequireStart(start, n);
        var size = CostScan.Size(cost);
        Guard.Require(float.IsFinite(size), $"assignment: expected finite costs, found NaN or infinity");

        var matrix = new CostMatrix(cost, n);
        try
        {
            var (columns, potentials) = (start?.Columns, start?.ColumnPotentials);
            if (size > SafeInFloat || start is not null) return Finish(matrix, Solve<double, double>(ref matrix, columns, potentials));
            var rough = Solve<float, double>(ref matrix, columns, potentials);
            return Finish(matrix, Solve<double, float>(ref matrix, rough.ColumnOf, rough.Potential));
        }
        finally
        {
            matrix.Dispose();
        }
    }

    private static void RequireStart(Assignment start, int n)
    {
        Guard.Require(
            start.Columns.Length == n && start.ColumnPotentials.Length == n,
            $"assignment: expected a start of size {n}, found {start.Columns.Length} columns and {start.ColumnPotentials.Length} potentials");
        foreach (var column in start.Columns)
            Guard.Require(column >= 0 && column < n, $"assignment: expected a start with columns of 0 to {n - 1}, found {column}");
        foreach (var potential in start.ColumnPotentials)
            Guard.Require(double.IsFinite(potential), $"assignment: expected a start with finite potentials, found {potential}");
    }

    private static PartialAssignment<T> Solve<T, TStart>(
        ref CostMatrix cost, int[]? columns, ReadOnlySpan<TStart> potentials)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
        where TStart : unmanaged, IBinaryFloatingPointIeee754<TStart>
    {
        var n = cost.Count;
        var m = new PartialAssignment<T>(n);
        if (columns is null)
        {
            Reduction<T>.Columns(cost, m);
        }
        else
        {
            for (var j = 0; j < n; j++) m.Potential[j] = T.CreateTruncating(potentials[j]);
            Reduction<T>.Resume(cost, m, columns);
        }

        Reduction<T>.Rows(cost, m);
        new AugmentingForest<T>(n).Complete(ref cost, m);
        return m;
    }

    private static Assignment Finish(in CostMatrix cost, PartialAssignment<double> m)
    {
        var n = m.Count;
        var rows = new double[n];
        var total = 0.0;
        for (var i = 0; i < n; i++)
        {
            var j = m.ColumnOf[i];
            rows[i] = cost[i, j] - m.Potential[j];
            total += cost[i, j];
        }

        return new Assignment(m.ColumnOf, rows, m.Potential, total);
    }
}
