using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>A fully connected layer: <c>y = x W^T + b</c>, W of shape <c>[units, inputs]</c>, b of shape <c>[units]</c>.</summary>
/// <param name="Units">Number of outputs.</param>
/// <param name="Bias">Whether there is a bias.</param>
public sealed record Dense(int Units, bool Bias = true) : Layer
{
    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(Units >= 1, $"dense layer: expected 1 or more units, found {Units}");
        Guard.Require(
            inputs[0].Axes.Length == 1,
            $"dense layer: expected one axis of features, found a shape of {Guard.Show(inputs[0].Shape)}; put a flatten before it");
        var input = inputs[0].Axes[0];
        var output = wiring.Fresh(Units);
        wiring.Parameter("weight", ParameterRole.Weight, Initializer.UniformFanIn, input.Size, output, input);
        if (Bias) wiring.Parameter("bias", ParameterRole.Bias, Initializer.UniformFanIn, input.Size, output);
        return new Signal([output]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(ReadOnlySpan<Tensor> parameters, ReadOnlySpan<Tensor> inputs, Mode mode) =>
        nn.functional.linear(inputs[0], parameters[0], Bias ? parameters[1] : null);
}
