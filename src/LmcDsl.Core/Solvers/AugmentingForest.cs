using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LmcDsl.Core.Solvers;

/// <summary>
/// Completes a partial assignment by shortest alternating paths in reduced costs, searched from all free rows at once: one
/// tree grows from each, all to the same distance (a forest, as in Edmonds' algorithm). Where a tree reaches a free column
/// it is augmented and dissolved, and its columns are open again for the trees that stay. So the trees share what a search
/// from each row alone would find again and again.
/// </summary>
/// <remarks>
/// At distance t the potentials are <c>v[j] + reached[j] - t</c> for columns in a tree, and as they stand for the others;
/// they are written where a tree is dissolved, since for the trees that stay t goes on growing.
/// </remarks>
/// <typeparam name="T">What potentials and distances are counted in: float or double.</typeparam>
internal sealed class AugmentingForest<T>(int n)
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    // Free rows from which on a copy of the costs by columns pays.
    private const int WorthTransposing = 8;

    private readonly T[] distance = new T[n]; // of open columns; -infinity once in a tree, where nothing shortens it
    private readonly T[] closed = new T[n]; // -infinity while open, +infinity once in a tree: the maximum with it masks
    private readonly T[] reached = new T[n]; // the distance at which a column joined its tree
    private readonly T[] predecessor = new T[n]; // the row by way of which a column is at its distance
    private readonly T[] head = new T[n]; // of rows in a tree: their own potential, less their distance; -infinity for others
    private readonly int[] root = new int[n]; // of rows in a tree: the free row that it grew from
    private readonly List<int> rows = [];
    private readonly List<int> columns = [];
    private readonly List<int> freeColumns = [];
    private readonly List<int> orphans = [];

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Complete(ref CostMatrix cost, PartialAssignment<T> m)
    {
        if (Array.IndexOf(m.ColumnOf, -1) < 0) return;
        Array.Fill(distance, T.PositiveInfinity);
        Array.Fill(closed, T.NegativeInfinity);
        Array.Fill(head, T.NegativeInfinity);
        freeColumns.AddRange(Enumerable.Range(0, n).Where(j => m.RowOf[j] < 0));
        if (freeColumns.Count >= WorthTransposing) cost.WithColumns();
        foreach (var i in m.FreeRows())
        {
            var least = RowScan<T>.Least(cost.Row(i), m.Potential);
            if (!TakeFree(cost, m, i, least)) Join(cost, m, i, i, least);
        }

        var nearest = RowScan<T>.Nearest(distance, closed);
        var last = T.NegativeInfinity;
        while (rows.Count > 0)
        {
            var (length, column) = nearest;
            // Of columns equally near a free one ends a search. Ties show by the distance not getting on.
            if (length <= last) column = FreeAt(length) ?? column;
            last = length;
            nearest = m.RowOf[column] < 0 ? Augment(cost, m, column, length) : Grow(cost, m, column, length);
        }
    }

    private int From(int column) => int.CreateTruncating(predecessor[column]);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private (T Length, int Column) Grow(in CostMatrix cost, PartialAssignment<T> m, int column, T length)
    {
        columns.Add(column);
        reached[column] = length;
        distance[column] = T.NegativeInfinity;
        closed[column] = T.PositiveInfinity;
        var i = m.RowOf[column];
        var start = RowScan<T>.Cost(cost[i, column]) - m.Potential[column] - length;
        Join(cost, m, i, root[From(column)], start);
        return RowScan<T>.Nearest(distance, closed);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Join(in CostMatrix cost, PartialAssignment<T> m, int row, int tree, T start)
    {
        rows.Add(row);
        (root[row], head[row]) = (tree, start);
        RowScan<T>.Shorten(cost.Row(row), m.Potential, start, distance, predecessor, row);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private (T Length, int Column) Augment(in CostMatrix cost, PartialAssignment<T> m, int column, T length)
    {
        var tree = root[From(column)];
        freeColumns.Remove(column);
        Flip(m, tree, column);
        Dissolve(m, tree, length);
        Adopt(cost, m);
        return RowScan<T>.Nearest(distance, closed);
    }

    // Orphans: the columns that were in the tree, and the open ones that were nearest to it.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Dissolve(PartialAssignment<T> m, int tree, T length)
    {
        foreach (var j in CollectionsMarshal.AsSpan(columns))
        {
            if (root[From(j)] != tree) continue;
            m.Potential[j] += reached[j] - length;
            closed[j] = T.NegativeInfinity;
        }

        Keep(columns, closed);
        orphans.Clear();
        for (var j = 0; j < n; j++)
        {
            if (!T.IsNegative(closed[j]) || root[From(j)] != tree) continue;
            distance[j] = T.PositiveInfinity;
            orphans.Add(j);
        }

        foreach (var i in CollectionsMarshal.AsSpan(rows))
            if (root[i] == tree) head[i] = T.NegativeInfinity;
        Keep(rows, head);
    }

    // Keeps the entries that are in a tree: what the trees say of them is not -infinity.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Keep(List<int> entries, T[] inTree)
    {
        var all = CollectionsMarshal.AsSpan(entries);
        var kept = 0;
        foreach (var entry in all)
            if (!T.IsNegativeInfinity(inTree[entry])) all[kept++] = entry;
        entries.RemoveRange(kept, all.Length - kept);
    }

    // Orphans find the nearest way by the rows that stay.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Adopt(in CostMatrix cost, PartialAssignment<T> m)
    {
        if (!cost.HasColumns)
        {
            foreach (var i in rows)
                RowScan<T>.Shorten(cost.Row(i), m.Potential, head[i], distance, predecessor, i);
            return;
        }

        foreach (var j in CollectionsMarshal.AsSpan(orphans))
        {
            var (length, row) = RowScan<T>.Cheapest(cost.Column(j), head);
            (distance[j], predecessor[j]) = (length - m.Potential[j], T.CreateTruncating(row));
        }
    }

    // A row one of whose cheapest columns is free needs no search. With many ties this is the rule.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private bool TakeFree(in CostMatrix cost, PartialAssignment<T> m, int row, T least)
    {
        for (var k = 0; k < freeColumns.Count; k++)
        {
            var j = freeColumns[k];
            if (RowScan<T>.Cost(cost[row, j]) - m.Potential[j] > least) continue;
            m.Assign(row, j);
            freeColumns.RemoveAt(k);
            return true;
        }

        return false;
    }

    private int? FreeAt(T length)
    {
        foreach (var j in CollectionsMarshal.AsSpan(freeColumns))
            if (distance[j] <= length) return j;
        return null;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Flip(PartialAssignment<T> m, int start, int column)
    {
        while (true)
        {
            var i = From(column);
            var next = m.ColumnOf[i];
            m.ColumnOf[i] = column;
            m.RowOf[column] = i;
            if (i == start) return;
            column = next;
        }
    }
}
