using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace LmcDsl.Core.Solvers;

/// <summary>Products of single rows of numbers, for matrices that are so small that calls of Torch would take longer.</summary>
internal static class RowProduct
{
    /// <summary>The inner product of two rows.</summary>
    /// <param name="x">One row.</param>
    /// <param name="y">Another, as long.</param>
    /// <returns>The sum, in float32.</returns>
    public static float Dot(ReadOnlySpan<float> x, ReadOnlySpan<float> y)
    {
        var (one, other) = (Vector256<float>.Zero, Vector256<float>.Zero);
        ref var left = ref MemoryMarshal.GetReference(x);
        ref var right = ref MemoryMarshal.GetReference(y);
        var k = 0;
        for (; k + 16 <= x.Length; k += 16)
        {
            one = Vector256.FusedMultiplyAdd(Vector256.LoadUnsafe(ref left, (nuint)k), Vector256.LoadUnsafe(ref right, (nuint)k), one);
            other = Vector256.FusedMultiplyAdd(Vector256.LoadUnsafe(ref left, (nuint)k + 8), Vector256.LoadUnsafe(ref right, (nuint)k + 8), other);
        }

        var sum = Vector256.Sum(one + other);
        for (; k < x.Length; k++) sum += x[k] * y[k];
        return sum;
    }

    /// <summary>Adds a row times a factor to another.</summary>
    /// <param name="to">What is added to.</param>
    /// <param name="values">As many numbers.</param>
    /// <param name="factor">The factor.</param>
    public static void AddScaled(Span<float> to, ReadOnlySpan<float> values, float factor)
    {
        ref var target = ref MemoryMarshal.GetReference(to);
        ref var source = ref MemoryMarshal.GetReference(values);
        var k = 0;
        for (; k + 8 <= to.Length; k += 8)
            Vector256.FusedMultiplyAdd(
                Vector256.LoadUnsafe(ref source, (nuint)k), Vector256.Create(factor), Vector256.LoadUnsafe(ref target, (nuint)k))
                .StoreUnsafe(ref target, (nuint)k);
        for (; k < to.Length; k++) to[k] += factor * values[k];
    }
}
