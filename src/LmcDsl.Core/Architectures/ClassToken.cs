using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>Puts a learned vector before the positions, whose output is read for the whole (1810.04805, 2010.11929).</summary>
public sealed class ClassToken : Layer
{
    /// <inheritdoc/>
    public override string Title => "class token";

    /// <inheritdoc/>
    public override SymmetryClass Commutes => SymmetryClass.Invertible;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        inputs[0].RequireSequence("class token");
        wiring.Fix(inputs[0].Axes[0]);
        wiring.Parameter("weight", ParameterRole.Bias, Initializer.Small, 1, inputs[0].Axes[1]);
        return Signal.Of(wiring.Fixed(inputs[0].Axes[0].Size + 1), inputs[0].Axes[1]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        cat([parameters[0].expand(inputs[0].shape[0], 1, -1), inputs[0]], 1);
}
