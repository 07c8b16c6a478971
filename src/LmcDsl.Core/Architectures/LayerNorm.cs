using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Layer normalisation over an example's axis of features, with learned scale and shift (Ba et al., 1607.06450). The mean
/// and variance run over the whole axis, so they do not change under a permutation; scale and shift follow it.
/// </summary>
/// <param name="Epsilon">Added to the variance.</param>
public sealed record LayerNorm(double Epsilon = 1e-5) : Layer
{
    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var axes = inputs[0].Axes;
        Guard.Require(
            axes.Length == 1,
            $"layer norm layer: expected one axis of features, found a shape of {Guard.Show(inputs[0].Shape)}");
        wiring.Parameter("weight", ParameterRole.NormWeight, Initializer.Ones, 1, axes[0]);
        wiring.Parameter("bias", ParameterRole.NormBias, Initializer.Zeros, 1, axes[0]);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(ReadOnlySpan<Tensor> parameters, ReadOnlySpan<Tensor> inputs, Mode mode) =>
        nn.functional.layer_norm(inputs[0], [inputs[0].shape[1]], parameters[0], parameters[1], Epsilon);
}
