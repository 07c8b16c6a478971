using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Several outputs of one network, such as a language model's logits beside a classifier's, or features that others go on with. The first
/// one is given; the axes of all are fixed, as those of a network's output are.
/// </summary>
public sealed class Outputs : Layer
{
    /// <inheritdoc/>
    public override int Arity => 0;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        foreach (var axis in inputs.SelectMany(input => input.Axes)) wiring.Fix(axis);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) => inputs[0];
}
