using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// ⟨a, pi(b)⟩ of one parameter, accumulated in double, without a copy of it where its units are the first two dimensions. Sums are of rows, added up in
/// their order: they do not depend on the number of threads.
/// </summary>
internal static class PermutedProduct
{
    private const long LargeEnoughForThreads = 1 << 18;
    private const long SpanLength = 1 << 28; // a span holds at most 2 GB
    private const int Rows = 32; // that a thread takes at once

    /// <summary>Computes it.</summary>
    /// <param name="a">The first model's numbers.</param>
    /// <param name="b">The second model's.</param>
    /// <param name="axes">The axes that are permuted, at most two, each whole, and which unit is in each place.</param>
    /// <returns>The sum.</returns>
    public static double Of(Tensor a, Tensor b, params ReadOnlySpan<(PermutedAxis Axis, int[] Units)> axes)
    {
        int[]? rows = null, columns = null;
        var others = 1;
        foreach (var (axis, units) in axes)
        {
            if (axis.Dimension == 0 && axis.Block == 1) rows = units;
            else if (axis.Dimension == 1) (columns, others) = (units, axis.Units);
            else return Copied(a, b, axes);
        }

        if (!IsReadable(a) || !IsReadable(b)) return Copied(a, b, axes);
        if (rows is null && columns is null) return InnerProduct.Of(a, b);
        var (count, length) = ((int)a.shape[0], (int)(a.numel() / a.shape[0]));
        var sums = new double[count];
        if (a.numel() < LargeEnoughForThreads) Fill(0);
        else Parallel.For(0, (count + Rows - 1) / Rows, Fill);
        return sums.Sum();

        void Fill(int part)
        {
            var left = UnitLayout.Numbers(a);
            var right = UnitLayout.Numbers(b);
            var end = a.numel() < LargeEnoughForThreads ? count : Math.Min(count, (part + 1) * Rows);
            for (var i = part * Rows; i < end; i++)
            {
                var own = left.Slice(i * length, length);
                var other = right.Slice((rows?[i] ?? i) * length, length);
                sums[i] = columns is null ? InnerProduct.Dot(own, other) : Dot(own, other, columns, length / others);
            }
        }
    }

    private static bool IsReadable(Tensor tensor) =>
        tensor.device_type == DeviceType.CPU && tensor.is_contiguous() && tensor.dim() > 0 && tensor.numel() <= SpanLength;

    private static double Copied(Tensor a, Tensor b, ReadOnlySpan<(PermutedAxis Axis, int[] Units)> axes)
    {
        using var scope = NewDisposeScope();
        var moved = b;
        foreach (var (axis, units) in axes)
            moved = moved.index_select(axis.Dimension, Permutation.Entries(units, axis.Block).to(b.device));
        return InnerProduct.Of(a, moved);
    }

    // Of one row: numbers of a unit lie side by side. Two sums, so that no product waits for the one before.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Dot(ReadOnlySpan<float> left, ReadOnlySpan<float> right, int[] columns, int each)
    {
        double even = 0, odd = 0;
        if (each == 1)
        {
            var j = 0;
            for (; j + 2 <= columns.Length; j += 2)
            {
                even += (double)left[j] * right[columns[j]];
                odd += (double)left[j + 1] * right[columns[j + 1]];
            }

            if (j < columns.Length) even += (double)left[j] * right[columns[j]];
            return even + odd;
        }

        var (low, high) = (Vector256<double>.Zero, Vector256<double>.Zero);
        ref var a = ref MemoryMarshal.GetReference(left);
        ref var b = ref MemoryMarshal.GetReference(right);
        for (var j = 0; j < columns.Length; j++)
        {
            var (own, other) = (j * each, columns[j] * each);
            var k = 0;
            for (; k + 8 <= each; k += 8)
            {
                var (x, y) = Vector256.Widen(Vector256.LoadUnsafe(ref a, (nuint)(own + k)));
                var (u, v) = Vector256.Widen(Vector256.LoadUnsafe(ref b, (nuint)(other + k)));
                (low, high) = (low + x * u, high + y * v);
            }

            for (; k < each; k++) even += (double)left[own + k] * right[other + k];
        }

        return even + odd + Vector256.Sum(low + high);
    }
}
