using System.Text.Json.Serialization;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>Which function an activation applies to each entry.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ActivationFunction>))]
public enum ActivationFunction
{
    /// <summary>max(0, x).</summary>
    Relu,

    /// <summary>The hyperbolic tangent.</summary>
    Tanh,

    /// <summary>x Φ(x), Φ the normal distribution function.</summary>
    Gelu,
}

/// <summary>An elementwise activation. It keeps every axis's label.</summary>
public sealed class Activation(ActivationFunction function) : Layer
{
    /// <summary>The function.</summary>
    public ActivationFunction Function { get; } = function;

    /// <inheritdoc/>
    public override string Title => Function.ToString().ToLowerInvariant();

    /// <inheritdoc/>
    /// <remarks>Of GELU, the slope at the root of 2, rounded up.</remarks>
    public override double? Lipschitz => Function == ActivationFunction.Gelu ? 1.12891 : 1;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs) => inputs[0];

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        Function switch
        {
            ActivationFunction.Relu => nn.functional.relu(inputs[0]),
            ActivationFunction.Tanh => nn.functional.tanh(inputs[0]),
            ActivationFunction.Gelu => nn.functional.gelu(inputs[0]),
            _ => throw new ArgumentOutOfRangeException(nameof(Function), Function, "unknown activation"),
        };
}
