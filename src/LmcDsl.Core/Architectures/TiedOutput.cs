using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>Logits by an earlier embedding's table: <c>y = x W'</c>, W of shape <c>[tokens, units]</c> (Press and Wolf, 1608.05859).</summary>
public sealed class TiedOutput(string embedding, int tokens) : Layer
{
    /// <summary>The name of the layer whose table is read.</summary>
    public string Embedding { get; } = embedding;

    /// <summary>Number of tokens.</summary>
    public int Tokens { get; } = tokens;

    /// <inheritdoc/>
    public override string Title => "tied output";

    /// <inheritdoc/>
    public override SymmetryClass Commutes => SymmetryClass.Invertible;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(Tokens >= 1, $"tied output layer: expected 1 or more tokens, found {Tokens}");
        var output = wiring.Fixed(Tokens);
        wiring.Shared($"{Embedding}.weight", output, wiring.Dual(inputs[0].Axes[^1]));
        return new Signal([.. inputs[0].Axes.Take(inputs[0].Axes.Length - 1), output]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        nn.functional.linear(inputs[0], parameters[0]);
}
