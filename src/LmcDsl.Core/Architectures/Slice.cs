using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A part of the channels, or features, of a signal, or of another axis; several of them split it. The part's units, and the others, are permuted among
/// themselves.
/// </summary>
public sealed class Slice(int start, int length, int axis = 0) : Layer
{
    /// <summary>The first channel.</summary>
    public int Start { get; } = start;

    /// <summary>Number of channels.</summary>
    public int Length { get; } = length;

    /// <summary>The axis, from 0 on without the batch.</summary>
    public int Axis { get; } = axis;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var axes = inputs[0].Axes;
        Guard.Require(Axis >= 0 && Axis < axes.Length, $"slice layer: expected one of {axes.Length} axes, found {Axis}");
        return new Signal(axes.SetItem(Axis, wiring.Slice(axes[Axis], Start, Length)));
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        inputs[0].narrow(Axis + 1, Start, Length);
}
