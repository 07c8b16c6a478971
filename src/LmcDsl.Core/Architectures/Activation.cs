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

    /// <summary>x σ(x), σ the logistic function; also called swish.</summary>
    Silu,

    /// <summary>The logistic function 1 / (1 + exp(-x)).</summary>
    Sigmoid,

    /// <summary>min(max(0, x), 6).</summary>
    Relu6,

    /// <summary>min(max(-1, x), 1).</summary>
    HardTanh,

    /// <summary>min(max(0, x + 3), 6) / 6.</summary>
    HardSigmoid,

    /// <summary>x times the hard sigmoid of x.</summary>
    HardSwish,
}

/// <summary>An elementwise activation. It keeps every axis's label.</summary>
public sealed class Activation(ActivationFunction function) : Layer
{
    /// <summary>The function.</summary>
    public ActivationFunction Function { get; } = function;

    /// <inheritdoc/>
    public override string Title => Function.ToString().ToLowerInvariant();

    /// <inheritdoc/>
    /// <remarks>Of GELU, the slope at the root of 2, rounded up; of SiLU, the slope at 2.39936, rounded up.</remarks>
    public override double? Lipschitz => Function switch
    {
        ActivationFunction.Gelu => 1.12891,
        ActivationFunction.Silu => 1.09984,
        ActivationFunction.Sigmoid => 0.25,
        ActivationFunction.HardSigmoid => 1.0 / 6,
        ActivationFunction.HardSwish => 1.5,
        _ => 1,
    };

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs) => inputs[0];

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        Function switch
        {
            ActivationFunction.Relu => nn.functional.relu(inputs[0]),
            ActivationFunction.Tanh => nn.functional.tanh(inputs[0]),
            ActivationFunction.Gelu => nn.functional.gelu(inputs[0]),
            ActivationFunction.Silu => nn.functional.silu(inputs[0]),
            ActivationFunction.Sigmoid => inputs[0].sigmoid(),
            ActivationFunction.Relu6 => nn.functional.relu6(inputs[0]),
            ActivationFunction.HardTanh => nn.functional.hardtanh(inputs[0]),
            ActivationFunction.HardSigmoid => nn.functional.hardsigmoid(inputs[0]),
            ActivationFunction.HardSwish => nn.functional.hardswish(inputs[0]),
            _ => throw new ArgumentOutOfRangeException(nameof(Function), Function, "unknown activation"),
        };
}
