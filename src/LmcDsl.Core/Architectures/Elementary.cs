using System.Text.Json.Serialization;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>A function of one number. Those that have two arguments call them a and b.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ElementaryFunction>))]
public enum ElementaryFunction
{
    /// <summary>|x|.</summary>
    Absolute,

    /// <summary>-x.</summary>
    Negative,

    /// <summary>1 / x.</summary>
    Reciprocal,

    /// <summary>-1, 0 or 1.</summary>
    Sign,

    /// <summary>exp(x).</summary>
    Exponential,

    /// <summary>The natural logarithm.</summary>
    Logarithm,

    /// <summary>The square root.</summary>
    SquareRoot,

    /// <summary>The error function.</summary>
    ErrorFunction,

    /// <summary>The sine.</summary>
    Sine,

    /// <summary>The cosine.</summary>
    Cosine,

    /// <summary>The tangent.</summary>
    Tangent,

    /// <summary>The inverse of the sine.</summary>
    ArcSine,

    /// <summary>The inverse of the cosine.</summary>
    ArcCosine,

    /// <summary>The inverse of the tangent.</summary>
    ArcTangent,

    /// <summary>The hyperbolic sine.</summary>
    HyperbolicSine,

    /// <summary>The hyperbolic cosine.</summary>
    HyperbolicCosine,

    /// <summary>The inverse of the hyperbolic sine.</summary>
    AreaSine,

    /// <summary>The inverse of the hyperbolic cosine.</summary>
    AreaCosine,

    /// <summary>The inverse of the hyperbolic tangent.</summary>
    AreaTangent,

    /// <summary>The largest whole number that is not larger.</summary>
    Floor,

    /// <summary>The smallest whole number that is not smaller.</summary>
    Ceiling,

    /// <summary>The nearest whole number, the even one where two are.</summary>
    Round,

    /// <summary>log(1 + exp(x)).</summary>
    Softplus,

    /// <summary>x / (1 + |x|).</summary>
    Softsign,

    /// <summary>x tanh(softplus(x)).</summary>
    Mish,

    /// <summary>GELU with its tangent in place of the normal distribution function.</summary>
    GeluTanh,

    /// <summary>x σ(a x).</summary>
    Swish,

    /// <summary>x where it is positive, else a (exp(x) - 1).</summary>
    Elu,

    /// <summary>max(0, x) + min(0, a (exp(x / a) - 1)).</summary>
    Celu,

    /// <summary>b x where x is positive, else b a (exp(x) - 1).</summary>
    Selu,

    /// <summary>x where it is positive, else a x.</summary>
    LeakyRelu,

    /// <summary>x where it is above a, else 0.</summary>
    ThresholdedRelu,

    /// <summary>min(max(0, a x + b), 1).</summary>
    HardSigmoid,

    /// <summary>min(max(a, x), b); without a limit where an argument is not given.</summary>
    Clip,

    /// <summary>x + b below -a, x - b above a, else 0.</summary>
    Shrink,

    /// <summary>Whether it is not true.</summary>
    Not,

    /// <summary>Whether it is no number.</summary>
    IsNaN,
}

/// <summary>A function of each entry that is none of the usual activations. It keeps every axis's label.</summary>
public sealed class Elementary(ElementaryFunction function, double? a = null, double? b = null) : Layer
{
    /// <summary>The function.</summary>
    public ElementaryFunction Function { get; } = function;

    /// <summary>Its first argument.</summary>
    public double? A { get; } = a;

    /// <summary>Its second argument.</summary>
    public double? B { get; } = b;

    /// <inheritdoc/>
    public override string Title => Function.ToString().ToLowerInvariant();

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var arguments = Function switch
        {
            ElementaryFunction.Swish or ElementaryFunction.Elu or ElementaryFunction.Celu or ElementaryFunction.LeakyRelu
                or ElementaryFunction.ThresholdedRelu => 1,
            ElementaryFunction.Selu or ElementaryFunction.HardSigmoid or ElementaryFunction.Shrink => 2,
            _ => 0,
        };
        Guard.Require(
            (arguments < 1 || A is not null) && (arguments < 2 || B is not null),
            $"elementary layer: expected {arguments} arguments of {Function}, found {(A is null ? 0 : 1) + (B is null ? 0 : 1)}");
        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var x = inputs[0];
        double a = A ?? 0, b = B ?? 0;
        return Function switch
        {
            ElementaryFunction.Absolute => x.abs(),
            ElementaryFunction.Negative => x.neg(),
            ElementaryFunction.Reciprocal => x.reciprocal(),
            ElementaryFunction.Sign => x.sign(),
            ElementaryFunction.Exponential => x.exp(),
            ElementaryFunction.Logarithm => x.log(),
            ElementaryFunction.SquareRoot => x.sqrt(),
            ElementaryFunction.ErrorFunction => x.erf(),
            ElementaryFunction.Sine => x.sin(),
            ElementaryFunction.Cosine => x.cos(),
            ElementaryFunction.Tangent => x.tan(),
            ElementaryFunction.ArcSine => x.asin(),
            ElementaryFunction.ArcCosine => x.acos(),
            ElementaryFunction.ArcTangent => x.atan(),
            ElementaryFunction.HyperbolicSine => x.sinh(),
            ElementaryFunction.HyperbolicCosine => x.cosh(),
            ElementaryFunction.AreaSine => x.arcsinh(),
            ElementaryFunction.AreaCosine => x.arccosh(),
            ElementaryFunction.AreaTangent => x.arctanh(),
            ElementaryFunction.Floor => x.floor(),
            ElementaryFunction.Ceiling => x.ceil(),
            ElementaryFunction.Round => x.round(),
            ElementaryFunction.Softplus => nn.functional.softplus(x),
            ElementaryFunction.Softsign => x / (x.abs() + 1),
            ElementaryFunction.Mish => x * nn.functional.softplus(x).tanh(),
            ElementaryFunction.GeluTanh => 0.5 * x * ((Math.Sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)).tanh() + 1),
            ElementaryFunction.Swish => x * (a * x).sigmoid(),
            ElementaryFunction.Elu => where(x > 0, x, a * x.clamp_max(0).expm1()),
            ElementaryFunction.Celu => x.clamp_min(0) + (a * (x / a).expm1()).clamp_max(0),
            ElementaryFunction.Selu => b * where(x > 0, x, a * x.clamp_max(0).expm1()),
            ElementaryFunction.LeakyRelu => where(x > 0, x, a * x),
            ElementaryFunction.ThresholdedRelu => where(x > a, x, zeros_like(x)),
            ElementaryFunction.HardSigmoid => (a * x + b).clamp(0, 1),
            ElementaryFunction.Clip => Clipped(x),
            ElementaryFunction.Shrink => where(x < -a, x + b, where(x > a, x - b, zeros_like(x))),
            ElementaryFunction.Not => x.logical_not(),
            ElementaryFunction.IsNaN => x.isnan(),
            _ => throw new ArgumentOutOfRangeException(nameof(Function), Function, "unknown function"),
        };
    }

    // The upper limit last, as ONNX has it where the lower one is above.
    private Tensor Clipped(Tensor x)
    {
        if (A is { } least) x = x.clamp_min(least);
        if (B is { } most) x = x.clamp_max(most);
        return x;
    }
}
