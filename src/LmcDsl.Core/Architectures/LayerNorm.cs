using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Layer normalisation over an example's axis of features, the last one, at each position by itself (Ba et al., 1607.06450), with learned
/// scale and shift. The mean and variance run over the whole axis, so they do not change under a permutation; scale and shift follow it.
/// Without a scale, rotations of the features that keep their mean go through it.
/// </summary>
public sealed class LayerNorm([AlwaysWritten] double epsilon = 1e-5, bool affine = true, bool scale = true) : Layer
{
    /// <summary>Added to the variance.</summary>
    public double Epsilon { get; } = epsilon;

    /// <summary>Whether there are a learned scale and shift for each feature.</summary>
    public bool Affine { get; } = affine;

    /// <summary>Whether there is a scale among them; without it there is a shift alone.</summary>
    public bool Scale { get; } = scale;

    /// <inheritdoc/>
    public override SymmetryClass Commutes => Affine && Scale ? SymmetryClass.Permutation : SymmetryClass.Centred;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var axes = inputs[0].Axes;
        Guard.Require(
            axes.Length >= 1,
            $"layer norm layer: expected an axis of features, found a shape of {Guard.Show(inputs[0].Shape)}");
        if (Affine && Scale) wiring.Parameter("weight", ParameterRole.NormWeight, Initializer.Ones, 1, axes[^1]);
        if (Affine) wiring.Parameter("bias", ParameterRole.NormBias, Initializer.Zeros, 1, axes[^1]);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        nn.functional.layer_norm(
            inputs[0], [inputs[0].shape[^1]], Affine && Scale ? parameters[0] : null, Affine ? parameters[^1] : null, Epsilon);
}
