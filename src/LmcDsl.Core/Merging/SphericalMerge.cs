using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Merging;

/// <summary>
/// Spherical interpolation of two models, each parameter by itself (Shoemake 1985; mergekit's <c>slerp</c>): with the angle
/// <c>theta</c> between the two parameters, <c>(sin((1 - t) theta) A + sin(t theta) B) / sin(theta)</c>. The mean of two parameters of
/// one length that stand far apart is shorter than both; this is not.
/// </summary>
/// <param name="Share">t, the share of the second model, 0 to 1.</param>
public sealed record SphericalMerge(double Share = 0.5) : MergeMethod
{
    // Nearly parallel ones, and nearly opposite ones, between which there is no one arc, are interpolated straight.
    private const double Parallel = 0.9995;

    /// <inheritdoc/>
    public override void Require(Network network, int models)
    {
        Guard.Require(models == 2, $"spherical: expected 2 models, found {models}");
        Guard.Require(Share is >= 0 and <= 1, $"spherical: expected a share of the second model of 0 to 1, found {Share}");
    }

    /// <inheritdoc/>
    protected override IReadOnlyList<double> Shares(Network network, int parameter, int models) => [1 - Share, Share];

    /// <inheritdoc/>
    protected override Tensor OfLearned(IReadOnlyList<Tensor> values, Network network, int parameter)
    {
        var (a, b) = (values[0], values[1]);
        var lengths = a.norm().ToDouble() * b.norm().ToDouble();
        var cosine = lengths > 0 ? a.mul(b).sum().ToDouble() / lengths : 1;
        if (Math.Abs(cosine) > Parallel) return Sum(values, Shares(network, parameter, values.Count));
        var angle = Math.Acos(cosine);
        return Sum(values, [Math.Sin((1 - Share) * angle) / Math.Sin(angle), Math.Sin(Share * angle) / Math.Sin(angle)]);
    }
}
