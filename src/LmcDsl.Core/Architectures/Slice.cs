using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A part of the channels, or features, of a signal; several of them split it. The part's units, and the others, are permuted among
/// themselves.
/// </summary>
public sealed class Slice(int start, int length) : Layer
{
    /// <summary>The first channel.</summary>
    public int Start { get; } = start;

    /// <summary>Number of channels.</summary>
    public int Length { get; } = length;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs) =>
        new([wiring.Slice(inputs[0].Axes[0], Start, Length), .. inputs[0].Axes.Skip(1)]);

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        inputs[0].narrow(1, Start, Length);
}
