using System.Collections.Immutable;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Entries of one axis by their places, in any order: a token's, every second row. The axis is fixed, since places would not follow it.
/// </summary>
public sealed class Gathering(int axis, ImmutableArray<int> places, bool drop = false) : Layer
{
    /// <summary>The axis, from 0 on without the batch.</summary>
    public int Axis { get; } = axis;

    /// <summary>The places that are taken.</summary>
    public ImmutableArray<int> Places { get; } = places;

    /// <summary>Whether the axis goes, of which one place is taken.</summary>
    public bool Drop { get; } = drop;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var axes = inputs[0].Axes;
        Guard.Require(Axis >= 0 && Axis < axes.Length, $"gathering layer: expected one of {axes.Length} axes, found {Axis}");
        Guard.Require(
            !Places.IsDefaultOrEmpty && Places.All(place => place >= 0 && place < axes[Axis].Size) && (!Drop || Places.Length == 1),
            $"gathering layer: expected places from 0 to {axes[Axis].Size - 1}, and one where the axis goes, found {(Places.IsDefault ? "none" : string.Join(", ", Places.Take(20)))}");
        wiring.Fix(axes[Axis]);
        return new Signal(Drop ? axes.RemoveAt(Axis) : axes.SetItem(Axis, wiring.Fixed(Places.Length)));
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        if (Drop) return inputs[0].select(Axis + 1, Places[0]);
        return inputs[0].index_select(Axis + 1, tensor(Places.Select(place => (long)place).ToArray(), device: inputs[0].device));
    }
}
