namespace LmcDsl.Core.Solvers;

/// <summary>
/// Completes a partial assignment: for each free row, the shortest alternating path to a free column in reduced costs
/// (Dijkstra's search over columns), then the potentials of what was reached are brought up to date.
/// </summary>
internal sealed class AugmentingPaths(int n)
{
    private readonly double[] distance = new double[n];
    private readonly double[] closed = new double[n]; // -infinity while open, +infinity once closed: the maximum with it masks
    private readonly long[] predecessor = new long[n];
    private readonly int[] order = new int[n];
    private readonly double[] reached = new double[n];

    private readonly List<int> freeColumns = [];

    public void Complete(ReadOnlySpan<float> cost, PartialAssignment m)
    {
        freeColumns.AddRange(Enumerable.Range(0, n).Where(j => m.RowOf[j] < 0));
        foreach (var row in m.FreeRows()) Augment(cost, m, row);
    }

    private void Augment(ReadOnlySpan<float> cost, PartialAssignment m, int start)
    {
        Array.Fill(distance, double.PositiveInfinity);
        Array.Fill(closed, double.NegativeInfinity);
        var count = 0;
        var i = start;
        var offset = 0.0; // distance to row i, less row i's own potential
        int column;
        double length;
        while (true)
        {
            var row = cost.Slice(i * n, n);
            (length, column) = RowScan.Relax(row, m.Potential, offset, distance, closed, predecessor, i);
            // Of columns equally near a free one ends the search. Ties show by the search not getting on.
            if (count == 0 || length <= reached[count - 1]) column = FreeAt(length) ?? column;
            i = m.RowOf[column];
            if (i < 0) break;
            order[count] = column;
            reached[count++] = length;
            distance[column] = double.NegativeInfinity;
            closed[column] = double.PositiveInfinity;
            offset = length - (cost[i * n + column] - m.Potential[column]);
        }

        for (var k = 0; k < count; k++) m.Potential[order[k]] += reached[k] - length;
        freeColumns.Remove(column);
        Flip(m, start, column);
    }

    private int? FreeAt(double length)
    {
        foreach (var j in freeColumns)
            if (distance[j] <= length) return j;
        return null;
    }

    private void Flip(PartialAssignment m, int start, int column)
    {
        while (true)
        {
            var i = (int)predecessor[column];
            var next = m.ColumnOf[i];
            m.ColumnOf[i] = column;
            m.RowOf[column] = i;
            if (i == start) return;
            column = next;
        }
    }
}
