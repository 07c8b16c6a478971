using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>A residual sum of signals of the same shape. It unites their axes: all sides are permuted together.</summary>
public sealed class Sum([AlwaysWritten] int arity = 2) : Layer
{
    /// <summary>How many signals are added.</summary>
    public override int Arity { get; } = arity;

    /// <inheritdoc/>
    public override SymmetryClass Commutes => SymmetryClass.Invertible;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(Arity >= 2, $"sum layer: expected 2 or more inputs, found {Arity}");
        foreach (var input in inputs.Skip(1))
        {
            Guard.Require(
                inputs[0].Shape.SequenceEqual(input.Shape),
                $"sum layer: expected inputs of the same shape, found {Guard.Show(inputs[0].Shape)} and {Guard.Show(input.Shape)}");
            foreach (var (left, right) in inputs[0].Axes.Zip(input.Axes)) wiring.Unite(left, right);
        }

        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        inputs.Skip(1).Aggregate(inputs[0], (sum, input) => sum + input);
}
