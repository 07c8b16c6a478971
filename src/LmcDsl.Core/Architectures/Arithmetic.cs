using System.Text.Json.Serialization;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>What is made of two numbers.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ArithmeticFunction>))]
public enum ArithmeticFunction
{
    /// <summary>The sum.</summary>
    Add,

    /// <summary>The difference.</summary>
    Subtract,

    /// <summary>The product.</summary>
    Multiply,

    /// <summary>The quotient; of whole numbers, towards zero.</summary>
    Divide,

    /// <summary>The first to the power of the second.</summary>
    Power,

    /// <summary>The rest of a division, with the sign of the divisor.</summary>
    Modulo,

    /// <summary>The rest of a division, with the sign of the dividend.</summary>
    Remainder,

    /// <summary>The smaller one.</summary>
    Minimum,

    /// <summary>The larger one.</summary>
    Maximum,

    /// <summary>The first where it is positive, else its product with the second: a rectifier with a slope that is learned.</summary>
    Rectify,

    /// <summary>Whether they are equal.</summary>
    Equal,

    /// <summary>Whether the first is larger.</summary>
    Greater,

    /// <summary>Whether the first is not smaller.</summary>
    GreaterOrEqual,

    /// <summary>Whether the first is smaller.</summary>
    Less,

    /// <summary>Whether the first is not larger.</summary>
    LessOrEqual,

    /// <summary>Whether both are true.</summary>
    And,

    /// <summary>Whether one is true.</summary>
    Or,

    /// <summary>Whether one is true and the other is not.</summary>
    Xor,
}

/// <summary>Two signals entry by entry, aligned at their last axes, one entry standing for many. It unites the axes that meet.</summary>
public sealed class Arithmetic(ArithmeticFunction function) : Layer
{
    /// <summary>What is made of two entries.</summary>
    public ArithmeticFunction Function { get; } = function;

    /// <inheritdoc/>
    public override int Arity => 2;

    /// <inheritdoc/>
    public override string Title => Function.ToString().ToLowerInvariant();

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs) =>
        Signal.Of(Broadcasting.Wire(wiring, "arithmetic layer", [inputs[0].Axes, inputs[1].Axes]));

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var aligned = Broadcasting.Align(inputs);
        var (left, right) = (aligned[0], aligned[1]);
        return Function switch
        {
            ArithmeticFunction.Add => left + right,
            ArithmeticFunction.Subtract => left - right,
            ArithmeticFunction.Multiply => left * right,
            ArithmeticFunction.Divide => left.is_floating_point() ? left / right : left.div(right, RoundingMode.trunc),
            ArithmeticFunction.Power => left.pow(right).to(left.dtype),
            ArithmeticFunction.Modulo => left.remainder(right),
            ArithmeticFunction.Remainder => left.fmod(right),
            ArithmeticFunction.Minimum => minimum(left, right),
            ArithmeticFunction.Maximum => maximum(left, right),
            ArithmeticFunction.Rectify => where(left > 0, left, left * right),
            ArithmeticFunction.Equal => left == right,
            ArithmeticFunction.Greater => left > right,
            ArithmeticFunction.GreaterOrEqual => left >= right,
            ArithmeticFunction.Less => left < right,
            ArithmeticFunction.LessOrEqual => left <= right,
            ArithmeticFunction.And => left.logical_and(right),
            ArithmeticFunction.Or => left.logical_or(right),
            ArithmeticFunction.Xor => left.logical_xor(right),
            _ => throw new ArgumentOutOfRangeException(nameof(Function), Function, "unknown function"),
        };
    }
}
