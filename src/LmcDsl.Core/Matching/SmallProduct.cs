using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LmcDsl.Core.Solvers;

namespace LmcDsl.Core.Matching;

/// <summary>
/// Products for groups of few units, where calls of Torch take longer than the work: on spans, without copies of the rows that are taken.
/// </summary>
internal static class SmallProduct
{
    /// <summary>The most units of a group that this is for.</summary>
    public const int MostUnits = 64;

    private const int Rows = 4; // of a tile that stays in registers
    private const int Columns = 16;

    /// <summary>
    /// Takes a product from costs: <c>cost[i, j] -= sum left[place, d, i] (right[now, d, j] - right[before, d, j])</c> over some places and
    /// the depth.
    /// </summary>
    /// <param name="cost"><c>[n, n]</c>, to change.</param>
    /// <param name="n">Units of the group.</param>
    /// <param name="depth">Numbers that a unit of the group and one of its neighbour share.</param>
    /// <param name="left"><c>[places, depth, n]</c>, wherever in the span they lie.</param>
    /// <param name="strides">How far apart places, the depth and the group's units lie in it.</param>
    /// <param name="right"><c>[units, depth, n]</c>.</param>
    /// <param name="places">The places that count.</param>
    /// <param name="now">The unit in each.</param>
    /// <param name="before">The unit that was there; empty where nothing was.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Subtract(
        Span<float> cost, int n, int depth, ReadOnlySpan<float> left, (int Place, int Depth, int Unit) strides, ReadOnlySpan<float> right,
        ReadOnlySpan<int> places, ReadOnlySpan<int> now, ReadOnlySpan<int> before)
    {
        ref var a = ref MemoryMarshal.GetReference(left);
        ref var b = ref MemoryMarshal.GetReference(right);
        var (first, second, third) = ((nuint)strides.Unit, (nuint)strides.Unit * 2, (nuint)strides.Unit * 3);
        var (tiled, wide) = (n / Rows * Rows, n / Columns * Columns);
        for (var i = 0; i < tiled; i += Rows)
        {
            for (var j = 0; j < wide; j += Columns)
            {
                Vector256<float> c00 = default, c01 = default, c10 = default, c11 = default;
                Vector256<float> c20 = default, c21 = default, c30 = default, c31 = default;
                for (var k = 0; k < places.Length; k++)
                {
                    var (from, to) = ((nuint)(places[k] * strides.Place + i * strides.Unit), (nuint)(now[k] * depth * n + j));
                    var old = before.IsEmpty ? 0 : (nuint)(before[k] * depth * n + j);
                    for (var d = 0; d < depth; d++)
                    {
                        var (low, high) = (Vector256.LoadUnsafe(ref b, to), Vector256.LoadUnsafe(ref b, to + 8));
                        if (!before.IsEmpty)
                        {
                            low -= Vector256.LoadUnsafe(ref b, old);
                            high -= Vector256.LoadUnsafe(ref b, old + 8);
                            old += (nuint)n;
                        }

                        var x = Vector256.Create(Unsafe.Add(ref a, from));
                        (c00, c01) = (Vector256.FusedMultiplyAdd(x, low, c00), Vector256.FusedMultiplyAdd(x, high, c01));
                        x = Vector256.Create(Unsafe.Add(ref a, from + first));
                        (c10, c11) = (Vector256.FusedMultiplyAdd(x, low, c10), Vector256.FusedMultiplyAdd(x, high, c11));
                        x = Vector256.Create(Unsafe.Add(ref a, from + second));
                        (c20, c21) = (Vector256.FusedMultiplyAdd(x, low, c20), Vector256.FusedMultiplyAdd(x, high, c21));
                        x = Vector256.Create(Unsafe.Add(ref a, from + third));
                        (c30, c31) = (Vector256.FusedMultiplyAdd(x, low, c30), Vector256.FusedMultiplyAdd(x, high, c31));
                        from += (nuint)strides.Depth;
                        to += (nuint)n;
                    }
                }

                Take(cost, i * n + j, c00, c01);
                Take(cost, (i + 1) * n + j, c10, c11);
                Take(cost, (i + 2) * n + j, c20, c21);
                Take(cost, (i + 3) * n + j, c30, c31);
            }

            for (var row = i; row < i + Rows; row++) Rest(cost, n, depth, left, strides, right, places, now, before, row, wide);
        }

        for (var row = tiled; row < n; row++) Rest(cost, n, depth, left, strides, right, places, now, before, row, 0);
    }

    /// <summary>Takes a product of two vectors from costs: <c>cost[i, j] -= share * left[i] * right[j]</c>.</summary>
    /// <param name="cost"><c>[n, n]</c>, to change.</param>
    /// <param name="left"><c>[n]</c>.</param>
    /// <param name="right"><c>[n]</c>.</param>
    /// <param name="share">How much of it.</param>
    public static void SubtractOuter(Span<float> cost, ReadOnlySpan<float> left, ReadOnlySpan<float> right, float share)
    {
        for (var i = 0; i < left.Length; i++)
            RowProduct.AddScaled(cost.Slice(i * left.Length, left.Length), right, -share * left[i]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Take(Span<float> cost, int at, Vector256<float> low, Vector256<float> high)
    {
        ref var first = ref MemoryMarshal.GetReference(cost);
        (Vector256.LoadUnsafe(ref first, (nuint)at) - low).StoreUnsafe(ref first, (nuint)at);
        (Vector256.LoadUnsafe(ref first, (nuint)at + 8) - high).StoreUnsafe(ref first, (nuint)at + 8);
    }

    // One row, from a column on.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rest(
        Span<float> cost, int n, int depth, ReadOnlySpan<float> left, (int Place, int Depth, int Unit) strides, ReadOnlySpan<float> right,
        ReadOnlySpan<int> places, ReadOnlySpan<int> now, ReadOnlySpan<int> before, int row, int column)
    {
        for (var j = column; j < n; j++)
        {
            var sum = 0f;
            for (var k = 0; k < places.Length; k++)
                for (var d = 0; d < depth; d++)
                {
                    var change = right[(now[k] * depth + d) * n + j];
                    if (!before.IsEmpty) change -= right[(before[k] * depth + d) * n + j];
                    sum = MathF.FusedMultiplyAdd(left[places[k] * strides.Place + d * strides.Depth + row * strides.Unit], change, sum);
                }

            cost[row * n + j] -= sum;
        }
    }
}
