using System.Collections.Immutable;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>A signal's axes in another order. Each keeps its label.</summary>
public sealed class Transposition(ImmutableArray<int> order) : Layer
{
    /// <summary>For each axis of the output, which of the input's it is, from 0 on; the batch does not count.</summary>
    public ImmutableArray<int> Order { get; } = order;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var axes = inputs[0].Axes;
        Guard.Require(
            !Order.IsDefault && Order.Order().SequenceEqual(Enumerable.Range(0, axes.Length)),
            $"transposition layer: expected each axis from 0 to {axes.Length - 1} once, found {(Order.IsDefault ? "none" : string.Join(", ", Order))}");
        return new Signal([.. Order.Select(d => axes[d])]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        inputs[0].permute([0, .. Order.Select(d => d + 1L)]);
}
