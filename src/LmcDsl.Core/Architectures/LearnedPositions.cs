using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Adds a learned vector for each position: <c>[positions, units]</c>, or of a table <c>[rows, units]</c> for longer examples its first rows.
/// </summary>
public sealed class LearnedPositions(int rows = 0) : Layer
{
    /// <summary>For how many positions there are vectors; 0 for as many as examples have.</summary>
    public int Rows { get; } = rows;

    /// <inheritdoc/>
    public override string Title => "positions";

    /// <inheritdoc/>
    public override SymmetryClass Commutes => SymmetryClass.Invertible;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        inputs[0].RequireSequence("positions");
        var (positions, units) = (inputs[0].Axes[0], inputs[0].Axes[1]);
        Guard.Require(
            Rows == 0 || Rows >= positions.Size, $"positions layer: expected vectors for {positions.Size} positions or more, found {Rows}");
        // Rows that no example of this length reads have their places all the same.
        if (Rows > 0) wiring.Fix(positions);
        wiring.Parameter(
            "weight", ParameterRole.Weight, Initializer.Small, positions.Size, Rows == 0 ? positions : wiring.Fixed(Rows), units);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        inputs[0] + (Rows == 0 ? parameters[0] : parameters[0].narrow(0, 0, inputs[0].shape[1]));
}
