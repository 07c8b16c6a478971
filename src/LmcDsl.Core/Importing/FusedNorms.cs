using System.Globalization;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>A batch norm of a checkpoint.</summary>
/// <param name="Name">What stands before its tensors' names.</param>
/// <param name="Scale">Its scale; none where it has neither scale nor shift.</param>
/// <param name="Shift">Its shift.</param>
/// <param name="Mean">Its running mean.</param>
/// <param name="Variance">Its running variance.</param>
internal sealed record KnownNorm(string Name, KnownTensor? Scale, KnownTensor? Shift, KnownTensor Mean, KnownTensor Variance);

/// <summary>A norm that an export has folded into the weight and the bias before it.</summary>
/// <param name="Weight">The weight as it was.</param>
/// <param name="Bias">The bias as it was; null where the layer had none.</param>
/// <param name="Norm">The norm.</param>
/// <param name="Epsilon">What it adds to variances.</param>
internal sealed record FusedNorm(KnownTensor Weight, KnownTensor? Bias, KnownNorm Norm, double Epsilon);

/// <summary>
/// Norms that an export has folded into the weights before them: W s and (b - mean) s + shift with s = scale / sqrt(variance + epsilon),
/// computed again of a checkpoint's numbers and compared, channel by channel.
/// </summary>
internal static class FusedNorms
{
    private const double Single = 1e-5, Half = 1e-2; // what rounding explains, as a share

    // What norms add to variances, the usual first.
    private static readonly double[] Epsilons = [1e-5, 1e-3, 1e-6, 1e-4, 1e-2, 1e-8, 1e-7, 1e-9, 1e-12];

    /// <summary>The batch norms of a checkpoint.</summary>
    public static KnownNorm[] Of(KnownTensors known)
    {
        const string mean = "running_mean";
        return [.. known.All.Where(tensor => tensor.Name.EndsWith(mean, StringComparison.Ordinal) && tensor.Shape.Length == 1)
            .Select(tensor => (Mean: tensor, Variance: known.Beside(tensor, mean, "running_var"), Scale: known.Beside(tensor, mean, "weight"), Shift: known.Beside(tensor, mean, "bias")))
            .Where(norm => norm.Variance is not null && (norm.Scale is null) == (norm.Shift is null)
                && new[] { norm.Variance, norm.Scale, norm.Shift }.All(other => other is null || other.Shape.AsSpan().SequenceEqual(norm.Mean.Shape.AsSpan())))
            .Select(norm => new KnownNorm(norm.Mean.Name[..^mean.Length].TrimEnd('.'), norm.Scale, norm.Shift, norm.Mean, norm.Variance!))];
    }

    /// <summary>Every weight with a norm that gives a graph's weight and bias.</summary>
    /// <param name="weight">The graph's weight, a row for each channel.</param>
    /// <param name="bias">Its bias.</param>
    /// <param name="candidates">Weights of the checkpoint, each with its rows and the bias beside it.</param>
    /// <param name="norms">Norms of the checkpoint.</param>
    /// <returns>Those that fit.</returns>
    public static List<FusedNorm> Fits(Tensor weight, Tensor bias, IEnumerable<(KnownTensor Weight, Tensor Rows, KnownTensor? Bias)> candidates, IReadOnlyList<KnownNorm> norms)
    {
        using var scope = NewDisposeScope();
        var (fused, shift) = (weight.to(ScalarType.Float64), Numbers(bias));
        var found = new List<FusedNorm>();
        foreach (var (own, rows, before) in candidates)
        {
            var tolerance = Math.Min(weight.element_size(), rows.element_size()) >= 4 ? Single : Half;
            var plain = rows.to(ScalarType.Float64);
            // The scale of each channel that comes nearest, and what it leaves; a row of zeros has none.
            var (products, squares) = (Numbers((fused * plain).sum(1)), Numbers(plain.square().sum(1)));
            double?[] scales = [.. products.Zip(squares, (product, square) => square > 0 ? product / square : (double?)null)];
            var rest = Numbers((fused - plain * tensor(scales.Select(scale => scale ?? 0).ToArray()).unsqueeze(1)).abs().amax([1]));
            var largest = Numbers(fused.abs().amax([1]));
            if (Enumerable.Range(0, rest.Length).Any(k => !(rest[k] <= tolerance * largest[k]))) continue;
            foreach (var norm in norms.Where(norm => norm.Mean.Shape[0] == fused.shape[0]))
                if (Epsilon(norm, scales, before, shift, tolerance) is { } epsilon) found.Add(new FusedNorm(own, before, norm, epsilon));
        }

        return found;
    }

    // What a norm adds to variances if it is the one that was folded; null where it is not. Channel by channel, in double.
    private static double? Epsilon(KnownNorm norm, double?[] scales, KnownTensor? bias, double[] shift, double tolerance)
    {
        var (mean, variance) = (Numbers(norm.Mean.Numbers), Numbers(norm.Variance.Numbers));
        double[] own = norm.Scale is null ? [.. mean.Select(_ => 1.0)] : Numbers(norm.Scale.Numbers);
        double[] zero = norm.Shift is null ? new double[mean.Length] : Numbers(norm.Shift.Numbers);
        double[] before = bias is null ? new double[mean.Length] : Numbers(bias.Numbers);
        var distances = new List<(double Epsilon, double Apart)>();
        foreach (var epsilon in Epsilons.Concat(Estimate(own, variance, scales)))
        {
            double[] factor = [.. own.Select((value, k) => value / Math.Sqrt(variance[k] + epsilon))];
            double[] size = [.. factor.Select((value, k) => Math.Abs((before[k] - mean[k]) * value) + Math.Abs(zero[k]))];
            var weights = Apart(factor.Length, k => (scales[k] ?? factor[k]) - factor[k], k => Math.Abs(factor[k]));
            var shifts = Apart(factor.Length, k => shift[k] - ((before[k] - mean[k]) * factor[k] + zero[k]), k => size[k]);
            distances.Add((epsilon, Math.Max(weights, shifts)));
        }

        var least = distances.Min(distance => distance.Apart);
        if (!(least <= tolerance)) return null;
        // Where variances are large, several fit alike: the most usual of them.
        return distances.First(distance => distance.Apart <= Math.Max(2 * least, 1e-7)).Epsilon;
    }

    // By the channel where it counts for most, to one digit.
    private static IEnumerable<double> Estimate(double[] own, double[] variance, double?[] scales)
    {
        int[] usable = [.. Enumerable.Range(0, own.Length).Where(k => scales[k] is { } scale && scale != 0)];
        if (usable.Length == 0) yield break;
        var least = usable.MinBy(k => variance[k]);
        var estimate = Math.Pow(own[least] / scales[least]!.Value, 2) - variance[least];
        if (estimate is > 1e-15 and < 1e3)
            yield return double.Parse(estimate.ToString("E0", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
    }

    // The largest difference, as a share of what it is of, or of a thousandth of the largest of such.
    private static double Apart(int count, Func<int, double> difference, Func<int, double> size)
    {
        var largest = Enumerable.Range(0, count).Max(size);
        return Enumerable.Range(0, count).Max(k => Math.Abs(difference(k)) / (size(k) + 1e-3 * largest + 1e-30));
    }

    private static double[] Numbers(Tensor values) => values.to(ScalarType.Float64).contiguous().data<double>().ToArray();
}
