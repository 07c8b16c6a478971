using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Root-mean-square normalisation over the axis of features, the last one (Zhang and Sennrich, 1910.07467):
/// <c>x / sqrt(mean(x²) + epsilon)</c>, times a learned gain. Without the gain a rotation of the features goes through it; with it,
/// permutations and signs do.
/// </summary>
public sealed class RmsNorm([AlwaysWritten] double epsilon = 1e-5, bool affine = true) : Layer
{
    /// <summary>Added to the mean of squares.</summary>
    public double Epsilon { get; } = epsilon;

    /// <summary>Whether there is a learned gain for each feature.</summary>
    public bool Affine { get; } = affine;

    /// <inheritdoc/>
    public override SymmetryClass Commutes => Affine ? SymmetryClass.Signed : SymmetryClass.Orthogonal;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var axes = inputs[0].Axes;
        Guard.Require(
            axes.Length is 1 or 2,
            $"RMS norm layer: expected an axis of features, or of positions and features, found a shape of {Guard.Show(inputs[0].Shape)}");
        if (Affine) wiring.Parameter("weight", ParameterRole.NormWeight, Initializer.Ones, 1, axes[^1]);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var x = inputs[0];
        var normed = x * (x.square().mean([-1L], keepdim: true) + Epsilon).rsqrt();
        return Affine ? normed * parameters[0] : normed;
    }
}
