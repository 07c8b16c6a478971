using System.Runtime.InteropServices;
using LmcDsl.Core.Solvers;
using static TorchSharp.torch;

namespace LmcDsl.Core.Measures;

/// <summary>The greatest absolute value of a tensor.</summary>
internal static class Magnitude
{
    private const int BlockLength = 1 << 18;

    /// <summary>Computes it, in one pass and without a copy on the CPU.</summary>
    /// <param name="tensor">A float32 tensor of 1 or more numbers.</param>
    /// <returns>The value; NaN or infinity where any number is not finite.</returns>
    public static float Of(Tensor tensor)
    {
        if (tensor.device_type != DeviceType.CPU || !tensor.is_contiguous() || tensor.numel() > int.MaxValue / sizeof(float))
        {
            using var scope = NewDisposeScope();
            return tensor.abs().max().to(ScalarType.Float32).item<float>(); // the maximum keeps NaN
        }

        var count = (int)tensor.numel();
        if (count <= BlockLength) return CostScan.Size(Span(tensor));
        var sizes = new float[(count + BlockLength - 1) / BlockLength];
        Parallel.For(0, sizes.Length, k =>
            sizes[k] = CostScan.Size(Span(tensor).Slice(k * BlockLength, Math.Min(BlockLength, count - k * BlockLength))));
        return sizes.Aggregate(Math.Max); // keeps NaN too
    }

    private static ReadOnlySpan<float> Span(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes);
}
