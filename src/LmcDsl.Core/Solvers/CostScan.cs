using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace LmcDsl.Core.Solvers;

/// <summary>Vectorised passes over a cost matrix alone.</summary>
internal static class CostScan
{
    /// <summary>The greatest absolute value; not finite where any value is not.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Size(ReadOnlySpan<float> values)
    {
        var greatest = Vector256<float>.Zero;
        var k = 0;
        ref var first = ref MemoryMarshal.GetReference(values);
        for (; k + 8 <= values.Length; k += 8) // Max keeps NaN
            greatest = Vector256.Max(greatest, Vector256.Abs(Vector256.LoadUnsafe(ref first, (nuint)k)));
        var result = 0f;
        for (var lane = 0; lane < 8; lane++) result = Math.Max(result, greatest[lane]);
        for (; k < values.Length; k++) result = Math.Max(result, Math.Abs(values[k]));
        return result;
    }

    /// <summary>Takes a row into the columns' minima, and notes the row where it is the new least.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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

    /// <summary>Writes the matrix by columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Transpose(ReadOnlySpan<float> cost, int n, Span<float> to)
    {
        const int Tile = 16; // a cache line of floats
        for (var left = 0; left < n; left += Tile)
        {
            var right = Math.Min(left + Tile, n);
            for (var top = 0; top < n; top += Tile)
            {
                var bottom = Math.Min(top + Tile, n);
                for (var j = left; j < right; j++) // whole lines are written, one after another
                    for (var i = top; i < bottom; i++)
                        to[j * n + i] = cost[i * n + j];
            }
        }
    }
}
