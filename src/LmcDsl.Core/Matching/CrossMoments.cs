using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// First and second moments of two models' units, summed batch by batch in double: memory is that of one matrix of units by
/// units, however many samples there are.
/// </summary>
internal sealed class CrossMoments(int units, Device device)
{
    private readonly Tensor products = zeros(units, units, ScalarType.Float64, device);
    private readonly Tensor left = zeros(2, units, ScalarType.Float64, device); // sums, sums of squares
    private readonly Tensor right = zeros(2, units, ScalarType.Float64, device);
    private long samples;

    /// <summary>Adds samples.</summary>
    /// <param name="x">One model's activations, <c>[units, samples]</c>.</param>
    /// <param name="y">The other's, of the same shape.</param>
    public void Add(Tensor x, Tensor y)
    {
        using var scope = NewDisposeScope();
        products.add_(x.mm(y.t()).to(ScalarType.Float64));
        left.add_(Sums(x));
        right.add_(Sums(y));
        samples += x.shape[1];
    }

    /// <summary>cov(x_i, y_j), <c>[units, units]</c>, in the caller's dispose scope.</summary>
    /// <returns>The matrix.</returns>
    public Tensor Covariance() => products / samples - (left[0] / samples).outer(right[0] / samples);

    /// <summary>corr(x_i, y_j), 0 where a unit does not vary; in the caller's dispose scope.</summary>
    /// <returns>The matrix.</returns>
    public Tensor Correlation()
    {
        var scale = Deviation(left).outer(Deviation(right));
        return where(scale > 0, Covariance() / scale, zeros_like(scale));
    }

    private Tensor Deviation(Tensor sums) => (sums[1] / samples - (sums[0] / samples).square()).clamp_min(0).sqrt();

    private static Tensor Sums(Tensor x)
    {
        var wide = x.to(ScalarType.Float64);
        return stack([wide.sum(dim: 1L), wide.square().sum(dim: 1L)]);
    }
}
