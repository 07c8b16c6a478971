using System.Numerics;
using System.Runtime.CompilerServices;

namespace LmcDsl.Core.Solvers;

/// <summary>
/// The cheap beginnings of an assignment: what columns and rows can have without a search (column reduction and augmenting
/// row reduction, Jonker and Volgenant, Computing 38, 1987), from nothing or from a similar problem's answer.
/// </summary>
/// <typeparam name="T">What potentials are counted in: float or double.</typeparam>
internal static class Reduction<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    // Scans of one pass of row reduction, by rows: more would cost more than the searches that they save.
    private const int ScansPerRow = 4;

    /// <summary>v = the least cost of each column; where that lies in a row not yet taken, the row gets the column.</summary>
    /// <param name="cost">The costs.</param>
    /// <param name="m">An empty assignment.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Columns(in CostMatrix cost, PartialAssignment<T> m)
    {
        var n = m.Count;
        var least = new float[n];
        var row = new int[n];
        cost.Row(0).CopyTo(least);
        for (var i = 1; i < n; i++) CostScan.ColumnMinima(cost.Row(i), least, row, i);
        for (var j = n - 1; j >= 0; j--)
        {
            m.Potential[j] = RowScan<T>.Cost(least[j]);
            if (m.ColumnOf[row[j]] < 0) m.Assign(row[j], j);
        }

        TightenAssigned(cost, m);
    }

    /// <summary>
    /// With potentials from elsewhere, a row keeps its column if that is still the cheapest.
    /// </summary>
    /// <param name="cost">The costs.</param>
    /// <param name="m">An assignment with potentials, empty but for these.</param>
    /// <param name="columns">The column of each row there.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Resume(in CostMatrix cost, PartialAssignment<T> m, int[] columns)
    {
        var n = m.Count;
        for (var i = 0; i < n; i++)
        {
            var hint = columns[i];
            var row = cost.Row(i);
            if (m.RowOf[hint] >= 0) continue;
            if (RowScan<T>.Cost(row[hint]) - m.Potential[hint] <= RowScan<T>.Least(row, m.Potential)) m.Assign(i, hint);
        }
    }

    /// <summary>
    /// Each free row takes its cheapest column and lowers that column's v until the row's second best costs the same; the
    /// row put out goes on. A bounded number of scans: what is left is for the shortest paths.
    /// </summary>
    /// <param name="cost">The costs.</param>
    /// <param name="m">The assignment so far.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Rows(in CostMatrix cost, PartialAssignment<T> m)
    {
        var n = m.Count;
        for (var pass = 0; pass < 2; pass++)
        {
            var scans = 0;
            foreach (var free in m.FreeRows())
            {
                var i = free;
                while (i >= 0 && scans++ < ScansPerRow * n)
                {
                    var row = cost.Row(i);
                    var (first, j, second) = RowScan<T>.TwoSmallest(row, m.Potential);
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

    // A row may only hold its column where the column is the cheapest for it at the present potentials.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TightenAssigned(in CostMatrix cost, PartialAssignment<T> m)
    {
        var n = m.Count;
        for (var i = 0; i < n; i++)
        {
            var j = m.ColumnOf[i];
            if (j < 0) continue;
            var (held, others) = RowScan<T>.HeldAndOthers(cost.Row(i), m.Potential, j);
            // Lowering v of the held column by its slack to the next best keeps it the row's cheapest.
            if (held <= others) m.Potential[j] -= others - held;
            else m.Release(i);
        }
    }
}
