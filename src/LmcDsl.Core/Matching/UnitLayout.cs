using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using LmcDsl.Core.Architectures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// A parameter laid out by the units of one of its axes, then by all that is in neither, then by the units of the other. Where the units are
/// the first two dimensions, as in every dense layer and convolution, that is a transposition of matrices, made in registers: Torch copies
/// such views number by number.
/// </summary>
internal static class UnitLayout
{
    private const int Tile = 8; // numbers of a register
    private const int Strip = 64; // columns that a thread takes at once
    private const int LargeEnoughForThreads = 1 << 18;
    private const long SpanLength = 1 << 28; // a span holds at most 2 GB

    /// <summary>Whether the units of two axes are a parameter's first two dimensions, so that its layout is made of transpositions.</summary>
    /// <param name="from">One axis.</param>
    /// <param name="to">The other.</param>
    /// <returns>Whether they are.</returns>
    public static bool IsRegular(PermutedAxis from, PermutedAxis to) =>
        Math.Max(from.Dimension, to.Dimension) == 1 && from.Dimension != to.Dimension && (from.Dimension == 0 ? from : to).Block == 1;

    /// <summary>Writes the layout.</summary>
    /// <param name="values">The parameter, on the CPU.</param>
    /// <param name="from">The axis of the first units; whole, as the other.</param>
    /// <param name="to">The axis of the last.</param>
    /// <param name="result">Where to: <c>[units, depth * units of the other]</c>.</param>
    public static void Write(Tensor values, PermutedAxis from, PermutedAxis to, Tensor result)
    {
        var others = to.Units;
        var depth = (int)(values.numel() / from.Units / others);
        if (!IsRegular(from, to) || !values.is_contiguous() || values.numel() > SpanLength)
        {
            using var scope = NewDisposeScope();
            result.copy_(ByUnits(values, from, to));
        }
        else if (from.Dimension == 0)
        {
            // [from, to, depth]: a matrix for each unit.
            var size = others * depth;
            Each(from.Units, values.numel(), u => Transpose(
                Numbers(values).Slice(u * size, size), depth, others, depth, Numbers(result).Slice(u * size, size), others));
        }
        else
        {
            // [to, from * depth]: one matrix, some columns at a time.
            var columns = from.Units * depth;
            Each((columns + Strip - 1) / Strip, values.numel(), k => Transpose(
                Numbers(values)[(k * Strip)..], columns, others, Math.Min(Strip, columns - k * Strip), Numbers(result)[(k * Strip * others)..], others));
        }
    }

    /// <summary>The numbers of a contiguous tensor on the CPU.</summary>
    public static Span<float> Numbers(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes);

    private static void Each(int count, long numbers, Action<int> work)
    {
        if (numbers >= LargeEnoughForThreads) Parallel.For(0, count, work);
        else
            for (var k = 0; k < count; k++) work(k);
    }

    // Any axes: [units along one, all that is neither, units along the other].
    private static Tensor ByUnits(Tensor values, PermutedAxis from, PermutedAxis to)
    {
        var shape = new List<long>();
        var (first, last) = (-1, -1);
        for (var d = 0; d < values.dim(); d++)
        {
            if (d == from.Dimension) first = shape.Count;
            if (d == to.Dimension) last = shape.Count;
            var block = d == from.Dimension ? from.Block : d == to.Dimension ? to.Block : 1;
            shape.Add(values.shape[d] / block);
            if (block > 1) shape.Add(block);
        }

        long[] order = [first, .. Enumerable.Range(0, shape.Count).Where(d => d != first && d != last), last];
        return values.reshape([.. shape]).permute(order).reshape([shape[first], -1]).contiguous();
    }

    // result[c * resultStride + r] = values[r * stride + c]
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(ReadOnlySpan<float> values, int stride, int rows, int columns, Span<float> result, int resultStride)
    {
        // The last tile of a row may begin within the one before: what both write is the same.
        if (Avx.IsSupported && rows >= Tile && columns >= Tile)
        {
            values = values[..((rows - 1) * stride + columns)];
            result = result[..((columns - 1) * resultStride + rows)];
            ref var source = ref MemoryMarshal.GetReference(values);
            ref var target = ref MemoryMarshal.GetReference(result);
            for (var column = 0; column < columns; column += Tile)
            {
                var c = Math.Min(column, columns - Tile);
                for (var row = 0; row < rows; row += Tile)
                {
                    var r = Math.Min(row, rows - Tile);
                    TransposeTile(ref Unsafe.Add(ref source, r * stride + c), stride, ref Unsafe.Add(ref target, c * resultStride + r), resultStride);
                }
            }

            return;
        }

        for (var c = 0; c < columns; c++)
            for (var r = 0; r < rows; r++) result[c * resultStride + r] = values[r * stride + c];
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TransposeTile(ref float source, int stride, ref float target, int targetStride)
    {
        var (a, b) = Interleave(Row(ref source, 0, stride), Row(ref source, 1, stride));
        var (c, d) = Interleave(Row(ref source, 2, stride), Row(ref source, 3, stride));
        var (e, f) = Interleave(Row(ref source, 4, stride), Row(ref source, 5, stride));
        var (g, h) = Interleave(Row(ref source, 6, stride), Row(ref source, 7, stride));
        const byte low = 0b01_00_01_00, high = 0b11_10_11_10;
        var (p, q) = (Avx.Shuffle(a, c, low), Avx.Shuffle(e, g, low));
        Store(ref target, 0, targetStride, p, q);
        (p, q) = (Avx.Shuffle(a, c, high), Avx.Shuffle(e, g, high));
        Store(ref target, 1, targetStride, p, q);
        (p, q) = (Avx.Shuffle(b, d, low), Avx.Shuffle(f, h, low));
        Store(ref target, 2, targetStride, p, q);
        (p, q) = (Avx.Shuffle(b, d, high), Avx.Shuffle(f, h, high));
        Store(ref target, 3, targetStride, p, q);
    }

    // Of two rows, in each half: the first two numbers of both in turn, and the last two.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (Vector256<float> Low, Vector256<float> High) Interleave(Vector256<float> one, Vector256<float> other) =>
        (Avx.UnpackLow(one, other), Avx.UnpackHigh(one, other));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Row(ref float source, int row, int stride) => Vector256.LoadUnsafe(ref source, (nuint)(row * stride));

    // Both hold one column in their lower halves and the fourth after it in their upper ones.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(ref float target, int column, int stride, Vector256<float> top, Vector256<float> bottom)
    {
        Avx.Permute2x128(top, bottom, 0x20).StoreUnsafe(ref target, (nuint)(column * stride));
        Avx.Permute2x128(top, bottom, 0x31).StoreUnsafe(ref target, (nuint)((column + 4) * stride));
    }
}
