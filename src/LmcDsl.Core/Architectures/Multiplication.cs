using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// The product of two signals, entry by entry, as gates have it: of the same channels, or features; one may have a single position where
/// the other has many. It unites their axes.
/// </summary>
public sealed class Multiplication : Layer
{
    /// <inheritdoc/>
    public override int Arity => 2;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var (left, right) = (inputs[0].Axes, inputs[1].Axes);
        Guard.Require(
            left.Length == right.Length && left.Length >= 1 && left[0].Size == right[0].Size
                && left.Zip(right).Skip(1).All(pair => pair.First.Size == pair.Second.Size || pair.First.Size == 1 || pair.Second.Size == 1),
            $"multiplication layer: expected two inputs of the same channels, and of the same positions or one, found {Guard.Show(inputs[0].Shape)} and {Guard.Show(inputs[1].Shape)}");
        foreach (var (one, other) in left.Zip(right))
            if (one.Size == other.Size) wiring.Unite(one, other);
        return new Signal([.. left.Zip(right).Select(pair => pair.First.Size >= pair.Second.Size ? pair.First : pair.Second)]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) => inputs[0] * inputs[1];
}
