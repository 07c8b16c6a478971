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
/// The linear assignment problem, solved exactly: give each row a column of its own at the least total cost. Shortest
/// augmenting paths after column reduction and augmenting row reduction (Jonker and Volgenant, Computing 38, 1987), on
/// float costs with double potentials; the scans of a row are vectorised. O(n^3) at worst.
/// </summary>
public static class LinearAssignment
{
    /// <summary>Finds an assignment of the least total cost.</summary>
    /// <param name="cost">The cost matrix, <c>[n, n]</c> by rows, all finite.</param>
    /// <param name="n">Number of rows and columns, 1 or more.</param>
    /// <param name="start">
    /// The answer to a similar problem: its potentials and columns are where the search begins. Any start is sound; a good
    /// one saves most of the work.
    /// </param>
    /// <returns>The assignment with its potentials.</returns>
    /// <exception cref="LmcException">n is below 1, the matrix has another size or a number that is not finite.</exception>
    public static Assignment Minimize(ReadOnlySpan<float> cost, int n, Assignment? start = null)
    {
        Guard.Require(n >= 1, $"assignment: expected 1 or more rows, found {n}");
        Guard.Require(cost.Length == (long)n * n, $"assignment: expected {n} x {n} costs, found {cost.Length}");
        Guard.Require(
            start is null || start.Columns.Length == n,
            $"assignment: expected a start of size {n}, found {start?.Columns.Length}");
        Guard.Require(RowScan.AllFinite(cost), $"assignment: expected finite costs, found NaN or infinity");

        var matching = new PartialAssignment(n);
        if (start is null) ReduceColumns(cost, matching);
        else Resume(cost, matching, start);
        ReduceRows(cost, matching);
        new AugmentingPaths(n).Complete(cost, matching);
        return Finish(cost, matching);
    }

    // v = the least cost of each column; where that lies in a row not yet taken, the row gets the column.
    private static void ReduceColumns(ReadOnlySpan<float> cost, PartialAssignment m)
    {
        var n = m.Count;
        var least = new float[n];
        var row = new int[n];
        cost[..n].CopyTo(least);
        for (var i = 1; i < n; i++) RowScan.ColumnMinima(cost.Slice(i * n, n), least, row, i);
        for (var j = n - 1; j >= 0; j--)
        {
            m.Potential[j] = least[j];
            if (m.ColumnOf[row[j]] < 0) m.Assign(row[j], j);
        }

        TightenAssigned(cost, m);
    }

    // A row may only hold its column where the column is the cheapest for it at the present potentials.
    private static void TightenAssigned(ReadOnlySpan<float> cost, PartialAssignment m)
    {
        var n = m.Count;
        for (var i = 0; i < n; i++)
        {
            var held = m.ColumnOf[i];
            if (held < 0) continue;
            var (first, _, second) = RowScan.TwoSmallest(cost.Slice(i * n, n), m.Potential, held);
            // Lowering v of the held column by its slack to the next best keeps it the row's cheapest.
            if (first <= second) m.Potential[held] -= second - first;
            else m.Release(i);
        }
    }

    // With the start's v, a row keeps its column if that is still the cheapest, and else may take a free cheapest one.
    private static void Resume(ReadOnlySpan<float> cost, PartialAssignment m, Assignment start)
    {
        var n = m.Count;
        start.ColumnPotentials.CopyTo(m.Potential, 0);
        for (var i = 0; i < n; i++)
        {
            var hint = start.Columns[i];
            var row = cost.Slice(i * n, n);
            if (m.RowOf[hint] >= 0) continue;
            if (row[hint] - m.Potential[hint] <= RowScan.Least(row, m.Potential)) m.Assign(i, hint);
        }
    }

    // Each free row takes its cheapest column and lowers that column's v until the row's second best costs the same; the
    // row put out goes on. A bounded number of scans: what is left is for the shortest paths.
    private static void ReduceRows(ReadOnlySpan<float> cost, PartialAssignment m)
    {
        var n = m.Count;
        for (var pass = 0; pass < 2; pass++)
        {
            var scans = 0;
            foreach (var free in m.FreeRows())
            {
                var i = free;
                while (i >= 0 && scans++ < 3 * n)
                {
                    var row = cost.Slice(i * n, n);
                    var (first, j, second) = RowScan.TwoSmallest(row, m.Potential);
                    var lower = m.Potential[j] - (second - first);
                    var displaced = m.RowOf[j];
                    if (!(lower < m.Potential[j]) && displaced >= 0) break; // a tie: no progress by this means
                    if (n > 1) m.Potential[j] = lower;
                    m.Assign(i, j);
                    i = displaced;
                }
            }
        }
    }

    private static Assignment Finish(ReadOnlySpan<float> cost, PartialAssignment m)
    {
        var n = m.Count;
        var rows = new double[n];
        var total = 0.0;
        for (var i = 0; i < n; i++)
        {
            var j = m.ColumnOf[i];
            rows[i] = cost[i * n + j] - m.Potential[j];
            total += cost[i * n + j];
        }

        return new Assignment(m.ColumnOf, rows, m.Potential, total);
    }
}
