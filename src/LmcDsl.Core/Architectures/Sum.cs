using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>A residual sum of two signals of the same shape. It unites their axes: both sides are permuted together.</summary>
public sealed record Sum : Layer
{
    /// <inheritdoc/>
    public override int Arity => 2;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(
            inputs[0].Shape.SequenceEqual(inputs[1].Shape),
            $"sum layer: expected two inputs of the same shape, found {Guard.Show(inputs[0].Shape)} and {Guard.Show(inputs[1].Shape)}");
        foreach (var (left, right) in inputs[0].Axes.Zip(inputs[1].Axes)) wiring.Unite(left, right);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(ReadOnlySpan<Tensor> parameters, ReadOnlySpan<Tensor> inputs, Mode mode) =>
        inputs[0] + inputs[1];
}
