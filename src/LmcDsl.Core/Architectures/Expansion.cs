using System.Collections.Immutable;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// One entry repeated along an axis, as keys are for the queries that share them. Copies are equal, so that their axis has an order of
/// its own, whichever follows from elsewhere.
/// </summary>
public sealed class Expansion(ImmutableArray<int> shape) : Layer
{
    /// <summary>The new shape, without the batch; axes are aligned at the last.</summary>
    public ImmutableArray<int> Shape { get; } = shape;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var axes = inputs[0].Axes;
        Guard.Require(!Shape.IsDefault && Shape.Length >= axes.Length, $"expansion layer: expected {axes.Length} or more axes");
        Sizes.Product("expansion layer: numbers of one example", Shape.AsSpan());
        var added = Shape.Length - axes.Length;
        Guard.Require(
            axes.Select((axis, d) => axis.Size == 1 || axis.Size == Shape[d + added]).All(fits => fits),
            $"expansion layer: expected axes of one entry or the same size, found {Guard.Show(inputs[0].Shape)} for {string.Join(" x ", Shape)}");
        return new Signal([.. Shape.Select((size, d) => d >= added && axes[d - added].Size == size ? axes[d - added] : wiring.Fresh(size))]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        Broadcasting.Lift(inputs[0], Shape.Length + 1).expand([inputs[0].shape[0], .. Shape.Select(size => (long)size)]);
}
