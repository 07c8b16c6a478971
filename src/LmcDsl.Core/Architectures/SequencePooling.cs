using System.Text.Json.Serialization;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>What stands for a sequence.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SequencePoolingFunction>))]
public enum SequencePoolingFunction
{
    /// <summary>The mean over positions.</summary>
    Mean,

    /// <summary>The first position, where a class token is.</summary>
    First,
}

/// <summary>One vector for a sequence: <c>[positions, units]</c> to <c>[units]</c>.</summary>
public sealed class SequencePooling(SequencePoolingFunction function) : Layer
{
    /// <summary>Which.</summary>
    public SequencePoolingFunction Function { get; } = function;

    /// <inheritdoc/>
    public override SymmetryClass Commutes => SymmetryClass.Invertible;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        inputs[0].RequireSequence("sequence pooling");
        wiring.Fix(inputs[0].Axes[0]);
        return Signal.Of(inputs[0].Axes[1]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) => Function switch
    {
        SequencePoolingFunction.Mean => inputs[0].mean([1L]),
        SequencePoolingFunction.First => inputs[0].select(1, 0),
        _ => throw new ArgumentOutOfRangeException(nameof(Function), Function, "unknown pooling"),
    };
}
