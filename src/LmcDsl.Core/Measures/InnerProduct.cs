using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Measures;

/// <summary>
/// Sums over tensors accumulated in double, so that objectives and distances can be compared without rounding noise deciding; of float32 ones
/// without a copy.
/// </summary>
public static class InnerProduct
{
    private const int BlockLength = 1 << 18;
    private const long SpanLength = 1 << 28; // a span holds at most 2 GB

    /// <summary>The sum of products of two tensors' entries.</summary>
    /// <param name="left">A tensor of real numbers.</param>
    /// <param name="right">Another of the same shape.</param>
    /// <returns>The sum, accumulated in double.</returns>
    /// <exception cref="LmcException">Two sizes.</exception>
    public static double Of(Tensor left, Tensor right) =>
        Sum(left, right, Dot, (a, b) => (a * b).sum());

    /// <summary>The sum of squares of two tensors' differences.</summary>
    /// <param name="left">A tensor of real numbers.</param>
    /// <param name="right">Another of the same shape.</param>
    /// <returns>The sum, accumulated in double.</returns>
    /// <exception cref="LmcException">Two sizes.</exception>
    public static double SquaredDistance(Tensor left, Tensor right) =>
        Sum(left, right, Squares, (a, b) => (a - b).square().sum());

    private static double Sum(
        Tensor left, Tensor right, Func<ReadOnlySpan<float>, ReadOnlySpan<float>, double> ofSpans, Func<Tensor, Tensor, Tensor> ofTensors)
    {
        Guard.Require(
            left.numel() == right.numel(), $"inner product: expected two tensors of one size, found {left.numel()} and {right.numel()} numbers");
        return OnCpu(left, right) ? InBlocks(left, right, ofSpans) : InDouble(left, right, ofTensors);
    }

    private static bool OnCpu(Tensor left, Tensor right) =>
        left.device_type == DeviceType.CPU && right.device_type == DeviceType.CPU
        && left.dtype == ScalarType.Float32 && right.dtype == ScalarType.Float32
        && left.is_contiguous() && right.is_contiguous();

    private static ReadOnlySpan<float> Span(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes);

    private static double InBlocks(Tensor left, Tensor right, Func<ReadOnlySpan<float>, ReadOnlySpan<float>, double> sum)
    {
        if (left.numel() <= SpanLength) return OfSpans(left, right, sum);
        using var scope = NewDisposeScope();
        var total = 0.0;
        for (var at = 0L; at < left.numel(); at += SpanLength)
        {
            var count = Math.Min(SpanLength, left.numel() - at);
            total += OfSpans(left.view(-1).narrow(0, at, count), right.view(-1).narrow(0, at, count), sum);
        }

        return total;
    }

    // Blocks of a fixed size, added up in their order: the sum does not depend on the number of threads.
    private static double OfSpans(Tensor left, Tensor right, Func<ReadOnlySpan<float>, ReadOnlySpan<float>, double> sum)
    {
        var count = Span(left).Length;
        var sums = new double[(count + BlockLength - 1) / BlockLength];
        if (sums.Length <= 1) return sum(Span(left), Span(right));
        Parallel.For(0, sums.Length, k =>
        {
            var start = k * BlockLength;
            var length = Math.Min(BlockLength, count - start);
            sums[k] = sum(Span(left).Slice(start, length), Span(right).Slice(start, length));
        });
        return sums.Sum();
    }

    private static double InDouble(Tensor left, Tensor right, Func<Tensor, Tensor, Tensor> sum)
    {
        using var scope = NewDisposeScope();
        return sum(left.to(ScalarType.Float64).flatten(), right.to(ScalarType.Float64).flatten()).ToDouble();
    }

    /// <summary>The sum of products of two spans' entries.</summary>
    /// <param name="left">Some numbers.</param>
    /// <param name="right">As many others.</param>
    /// <returns>The sum, accumulated in double.</returns>
    internal static double Dot(ReadOnlySpan<float> left, ReadOnlySpan<float> right)
    {
        var sum = (Low: Vector256<double>.Zero, High: Vector256<double>.Zero);
        var k = 0;
        for (; k + 8 <= left.Length; k += 8)
        {
            var (a, b) = Vector256.Widen(Vector256.Create(left.Slice(k, 8)));
            var (c, d) = Vector256.Widen(Vector256.Create(right.Slice(k, 8)));
            sum = (sum.Low + a * c, sum.High + b * d);
        }

        var total = Vector256.Sum(sum.Low + sum.High);
        for (; k < left.Length; k++) total += (double)left[k] * right[k];
        return total;
    }

    private static double Squares(ReadOnlySpan<float> left, ReadOnlySpan<float> right)
    {
        var sum = (Low: Vector256<double>.Zero, High: Vector256<double>.Zero);
        var k = 0;
        for (; k + 8 <= left.Length; k += 8)
        {
            var (a, b) = Vector256.Widen(Vector256.Create(left.Slice(k, 8)));
            var (c, d) = Vector256.Widen(Vector256.Create(right.Slice(k, 8)));
            sum = (sum.Low + (a - c) * (a - c), sum.High + (b - d) * (b - d));
        }

        var total = Vector256.Sum(sum.Low + sum.High);
        for (; k < left.Length; k++) total += ((double)left[k] - right[k]) * ((double)left[k] - right[k]);
        return total;
    }
}
