using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Of two signals, entry by entry, the first where a third is true, such as a mask: inputs are the condition and both. It unites the axes
/// that meet, aligned at the last ones.
/// </summary>
public sealed class Choice : Layer
{
    /// <inheritdoc/>
    public override int Arity => 3;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs) =>
        Signal.Of(Broadcasting.Wire(wiring, "choice layer", [.. inputs.Select(input => input.Axes)]));

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var aligned = Broadcasting.Align(inputs);
        return where(aligned[0].to(ScalarType.Bool), aligned[1], aligned[2]);
    }
}
