using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

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
    public static double Least(ReadOnlySpan<float> row, ReadOnlySpan<double> v)
    {
        var least = Vector256.Create(double.PositiveInfinity);
        var k = 0;
        for (; k + Lanes <= row.Length; k += Lanes) least = Vector256.Min(least, Reduced(row, v, k));
        var result = Horizontal(least);
        for (; k < row.Length; k++) result = Math.Min(result, row[k] - v[k]);
        return result;
    }

    /// <summary>The least and the second least cost - v, and the column of the least.</summary>
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
            second = Vector256.Min(second, Vector256.Max(value, first));
            where = Vector256.ConditionalSelect(below.AsInt64(), index, where);
            first = Vector256.Min(first, value);
        }

        double one = double.PositiveInfinity, two = double.PositiveInfinity;
        var column = -1;
        for (var lane = 0; lane < Lanes; lane++)
        {
            Take(first[lane], (int)where[lane]);
            two = Math.Min(two, second[lane]);
        }

        for (; k < row.Length; k++) Take(row[k] - v[k], k);
        return (one, column, two);

        void Take(double value, int at)
        {
            if (value < one || (value == one && at < column))
            {
                two = Math.Min(two, one);
                (one, column) = (value, at);
            }
            else
            {
                two = Math.Min(two, value);
            }
        }
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
    public static (double Length, int Column) Relax(
        ReadOnlySpan<float> row, ReadOnlySpan<double> v, double offset,
        Span<double> distance, ReadOnlySpan<double> closed, Span<int> predecessor, int i)
    {
        var shift = Vector256.Create(offset);
        var least = Vector256.Create(double.PositiveInfinity);
        var where = Vector256.Create(-1L);
        var index = Vector256.Create(0L, 1, 2, 3);
        var step = Vector256.Create((long)Lanes);
        var k = 0;
        for (; k + Lanes <= row.Length; k += Lanes, index += step)
        {
            var way = Reduced(row, v, k) + shift;
            var old = Load(distance, k);
            var shorter = Vector256.LessThan(way, old);
            var bits = shorter.ExtractMostSignificantBits();
            if (bits != 0)
            {
                old = Vector256.Min(way, old);
                old.StoreUnsafe(ref MemoryMarshal.GetReference(distance), (nuint)k);
                for (; bits != 0; bits &= bits - 1) predecessor[k + System.Numerics.BitOperations.TrailingZeroCount(bits)] = i;
            }

            var open = Vector256.Max(old, Load(closed, k));
            var nearer = Vector256.LessThan(open, least);
            least = Vector256.Min(open, least);
            where = Vector256.ConditionalSelect(nearer.AsInt64(), index, where);
        }

        var length = double.PositiveInfinity;
        var column = -1;
        for (var lane = 0; lane < Lanes; lane++)
            if (least[lane] < length) (length, column) = (least[lane], (int)where[lane]);
        for (; k < row.Length; k++)
        {
            var way = row[k] - v[k] + offset;
            if (way < distance[k]) (distance[k], predecessor[k]) = (way, i);
            if (closed[k] < 0 && distance[k] < length) (length, column) = (distance[k], k);
        }

        return (length, column);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> Reduced(ReadOnlySpan<float> row, ReadOnlySpan<double> v, int k)
    {
        var four = Vector128.LoadUnsafe(ref MemoryMarshal.GetReference(row), (nuint)k);
        var (low, high) = Vector128.Widen(four);
        return Vector256.Create(low, high) - Load(v, k);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> Load(ReadOnlySpan<double> values, int k) =>
        Vector256.LoadUnsafe(ref MemoryMarshal.GetReference(values), (nuint)k);

    private static double Horizontal(Vector256<double> v) => Math.Min(Math.Min(v[0], v[1]), Math.Min(v[2], v[3]));
}
