using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LmcDsl.Core.Solvers;

/// <summary>Vectorised passes over one row of a float cost matrix with double potentials.</summary>
internal static class RowScan
{
    private const int Lanes = 4;

    /// <summary>Whether every number is finite: x * 0 is 0 just then.</summary>
    public static bool AllFinite(ReadOnlySpan<float> values)
    {
        var sum = Vector256<float>.Zero;
        var k = 0;
        for (; k + 8 <= values.Length; k += 8) sum += Vector256.Create(values.Slice(k, 8)) * 0f;
        var total = Vector256.Sum(sum);
        for (; k < values.Length; k++) total += values[k] * 0f;
        return total == 0f;
    }

    /// <summary>Takes a row into the columns' minima, and notes the row where it is the new least.</summary>
    public static void ColumnMinima(ReadOnlySpan<float> row, Span<float> least, Span<int> where, int i)
    {
        var k = 0;
        var index = Vector256.Create(i);
        for (; k + 8 <= row.Length; k += 8)
        {
            var value = Vector256.Create(row.Slice(k, 8));
            var old = Vector256.Create((ReadOnlySpan<float>)least.Slice(k, 8));
            var below = Vector256.LessThan(value, old);
            if (below.ExtractMostSignificantBits() == 0) continue;
            Vector256.ConditionalSelect(below, value, old).CopyTo(least[k..]);
            Vector256.ConditionalSelect(below.AsInt32(), index, Vector256.Create((ReadOnlySpan<int>)where.Slice(k, 8)))
                .CopyTo(where[k..]);
        }

        for (; k < row.Length; k++)
        {
            if (!(row[k] < least[k])) continue;
            least[k] = row[k];
            where[k] = i;
        }
    }

    /// <summary>The least cost - v of the row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static double Least(ReadOnlySpan<float> row, ReadOnlySpan<double> v)
    {
        var least = Vector256.Create(double.PositiveInfinity);
        var other = least;
        var k = 0;
        for (; k + 2 * Lanes <= row.Length; k += 2 * Lanes)
        {
            least = Vector256.MinNative(least, Reduced(row, v, k));
            other = Vector256.MinNative(other, Reduced(row, v, k + Lanes));
        }

        least = Vector256.MinNative(least, other);
        var result = Math.Min(Math.Min(least[0], least[1]), Math.Min(least[2], least[3]));
        for (; k < row.Length; k++) result = Math.Min(result, row[k] - v[k]);
        return result;
    }

    /// <summary>The least and the second least cost - v, and the column of the least.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static (double First, int Column, double Second) TwoSmallest(ReadOnlySpan<float> row, ReadOnlySpan<double> v)
    {
        var first = Vector256.Create(double.PositiveInfinity);
        var second = first;
        var where = Vector256.Create(-1L);
        var index = Vector256.Create(0L, 1, 2, 3);
        var step = Vector256.Create((long)Lanes);
        var k = 0;
        for (; k + Lanes <= row.Length; k += Lanes, index += step)
        {
            var value = Reduced(row, v, k);
            var below = Vector256.LessThan(value, first);
            second = Vector256.MinNative(second, Vector256.MaxNative(value, first));
            where = Vector256.ConditionalSelect(below.AsInt64(), index, where);
            first = Vector256.MinNative(first, value);
        }

        var best = new TwoLeast();
        best.Take(first[0], (int)where[0], second[0]);
        best.Take(first[1], (int)where[1], second[1]);
        best.Take(first[2], (int)where[2], second[2]);
        best.Take(first[3], (int)where[3], second[3]);
        for (; k < row.Length; k++) best.Take(row[k] - v[k], k, double.PositiveInfinity);
        return (best.First, best.Column, best.Second);
    }

    /// <summary>The cost - v at one column, and the least of it over all other columns.</summary>
    public static (double Held, int Column, double Others) TwoSmallest(
        ReadOnlySpan<float> row, ReadOnlySpan<double> v, int held)
    {
        var value = row[held] - v[held];
        var others = Math.Min(Least(row[..held], v[..held]), Least(row[(held + 1)..], v[(held + 1)..]));
        return (value, held, double.IsPositiveInfinity(others) ? value : others);
    }

    /// <summary>
    /// Shortens the distances of all open columns by way of row i, and finds the nearest open column.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static (double Length, int Column) Relax(
        ReadOnlySpan<float> row, ReadOnlySpan<double> v, double offset,
        Span<double> distance, ReadOnlySpan<double> closed, Span<long> predecessor, int i)
    {
        var shift = Vector256.Create(offset);
        var self = Vector256.Create((long)i);
        var least = Vector256.Create(double.PositiveInfinity);
        var where = Vector256.Create(-1L);
        var index = Vector256.Create(0L, 1, 2, 3);
        var step = Vector256.Create((long)Lanes);
        var k = 0;
        for (; k + Lanes <= row.Length; k += Lanes, index += step)
        {
            // No branch: whether a distance gets shorter cannot be predicted.
            var way = Reduced(row, v, k) + shift;
            var old = Load(distance, k);
            var shorter = Vector256.LessThan(way, old);
            var now = Vector256.MinNative(way, old);
            now.StoreUnsafe(ref MemoryMarshal.GetReference(distance), (nuint)k);
            ref var before = ref MemoryMarshal.GetReference(predecessor);
            Vector256.ConditionalSelect(shorter.AsInt64(), self, Vector256.LoadUnsafe(ref before, (nuint)k))
                .StoreUnsafe(ref before, (nuint)k);

            var open = Vector256.MaxNative(now, Load(closed, k));
            var nearer = Vector256.LessThan(open, least);
            least = Vector256.MinNative(open, least);
            where = Vector256.ConditionalSelect(nearer.AsInt64(), index, where);
        }

        var best = new TwoLeast();
        best.Take(least[0], (int)where[0], double.PositiveInfinity);
        best.Take(least[1], (int)where[1], double.PositiveInfinity);
        best.Take(least[2], (int)where[2], double.PositiveInfinity);
        best.Take(least[3], (int)where[3], double.PositiveInfinity);
        for (; k < row.Length; k++)
        {
            var way = row[k] - v[k] + offset;
            if (way < distance[k]) (distance[k], predecessor[k]) = (way, i);
            if (closed[k] < 0) best.Take(distance[k], k, double.PositiveInfinity);
        }

        return (best.First, best.Column);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> Reduced(ReadOnlySpan<float> row, ReadOnlySpan<double> v, int k)
    {
        var four = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(row), (nuint)k);
        if (Avx.IsSupported) return Avx.ConvertToVector256Double(four) - Load(v, k);
        var (low, high) = Vector128.Widen(four);
        return Vector256.Create(low, high) - Load(v, k);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> Load(ReadOnlySpan<double> values, int k) =>
        Vector256.LoadUnsafe(ref MemoryMarshal.GetReference(values), (nuint)k);

    /// <summary>The two least of the values taken so far; of equal ones the leftmost column.</summary>
    private struct TwoLeast()
    {
        public double First { get; private set; } = double.PositiveInfinity;

        public double Second { get; private set; } = double.PositiveInfinity;

        public int Column { get; private set; } = -1;

        public void Take(double value, int column, double next)
        {
            if (value < First || (value == First && column < Column))
            {
                Second = Math.Min(First, next);
                (First, Column) = (value, column);
            }
            else
            {
                Second = Math.Min(Second, value);
            }
        }
    }
}
