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
        var (fused, shift) = (weight.to(ScalarType.Float64), bias.to(ScalarType.Float64));
        var found = new List<FusedNorm>();
        foreach (var (own, rows, before) in candidates)
        {
            var tolerance = Math.Min(weight.element_size(), rows.element_size()) >= 4 ? Single : Half;
            var plain = rows.to(ScalarType.Float64);
            var squares = plain.square().sum(1);
            var scale = (fused * plain).sum(1) / squares.clamp(min: 1e-300);
            if (Apart(fused, plain * scale.unsqueeze(1), 1) > tolerance) continue;
            var alive = squares > 0; // a row of zeros tells nothing of its scale
            foreach (var norm in norms.Where(norm => norm.Mean.Shape[0] == fused.shape[0]))
                if (Epsilon(norm, scale, alive, before, shift, tolerance) is { } epsilon) found.Add(new FusedNorm(own, before, norm, epsilon));
        }

        return found;
    }

    // What a norm adds to variances if it is the one that was folded; null where it is not.
    private static double? Epsilon(KnownNorm norm, Tensor scale, Tensor alive, KnownTensor? bias, Tensor shift, double tolerance)
    {
        var variance = norm.Variance.Numbers.to(ScalarType.Float64);
        var own = norm.Scale?.Numbers.to(ScalarType.Float64) ?? ones_like(variance);
        var centre = -norm.Mean.Numbers.to(ScalarType.Float64);
        if (bias is not null) centre = centre + bias.Numbers.to(ScalarType.Float64);
        var zero = norm.Shift?.Numbers.to(ScalarType.Float64) ?? zeros_like(variance);
        var distances = new List<(double Epsilon, double Apart)>();
        foreach (var epsilon in Epsilons.Concat(Estimate(own, variance, scale, alive)))
        {
            var factor = own / (variance + epsilon).sqrt();
            var weights = Apart(where(alive, scale, factor), factor, 0);
            var (product, sum) = (centre * factor, centre * factor + zero);
            var size = product.abs() + zero.abs();
            var shifts = ((shift - sum).abs() / (size + 1e-3 * size.max() + 1e-30)).max().item<double>();
            distances.Add((epsilon, Math.Max(weights, shifts)));
        }

        var least = distances.Min(distance => distance.Apart);
        if (!(least <= tolerance)) return null;
        // Where variances are large, several fit alike: the most usual of them.
        return distances.First(distance => distance.Apart <= Math.Max(2 * least, 1e-7)).Epsilon;
    }

    // By the channel where it counts for most, to one digit.
    private static IEnumerable<double> Estimate(Tensor own, Tensor variance, Tensor scale, Tensor alive)
    {
        var usable = alive & (scale != 0);
        if (!usable.any().item<bool>()) yield break;
        var least = where(usable, variance, full_like(variance, double.PositiveInfinity)).argmin().item<long>();
        var estimate = Math.Pow(own[least].item<double>() / scale[least].item<double>(), 2) - variance[least].item<double>();
        if (!(estimate is > 1e-15 and < 1e3)) yield break;
        var digit = Math.Pow(10, Math.Floor(Math.Log10(estimate)));
        yield return double.Parse((Math.Round(estimate / digit) * digit).ToString("E0", System.Globalization.CultureInfo.InvariantCulture), System.Globalization.CultureInfo.InvariantCulture);
    }

    // The largest difference, as a share of each number, or of a thousandth of the largest beside it.
    private static double Apart(Tensor one, Tensor other, int rows)
    {
        if (one.numel() == 0) return 0;
        var size = other.abs();
        var largest = rows == 1 ? size.amax([1], keepdim: true) : size.max();
        return ((one - other).abs() / (size + 1e-3 * largest + 1e-30)).max().item<double>();
    }
}
