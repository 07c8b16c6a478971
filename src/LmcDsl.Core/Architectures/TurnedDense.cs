using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A fully connected layer whose weight lies the other way round: <c>y = x W + b</c>, W of shape <c>[inputs, units]</c>, b of shape
/// <c>[units]</c>, on the last axis of what it reads. GPT-2 has its weights so (there called Conv1D).
/// </summary>
public sealed class TurnedDense(int units, bool bias = true) : Layer
{
    /// <summary>Number of outputs.</summary>
    public int Units { get; } = units;

    /// <summary>Whether there is a bias.</summary>
    public bool Bias { get; } = bias;

    /// <inheritdoc/>
    public override string Title => "turned dense";

    /// <inheritdoc/>
    public override SymmetryClass Commutes => SymmetryClass.Invertible;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(Units >= 1, $"turned dense layer: expected 1 or more units, found {Units}");
        Guard.Require(
            inputs[0].Axes.Length >= 1, $"turned dense layer: expected an axis of features, found a shape of {Guard.Show(inputs[0].Shape)}");
        var input = inputs[0].Axes[^1];
        var output = wiring.Fresh(Units);
        wiring.Parameter("weight", ParameterRole.Weight, Initializer.UniformFanIn, input.Size, wiring.Dual(input), output);
        if (Bias) wiring.Parameter("bias", ParameterRole.Bias, Initializer.UniformFanIn, input.Size, output);
        return new Signal([.. inputs[0].Axes.SkipLast(1), output]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        nn.functional.linear(inputs[0], parameters[0].t(), Bias ? parameters[1] : null);
}
