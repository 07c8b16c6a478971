using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LmcDsl.Core.Architectures;

namespace LmcDsl.Core.Matching;

/// <summary>
/// Products and layouts for groups of few units, where calls of Torch take longer than the work: on spans, without copies of the rows that
/// are taken.
/// </summary>
internal static class SmallProduct
{
    /// <summary>The most units of a group that this is for.</summary>
    public const int MostUnits = 64;

    /// <summary>The most numbers of a parameter that are laid out here.</summary>
    public const int MostNumbers = 1 << 18;

    private const int Rows = 4; // of a tile that stays in registers
    private const int Columns = 16;

    /// <summary>
    /// Takes a product from costs: <c>cost[i, j] -= sum left[place, d, i] (right[now, d, j] - right[before, d, j])</c> over some places and
    /// the depth.
    /// </summary>
    /// <param name="cost"><c>[n, n]</c>, to change.</param>
    /// <param name="n">Units of the group.</param>
    /// <param name="depth">Numbers that a unit of the group and one of its neighbour share.</param>
    /// <param name="left"><c>[places, depth, n]</c>.</param>
    /// <param name="right"><c>[units, depth, n]</c>.</param>
    /// <param name="places">The places that count.</param>
    /// <param name="now">The unit in each.</param>
    /// <param name="before">The unit that was there; empty where nothing was.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Subtract(
        Span<float> cost, int n, int depth, ReadOnlySpan<float> left, ReadOnlySpan<float> right, ReadOnlySpan<int> places,
        ReadOnlySpan<int> now, ReadOnlySpan<int> before)
    {
        ref var a = ref MemoryMarshal.GetReference(left);
        ref var b = ref MemoryMarshal.GetReference(right);
        var (tiled, wide) = (n / Rows * Rows, n / Columns * Columns);
        for (var i = 0; i < tiled; i += Rows)
        {
            for (var j = 0; j < wide; j += Columns)
            {
                Vector256<float> c00 = default, c01 = default, c10 = default, c11 = default;
                Vector256<float> c20 = default, c21 = default, c30 = default, c31 = default;
                for (var k = 0; k < places.Length; k++)
                {
                    var (from, to) = ((nuint)(places[k] * depth * n + i), (nuint)(now[k] * depth * n + j));
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
                        x = Vector256.Create(Unsafe.Add(ref a, from + 1));
                        (c10, c11) = (Vector256.FusedMultiplyAdd(x, low, c10), Vector256.FusedMultiplyAdd(x, high, c11));
                        x = Vector256.Create(Unsafe.Add(ref a, from + 2));
                        (c20, c21) = (Vector256.FusedMultiplyAdd(x, low, c20), Vector256.FusedMultiplyAdd(x, high, c21));
                        x = Vector256.Create(Unsafe.Add(ref a, from + 3));
                        (c30, c31) = (Vector256.FusedMultiplyAdd(x, low, c30), Vector256.FusedMultiplyAdd(x, high, c31));
                        from += (nuint)n;
                        to += (nuint)n;
                    }
                }

                Take(cost, i * n + j, c00, c01);
                Take(cost, (i + 1) * n + j, c10, c11);
                Take(cost, (i + 2) * n + j, c20, c21);
                Take(cost, (i + 3) * n + j, c30, c31);
            }

            for (var row = i; row < i + Rows; row++) Rest(cost, n, depth, left, right, places, now, before, row, wide);
        }

        for (var row = tiled; row < n; row++) Rest(cost, n, depth, left, right, places, now, before, row, 0);
    }

    /// <summary>Lays a parameter out by the units of one of its axes, then by all that is in neither, then by the units of the other.</summary>
    /// <param name="values">The parameter's numbers.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="from">The axis of the first units.</param>
    /// <param name="to">The axis of the last.</param>
    /// <param name="result">Where to, <c>[units, depth, units]</c>, of which this parameter has a part of the depth.</param>
    /// <param name="depth">The depth of all of it.</param>
    /// <param name="at">Where this parameter's part begins.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void LayOut(
        ReadOnlySpan<float> values, long[] shape, PermutedAxis from, PermutedAxis to, Span<float> result, int depth, int at)
    {
        var strides = new int[shape.Length];
        for (int d = shape.Length - 1, stride = 1; d >= 0; stride *= (int)shape[d--]) strides[d] = stride;
        List<int> offsets = [0];
        for (var d = 0; d < shape.Length; d++)
        {
            var length = d == from.Dimension ? from.Block : d == to.Dimension ? to.Block : (int)shape[d];
            offsets = [.. offsets.SelectMany(_ => Enumerable.Range(0, length), (offset, k) => offset + k * strides[d])];
        }

        var (units, others) = ((int)shape[from.Dimension] / from.Block, (int)shape[to.Dimension] / to.Block);
        var (step, stepOfOthers) = (strides[from.Dimension] * from.Block, strides[to.Dimension] * to.Block);
        for (var u = 0; u < units; u++)
        {
            for (var d = 0; d < offsets.Count; d++)
            {
                var row = result.Slice((u * depth + at + d) * others, others);
                for (int t = 0, source = u * step + offsets[d]; t < row.Length; t++, source += stepOfOthers) row[t] = values[source];
            }
        }
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
        Span<float> cost, int n, int depth, ReadOnlySpan<float> left, ReadOnlySpan<float> right, ReadOnlySpan<int> places,
        ReadOnlySpan<int> now, ReadOnlySpan<int> before, int row, int column)
    {
        for (var j = column; j < n; j++)
        {
            var sum = 0f;
            for (var k = 0; k < places.Length; k++)
                for (var d = 0; d < depth; d++)
                {
                    var change = right[(now[k] * depth + d) * n + j];
                    if (!before.IsEmpty) change -= right[(before[k] * depth + d) * n + j];
                    sum = MathF.FusedMultiplyAdd(left[(places[k] * depth + d) * n + row], change, sum);
                }

            cost[row * n + j] -= sum;
        }
    }
}
