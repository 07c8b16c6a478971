using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Puts the channels, or features, of several signals after one another. Each keeps its labels: the parts are permuted by themselves.
/// </summary>
public sealed class Concatenation : Layer
{
    /// <inheritdoc/>
    public override int Arity => 0;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        foreach (var input in inputs)
        {
            Guard.Require(
                input.Axes.Length >= 1 && input.Shape.AsSpan(1).SequenceEqual(inputs[0].Shape.AsSpan(1)),
                $"concatenation layer: expected inputs of one shape but for the first axis, found {Guard.Show(inputs[0].Shape)} and {Guard.Show(input.Shape)}");
            foreach (var (left, right) in inputs[0].Axes.Zip(input.Axes).Skip(1)) wiring.Unite(left, right);
        }

        return new Signal([wiring.Concatenation([.. inputs.Select(input => input.Axes[0])]), .. inputs[0].Axes.Skip(1)]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        cat([.. inputs], 1);
}
