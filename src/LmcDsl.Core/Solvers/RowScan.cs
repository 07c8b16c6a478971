using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace LmcDsl.Core.Solvers;

/// <summary>
/// Vectorised passes over one row of a float cost matrix, with potentials and distances in float (16 columns at a time) or in
/// double (8). Numbers of columns are counted in the same type, and those of rows kept in it, so that all lanes are of one
/// width.
/// </summary>
/// <typeparam name="T">float or double.</typeparam>
internal static class RowScan<T>
    where T : unmanaged, IBinaryFloatingPointIeee754<T>
{
    private static int Lanes => Vector512<T>.Count;

    /// <summary>The least cost - v of the row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static T Least(ReadOnlySpan<float> row, ReadOnlySpan<T> v)
    {
        var least = Vector512.Create(T.PositiveInfinity);
        var other = least;
        var k = 0;
        for (; k + 2 * Lanes <= row.Length; k += 2 * Lanes)
        {
            least = Vector512.MinNative(least, Reduced(row, v, k));
            other = Vector512.MinNative(other, Reduced(row, v, k + Lanes));
        }

        least = Vector512.MinNative(least, other);
        var (result, _) = LeastLane(least, least);
        for (; k < row.Length; k++) result = T.Min(result, Cost(row[k]) - v[k]);
        return result;
    }

    /// <summary>The least and the second least cost - v, and the column of the least.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static (T First, int Column, T Second) TwoSmallest(ReadOnlySpan<float> row, ReadOnlySpan<T> v)
    {
        var first = Vector512.Create(T.PositiveInfinity);
        var second = first;
        var where = Vector512.Create(-T.One);
        var index = Vector512.CreateSequence(T.Zero, T.One);
        var step = Vector512.Create(T.CreateTruncating(Lanes));
        var k = 0;
        for (; k + Lanes <= row.Length; k += Lanes, index += step)
        {
            var value = Reduced(row, v, k);
            var below = Vector512.LessThan(value, first);
            second = Vector512.MinNative(second, Vector512.MaxNative(value, first));
            where = Vector512.ConditionalSelect(below, index, where);
            first = Vector512.MinNative(first, value);
        }

        var (least, column) = LeastLane(first, where);
        // Of the lane that holds the least, the second least counts; of all others, the least.
        var (next, _) = LeastLane(Vector512.ConditionalSelect(Vector512.Equals(where, Vector512.Create(T.CreateTruncating(column))), second, first), first);
        for (; k < row.Length; k++)
        {
            var value = Cost(row[k]) - v[k];
            if (value < least) (least, column, next) = (value, k, least);
            else next = T.MinNative(next, value);
        }

        return (least, column, next);
    }

    /// <summary>The cost - v at one column, and the least of it over all other columns.</summary>
    public static (T Held, T Others) HeldAndOthers(ReadOnlySpan<float> row, ReadOnlySpan<T> v, int held)
    {
        var value = Cost(row[held]) - v[held];
        var others = T.Min(Least(row[..held], v[..held]), Least(row[(held + 1)..], v[(held + 1)..]));
        return (value, T.IsPositiveInfinity(others) ? value : others);
    }

    /// <summary>
    /// Shortens the distances of all open columns by way of row i, and adds to <paramref name="near"/> those that are now
    /// within the limit.
    /// </summary>
    /// <returns>How many columns <paramref name="near"/> now holds.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static int Shorten(
        ReadOnlySpan<float> row, ReadOnlySpan<T> v, T head, Span<T> distance, Span<T> predecessor, int i, T limit,
        Span<int> near, int nearCount)
    {
        var self = Kept(i);
        var (heads, selves, limits) = (Vector512.Create(head), Vector512.Create(self), Vector512.Create(limit));
        ref var distances = ref MemoryMarshal.GetReference(distance);
        ref var predecessors = ref MemoryMarshal.GetReference(predecessor);
        var k = 0;
        for (; k + Lanes <= row.Length; k += Lanes)
        {
            // Without a branch: whether a distance gets shorter cannot be predicted. Few that do are within the limit.
            var (way, old) = (Reduced(row, v, k) - heads, Load(distance, k));
            var shorter = Vector512.LessThan(way, old);
            Vector512.MinNative(way, old).StoreUnsafe(ref distances, (nuint)k);
            Vector512.ConditionalSelect(shorter, selves, Load(predecessor, k)).StoreUnsafe(ref predecessors, (nuint)k);
            var found = (shorter & Vector512.LessThanOrEqual(way, limits)).ExtractMostSignificantBits();
            for (; found != 0; found &= found - 1) near[nearCount++] = k + BitOperations.TrailingZeroCount(found);
        }

        for (; k < row.Length; k++)
        {
            var way = Cost(row[k]) - v[k] - head;
            if (!(way < distance[k])) continue;
            (distance[k], predecessor[k]) = (way, self);
            if (way <= limit) near[nearCount++] = k;
        }

        return nearCount;
    }

    /// <summary>The number of a row, or -1, as the bits of a T, to lie in lanes of one width with the potentials.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Kept(int row)
    {
        var kept = T.Zero;
        Unsafe.As<T, int>(ref kept) = row;
        return kept;
    }

    /// <summary>The row whose number is <see cref="Kept"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Index(T kept) => Unsafe.As<T, int>(ref kept);

    /// <summary>The least cost - v of the row, and its column; -1 where all are infinite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static (T Least, int Column) Cheapest(ReadOnlySpan<float> row, ReadOnlySpan<T> v)
    {
        var (least, where) = (Vector512.Create(T.PositiveInfinity), Vector512.Create(-T.One));
        var (index, step) = (Vector512.CreateSequence(T.Zero, T.One), Vector512.Create(T.CreateTruncating(Lanes)));
        var k = 0;
        for (; k + Lanes <= row.Length; k += Lanes, index += step)
        {
            var value = Reduced(row, v, k);
            where = Vector512.ConditionalSelect(Vector512.LessThan(value, least), index, where);
            least = Vector512.MinNative(value, least);
        }

        var best = LeastLane(least, where);
        for (; k < row.Length; k++)
            if (Cost(row[k]) - v[k] is var value && value < best.Least) best = (value, k);
        return best;
    }

    /// <summary>The open column at the least distance.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static (T Length, int Column) Nearest(ReadOnlySpan<T> distance, ReadOnlySpan<T> closed)
    {
        var (least, where) = (Vector512.Create(T.PositiveInfinity), Vector512.Create(-T.One));
        var (index, step) = (Vector512.CreateSequence(T.Zero, T.One), Vector512.Create(T.CreateTruncating(Lanes)));
        var k = 0;
        for (; k + Lanes <= distance.Length; k += Lanes, index += step)
        {
            var now = Vector512.MaxNative(Load(distance, k), Load(closed, k));
            where = Vector512.ConditionalSelect(Vector512.LessThan(now, least), index, where);
            least = Vector512.MinNative(now, least);
        }

        var best = LeastLane(least, where);
        for (; k < distance.Length; k++)
            if (T.IsNegative(closed[k]) && distance[k] < best.Least) best = (distance[k], k);
        return best;
    }

    /// <summary>A cost in the potentials' type.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Cost(float cost) => T.CreateTruncating(cost);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<T> Reduced(ReadOnlySpan<float> row, ReadOnlySpan<T> v, int k)
    {
        ref var costs = ref MemoryMarshal.GetReference(row);
        if (typeof(T) == typeof(float)) return Vector512.LoadUnsafe(ref costs, (nuint)k).As<float, T>() - Load(v, k);
        var (low, high) = Vector256.Widen(Vector256.LoadUnsafe(ref costs, (nuint)k));
        return Vector512.Create(low, high).As<double, T>() - Load(v, k);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<T> Load(ReadOnlySpan<T> values, int k) =>
        Vector512.LoadUnsafe(ref MemoryMarshal.GetReference(values), (nuint)k);

    // The least of the lanes, and what the first lane that holds it says.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (T Least, int Column) LeastLane(Vector512<T> values, Vector512<T> where)
    {
        var half = Vector256.MinNative(values.GetLower(), values.GetUpper());
        var quarter = Vector128.MinNative(half.GetLower(), half.GetUpper());
        var least = T.MinNative(quarter[0], quarter[1]);
        if (Lanes == 16) least = T.MinNative(least, T.MinNative(quarter[2], quarter[3]));
        var lane = BitOperations.TrailingZeroCount(Vector512.Equals(values, Vector512.Create(least)).ExtractMostSignificantBits());
        return (least, int.CreateTruncating(where[lane]));
    }
}
