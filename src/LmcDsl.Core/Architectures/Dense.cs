using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A fully connected layer: <c>y = x W^T + b</c>, W of shape <c>[units, inputs]</c>, b of shape <c>[units]</c>; of a sequence
/// <c>[positions, features]</c>, at each position.
/// </summary>
public sealed class Dense(int units, [AlwaysWritten] bool bias = true) : Layer
{
    /// <summary>Number of outputs.</summary>
    public int Units { get; } = units;

    /// <summary>Whether there is a bias.</summary>
    public bool Bias { get; } = bias;

    /// <inheritdoc/>
    public override LinearMap? Linear => new("weight", Bias ? "bias" : null, input => input.flatten(0, -2).t());

    /// <inheritdoc/>
    public override SymmetryClass Commutes => SymmetryClass.Invertible;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(Units >= 1, $"dense layer: expected 1 or more units, found {Units}");
        Guard.Require(
            inputs[0].Axes.Length is 1 or 2,
            $"dense layer: expected one axis of features, or positions and features, found a shape of {Guard.Show(inputs[0].Shape)}; put a flatten before it");
        var input = inputs[0].Axes[^1];
        var output = wiring.Fresh(Units);
        wiring.Parameter("weight", ParameterRole.Weight, Initializer.UniformFanIn, input.Size, output, wiring.Dual(input));
        if (Bias) wiring.Parameter("bias", ParameterRole.Bias, Initializer.UniformFanIn, input.Size, output);
        return new Signal([.. inputs[0].Axes.Take(inputs[0].Axes.Length - 1), output]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        nn.functional.linear(inputs[0], parameters[0], Bias ? parameters[1] : null);
}
