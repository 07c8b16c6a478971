using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>Gives each token a vector: whole numbers <c>[positions]</c> to <c>[positions, units]</c>, by a table <c>[vocabulary, units]</c>.</summary>
public sealed class Embedding(int tokens, int units) : Layer
{
    /// <summary>Number of tokens.</summary>
    public int Tokens { get; } = tokens;

    /// <summary>Numbers of a token's vector.</summary>
    public int Units { get; } = units;

    /// <inheritdoc/>
    public override int? Vocabulary => Tokens;

    /// <inheritdoc/>
    public override SymmetryClass Commutes => SymmetryClass.Invertible;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(Tokens >= 1 && Units >= 1, $"embedding layer: expected 1 or more tokens and units, found {Tokens} and {Units}");
        Guard.Require(
            inputs[0].Axes.Length == 1, $"embedding layer: expected one axis of positions, found a shape of {Guard.Show(inputs[0].Shape)}");
        wiring.Fix(inputs[0].Axes[0]);
        var output = wiring.Fresh(Units);
        wiring.Parameter("weight", ParameterRole.Weight, Initializer.Small, Tokens, wiring.Fixed(Tokens), output);
        return Signal.Of(inputs[0].Axes[0], output);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        parameters[0].index_select(0, inputs[0].to(ScalarType.Int64).flatten()).view([.. inputs[0].shape, Units]);
}
