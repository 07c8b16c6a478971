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
    private readonly T[] predecessor = new T[n]; // the row by way of which a column is at its distance, as RowScan keeps it
    private readonly T[] head = new T[n]; // of rows in a tree: their own potential, less their distance; -infinity for others
    private readonly int[] root = new int[n]; // of rows in a tree: the free row that it grew from
    private readonly int[] elder = new int[n]; // of rows in a tree: the row that joined before, -1 for the root
    private readonly int[] youngest = new int[n]; // of roots: the row that joined last
    private readonly List<int> trees = []; // their roots
    private readonly List<int> freeColumns = [];
    private readonly int[] orphans = new int[n]; // columns that lost the row that they were nearest to
    private readonly int[] near = new int[2 * n]; // open columns that were found no further away than the trees had grown
    private int orphanCount;
    private int nearCount;
    private int rowsInTrees;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Complete(ref CostMatrix cost, PartialAssignment<T> m)
    {
        if (Array.IndexOf(m.ColumnOf, -1) < 0) return;
        Array.Fill(distance, T.PositiveInfinity);
        Array.Fill(closed, T.NegativeInfinity);
        Array.Fill(head, T.NegativeInfinity);
        freeColumns.AddRange(Enumerable.Range(0, n).Where(j => m.RowOf[j] < 0));
        if (freeColumns.Count >= WorthTransposing) cost.WithColumns();
        var length = T.NegativeInfinity;
        foreach (var i in m.FreeRows())
        {
            var least = RowScan<T>.Least(cost.Row(i), m.Potential);
            if (TakeFree(cost, m, i, least)) continue;
            trees.Add(i);
            Join(i, i, -1, least);
            Shorten(cost, m, i, length);
        }

        while (trees.Count > 0)
        {
            var column = NextNear(length);
            if (column < 0)
            {
                (var nearest, column) = RowScan<T>.Nearest(distance, closed);
                // Of columns equally near a free one ends a search. Ties show by the distance not getting on.
                if (nearest <= length) column = FreeAt(nearest) ?? column;
            }

            length = distance[column];
            if (m.RowOf[column] < 0) Augment(cost, m, column, length);
            else Grow(cost, m, column, length);
        }
    }

    private int From(int column) => RowScan<T>.Index(predecessor[column]);

    private int NextNear(T length)
    {
        while (nearCount > 0)
        {
            var j = near[--nearCount];
            if (T.IsNegative(closed[j]) && distance[j] <= length) return j;
        }

        return -1;
    }

    private void Join(int row, int tree, int before, T start)
    {
        (root[row], elder[row], youngest[tree], head[row]) = (tree, before, row, start);
        rowsInTrees++;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Grow(in CostMatrix cost, PartialAssignment<T> m, int column, T length)
    {
        reached[column] = length;
        distance[column] = T.NegativeInfinity;
        closed[column] = T.PositiveInfinity;
        var (i, tree) = (m.RowOf[column], root[From(column)]);
        Join(i, tree, youngest[tree], RowScan<T>.Cost(cost[i, column]) - m.Potential[column] - length);
        Shorten(cost, m, i, length);
    }

    private void Shorten(in CostMatrix cost, PartialAssignment<T> m, int row, T length)
    {
        if (nearCount > n) nearCount = 0; // whatever is forgotten here is found again as the nearest
        var known = nearCount;
        nearCount = RowScan<T>.Shorten(
            cost.Row(row), m.Potential, head[row], distance, predecessor, row, length, near, nearCount);
        for (var k = known; k < nearCount; k++)
        {
            if (m.RowOf[near[k]] >= 0) continue;
            (near[k], near[nearCount - 1]) = (near[nearCount - 1], near[k]); // a free column ends a search: it goes first
            return;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Augment(in CostMatrix cost, PartialAssignment<T> m, int column, T length)
    {
        var tree = root[From(column)];
        freeColumns.Remove(column);
        trees.Remove(tree);
        Dissolve(m, tree, length);
        Flip(m, tree, column);
        Adopt(cost, m, length);
    }

    // Orphans: the columns that were in the tree, and the open ones that were nearest to it.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Dissolve(PartialAssignment<T> m, int tree, T length)
    {
        for (var i = youngest[tree]; i >= 0; i = elder[i])
        {
            head[i] = T.NegativeInfinity;
            rowsInTrees--;
            if (i == tree) continue;
            var j = m.ColumnOf[i];
            m.Potential[j] += reached[j] - length;
            closed[j] = T.NegativeInfinity;
        }

        orphanCount = 0;
        for (var j = 0; j < n; j++) // Without a branch: there is no telling which.
        {
            orphans[orphanCount] = j;
            orphanCount += root[From(j)] == tree ? 1 : 0;
        }

        foreach (var j in orphans.AsSpan(0, orphanCount)) distance[j] = T.PositiveInfinity;
    }

    // Orphans find the nearest way by the rows that stay, by rows or by columns, whichever are fewer.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Adopt(in CostMatrix cost, PartialAssignment<T> m, T length)
    {
        if (!cost.HasColumns || rowsInTrees < orphanCount)
        {
            foreach (var tree in trees)
                for (var i = youngest[tree]; i >= 0; i = elder[i])
                    Shorten(cost, m, i, length);
            return;
        }

        foreach (var j in orphans.AsSpan(0, orphanCount))
        {
            var (least, row) = RowScan<T>.Cheapest(cost.Column(j), head);
            (distance[j], predecessor[j]) = (least - m.Potential[j], RowScan<T>.Kept(row));
            if (distance[j] <= length && nearCount < near.Length) near[nearCount++] = j;
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
