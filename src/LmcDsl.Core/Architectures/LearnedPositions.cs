using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>Adds a learned vector for each position: <c>[positions, units]</c>.</summary>
public sealed class LearnedPositions : Layer
{
    /// <inheritdoc/>
    public override string Title => "positions";

    /// <inheritdoc/>
    public override SymmetryClass Commutes => SymmetryClass.Invertible;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        inputs[0].RequireSequence("positions");
        wiring.Parameter("weight", ParameterRole.Weight, Initializer.Small, inputs[0].Axes[0].Size, [.. inputs[0].Axes]);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) => inputs[0] + parameters[0];
}
