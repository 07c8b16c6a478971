using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// Sums and sums of squares of units' samples, in double. Samples in float32 on the CPU are read once, where Torch makes copies of them in double.
/// </summary>
internal static class SampleSums
{
    private const int Lanes = 8;
    private const int Block = 64; // samples of all units that are read before sums are stored: within the second cache

    /// <summary>Adds up each unit's samples.</summary>
    /// <param name="samples"><c>[units, samples]</c>, in any layout.</param>
    /// <returns><c>[2, units]</c>: sums, and sums of squares; in the caller's dispose scope.</returns>
    public static Tensor Of(Tensor samples)
    {
        var isPlain = samples.dtype == ScalarType.Float32 && samples.device_type == TorchSharp.DeviceType.CPU
            && samples.numel() is > 0 and <= int.MaxValue / sizeof(float);
        if (isPlain && samples.is_contiguous()) return Sums(samples, (int)samples.shape[0], OfRows);
        using var turned = samples.t();
        if (isPlain && turned.is_contiguous()) return Sums(turned, (int)samples.shape[0], OfColumns);
        using var wide = samples.to(ScalarType.Float64);
        using var squares = wide.square();
        return stack([wide.sum(dim: 1L), squares.sum(dim: 1L)]);
    }

    private delegate void Add(ReadOnlySpan<float> values, int units, Span<double> sums);

    private static Tensor Sums(Tensor samples, int units, Add add)
    {
        var sums = new double[2 * units];
        add(MemoryMarshal.Cast<byte, float>(samples.bytes), units, sums);
        return tensor(sums).reshape(2, units);
    }

    // One unit's samples after the other's.
    private static void OfRows(ReadOnlySpan<float> values, int units, Span<double> sums)
    {
        var samples = values.Length / units;
        for (var u = 0; u < units; u++)
        {
            var own = values.Slice(u * samples, samples);
            var (sum, otherSum, square, otherSquare) = (Vector256<double>.Zero, Vector256<double>.Zero, Vector256<double>.Zero, Vector256<double>.Zero);
            var k = 0;
            for (; k <= samples - Lanes; k += Lanes)
            {
                var (lower, upper) = Vector256.Widen(Vector256.Create(own[k..]));
                (sum, otherSum) = (sum + lower, otherSum + upper);
                (square, otherSquare) = (square + lower * lower, otherSquare + upper * upper);
            }

            var (total, squares) = (Vector256.Sum(sum + otherSum), Vector256.Sum(square + otherSquare));
            for (; k < samples; k++) (total, squares) = (total + own[k], squares + (double)own[k] * own[k]);
            (sums[u], sums[units + u]) = (total, squares);
        }
    }

    // All units' numbers of one sample after those of the other.
    private static void OfColumns(ReadOnlySpan<float> values, int units, Span<double> sums)
    {
        var samples = values.Length / units;
        var totals = sums[..units];
        var squares = sums[units..];
        for (var start = 0; start < samples; start += Block)
        {
            var end = Math.Min(samples, start + Block);
            var u = 0;
            for (; u <= units - Lanes; u += Lanes)
            {
                var (sum, otherSum) = (Vector256.Create(totals[u..]), Vector256.Create(totals[(u + Lanes / 2)..]));
                var (square, otherSquare) = (Vector256.Create(squares[u..]), Vector256.Create(squares[(u + Lanes / 2)..]));
                for (var k = start; k < end; k++)
                {
                    var (lower, upper) = Vector256.Widen(Vector256.Create(values[(k * units + u)..]));
                    (sum, otherSum) = (sum + lower, otherSum + upper);
                    (square, otherSquare) = (square + lower * lower, otherSquare + upper * upper);
                }

                sum.CopyTo(totals[u..]);
                otherSum.CopyTo(totals[(u + Lanes / 2)..]);
                square.CopyTo(squares[u..]);
                otherSquare.CopyTo(squares[(u + Lanes / 2)..]);
            }

            for (; u < units; u++)
                for (var k = start; k < end; k++)
                {
                    double value = values[k * units + u];
                    (totals[u], squares[u]) = (totals[u] + value, squares[u] + value * value);
                }
        }
    }
}
