using LmcDsl.Core.Architectures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>Operators that take each entry by itself, or entries of several values together.</summary>
internal static class ElementwiseRules
{
    private static readonly Dictionary<string, ActivationFunction> Activations = new()
    {
        ["Relu"] = ActivationFunction.Relu,
        ["Tanh"] = ActivationFunction.Tanh,
        ["Sigmoid"] = ActivationFunction.Sigmoid,
        ["HardSwish"] = ActivationFunction.HardSwish,
    };

    private static readonly Dictionary<string, ElementaryFunction> Functions = new()
    {
        ["Abs"] = ElementaryFunction.Absolute,
        ["Neg"] = ElementaryFunction.Negative,
        ["Reciprocal"] = ElementaryFunction.Reciprocal,
        ["Sign"] = ElementaryFunction.Sign,
        ["Exp"] = ElementaryFunction.Exponential,
        ["Log"] = ElementaryFunction.Logarithm,
        ["Sqrt"] = ElementaryFunction.SquareRoot,
        ["Erf"] = ElementaryFunction.ErrorFunction,
        ["Sin"] = ElementaryFunction.Sine,
        ["Cos"] = ElementaryFunction.Cosine,
        ["Tan"] = ElementaryFunction.Tangent,
        ["Asin"] = ElementaryFunction.ArcSine,
        ["Acos"] = ElementaryFunction.ArcCosine,
        ["Atan"] = ElementaryFunction.ArcTangent,
        ["Sinh"] = ElementaryFunction.HyperbolicSine,
        ["Cosh"] = ElementaryFunction.HyperbolicCosine,
        ["Asinh"] = ElementaryFunction.AreaSine,
        ["Acosh"] = ElementaryFunction.AreaCosine,
        ["Atanh"] = ElementaryFunction.AreaTangent,
        ["Floor"] = ElementaryFunction.Floor,
        ["Ceil"] = ElementaryFunction.Ceiling,
        ["Round"] = ElementaryFunction.Round,
        ["Softplus"] = ElementaryFunction.Softplus,
        ["Softsign"] = ElementaryFunction.Softsign,
        ["Mish"] = ElementaryFunction.Mish,
        ["Not"] = ElementaryFunction.Not,
        ["IsNaN"] = ElementaryFunction.IsNaN,
    };

    private static readonly Dictionary<string, ArithmeticFunction> Pairs = new()
    {
        ["Sub"] = ArithmeticFunction.Subtract,
        ["Div"] = ArithmeticFunction.Divide,
        ["Pow"] = ArithmeticFunction.Power,
        ["PRelu"] = ArithmeticFunction.Rectify,
        ["Equal"] = ArithmeticFunction.Equal,
        ["Greater"] = ArithmeticFunction.Greater,
        ["GreaterOrEqual"] = ArithmeticFunction.GreaterOrEqual,
        ["Less"] = ArithmeticFunction.Less,
        ["LessOrEqual"] = ArithmeticFunction.LessOrEqual,
        ["And"] = ArithmeticFunction.And,
        ["Or"] = ArithmeticFunction.Or,
        ["Xor"] = ArithmeticFunction.Xor,
    };

    public static Dictionary<string, GraphRule> All { get; } = new Dictionary<string, GraphRule>
    {
        ["Add"] = Add,
        ["Mul"] = Multiply,
        ["Mod"] = at => [Pair(at, at.Int("fmod", 0) == 1 ? ArithmeticFunction.Remainder : ArithmeticFunction.Modulo, at.In(0), at.In(1))],
        ["Sum"] = at => [at.Inputs.Length > 1 && Plain(at, at.Inputs!) ? at.Emit(new Sum(at.Inputs.Length), at.In(0).Lead, at.Inputs!) : Fold(at, ArithmeticFunction.Add)],
        ["Mean"] = at => [Pair(at, ArithmeticFunction.Divide, Fold(at, ArithmeticFunction.Add), at.Graph.Number(at.Inputs.Length))],
        ["Min"] = at => [Fold(at, ArithmeticFunction.Minimum)],
        ["Max"] = at => [Fold(at, ArithmeticFunction.Maximum)],
        ["Clip"] = Clip,
        ["Gelu"] = at => [at.Text("approximate", "none") == "none" ? One(at, new Activation(ActivationFunction.Gelu)) : One(at, new Elementary(ElementaryFunction.GeluTanh))],
        ["Swish"] = at => [at.Float("alpha", 1) == 1 ? One(at, new Activation(ActivationFunction.Silu)) : One(at, new Elementary(ElementaryFunction.Swish, at.Float("alpha", 1)))],
        ["HardSigmoid"] = at => [Math.Abs(at.Float("alpha", 0.2f) - 1.0 / 6) < 1e-6 && at.Float("beta", 0.5f) == 0.5
            ? One(at, new Activation(ActivationFunction.HardSigmoid))
            : One(at, new Elementary(ElementaryFunction.HardSigmoid, at.Float("alpha", 0.2f), at.Float("beta", 0.5f)))],
        ["Elu"] = at => [One(at, new Elementary(ElementaryFunction.Elu, at.Float("alpha", 1)))],
        ["Celu"] = at => [One(at, new Elementary(ElementaryFunction.Celu, at.Float("alpha", 1)))],
        ["Selu"] = at => [One(at, new Elementary(ElementaryFunction.Selu, at.Float("alpha", 1.67326319217681884765625f), at.Float("gamma", 1.05070102214813232421875f)))],
        ["LeakyRelu"] = at => [One(at, new Elementary(ElementaryFunction.LeakyRelu, at.Float("alpha", 0.01f)))],
        ["ThresholdedRelu"] = at => [One(at, new Elementary(ElementaryFunction.ThresholdedRelu, at.Float("alpha", 1)))],
        ["Shrink"] = at => [One(at, new Elementary(ElementaryFunction.Shrink, at.Float("lambd", 0.5f), at.Float("bias", 0)))],
        ["Cast"] = Cast,
        ["CastLike"] = at => [Convert(at, at.In(0), at.In(1).Type)],
        ["Where"] = Where,
        ["Identity"] = at => [at.In(0)],
        ["Dropout"] = Dropout,
    }.Concat(Activations.Select(pair => KeyValuePair.Create<string, GraphRule>(pair.Key, at => [One(at, new Activation(pair.Value))])))
        .Concat(Functions.Select(pair => KeyValuePair.Create<string, GraphRule>(pair.Key, at => [One(at, new Elementary(pair.Value)) with { Type = pair.Key is "IsNaN" or "Not" ? ScalarType.Bool : at.In(0).Type }])))
        .Concat(Pairs.Select(pair => KeyValuePair.Create<string, GraphRule>(pair.Key, at => [Pair(at, pair.Value, at.In(0), at.In(1))])))
        .ToDictionary(rule => rule.Key, rule => rule.Value);

    /// <summary>A function of each entry of the first input.</summary>
    public static GraphValue One(GraphNode at, Layer layer) => at.Emit(layer, at.In(0).Lead, at.In(0));

    /// <summary>A function of two values' entries, broadcast as NumPy does.</summary>
    public static GraphValue Pair(GraphNode at, ArithmeticFunction function, GraphValue left, GraphValue right)
    {
        // Before opset 7 the second side's first axis was said.
        if (at.Version < 7 && at.Int("broadcast", 0) == 1 && at.Has("axis") && right.Rank < left.Rank)
        {
            var axis = at.Axis(at.Int("axis", 0), left.Rank);
            right = at.Reshape(at.Graph.Unled(at.Proto, right), [.. right.Shape, .. Enumerable.Repeat(1L, Math.Max(0, left.Rank - axis - right.Rank))]);
        }

        var aligned = at.Graph.Align(at.Proto, left, right);
        // A mask among numbers counts 0 and 1.
        if (function is ArithmeticFunction.Subtract)
            for (var k = 0; k < 2; k++)
                if (aligned[k].Type == ScalarType.Bool) aligned[k] = Convert(at, aligned[k], ScalarType.Float32);
        var result = at.Emit(new Arithmetic(function), GraphBuilder.IsLed(aligned), aligned);
        var type = function >= ArithmeticFunction.Equal ? ScalarType.Bool : left.Type == ScalarType.Bool ? right.Type : left.Type;
        return result with { Type = type };
    }

    /// <summary>The same numbers in another type.</summary>
    public static GraphValue Convert(GraphNode at, GraphValue value, ScalarType to)
    {
        if (value.Type == to && value.Constant?.dtype is null) return value;
        if (value.Constant is { } constant) return at.Graph.Constant(value.Name, constant.to(to)) with { Lead = value.Lead };
        // What is learned is in single precision.
        var isReal = to is ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16;
        if (value.Type == ScalarType.Float32 && isReal) return value;
        var name = to switch
        {
            ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16 => NumberType.Float32,
            ScalarType.Float64 => NumberType.Float64,
            ScalarType.Int64 => NumberType.Int64,
            ScalarType.Int32 => NumberType.Int32,
            ScalarType.Int16 => NumberType.Int16,
            ScalarType.Int8 => NumberType.Int8,
            ScalarType.Byte => NumberType.UInt8,
            ScalarType.Bool => NumberType.Bool,
            _ => throw at.Refuse("a type of numbers that Torch has", $"{to}"),
        };
        return at.Emit(new Conversion(name), value.Lead, value) with { Type = isReal ? ScalarType.Float32 : to };
    }

    private static GraphValue[] Add(GraphNode at)
    {
        GraphValue left = at.In(0), right = at.In(1);
        if ((ProductRules.AddBias(at, 0) ?? ProductRules.AddBias(at, 1)) is { } biased) return [biased];
        return [Plain(at, [left, right]) ? at.Emit(new Sum(2), left.Lead, left, right) : Pair(at, ArithmeticFunction.Add, left, right)];
    }

    // Signals of one shape that the layer of residual sums takes.
    private static bool Plain(GraphNode at, GraphValue?[] values) =>
        values.All(value => value is { IsSignal: true } && value.Lead == values[0]!.Lead && value.Shape.SequenceEqual(values[0]!.Shape));

    private static GraphValue[] Multiply(GraphNode at)
    {
        GraphValue left = at.In(0), right = at.In(1);
        if ((Gate(at, left, right) ?? Gate(at, right, left)) is { } gated) return [gated];
        var fits = left.IsSignal && right.IsSignal && left.Lead && right.Lead && left.Rank == right.Rank && left.Rank > 1
            && left.Shape[1] == right.Shape[1]
            && left.Shape.Zip(right.Shape).Skip(2).All(pair => pair.First == pair.Second || pair.First == 1 || pair.Second == 1);
        return [fits ? at.Emit(new Multiplication(), lead: true, left, right) : Pair(at, ArithmeticFunction.Multiply, left, right)];
    }

    // x times the sigmoid of x, or the hard one.
    private static GraphValue? Gate(GraphNode at, GraphValue source, GraphValue gate)
    {
        if (gate.From is not { Layer: Activation { Function: var gating }, Inputs: [var read] } || read.Node != source.Node || source.Node is null) return null;
        ActivationFunction? whole = gating switch
        {
            ActivationFunction.Sigmoid => ActivationFunction.Silu,
            ActivationFunction.HardSigmoid => ActivationFunction.HardSwish,
            _ => null,
        };
        return whole is { } function ? at.Emit(new Activation(function), source.Lead, source) : null;
    }

    private static GraphValue Fold(GraphNode at, ArithmeticFunction function) =>
        Enumerable.Range(1, at.Inputs.Length - 1).Aggregate(at.In(0), (folded, k) => Pair(at, function, folded, at.In(k)));

    private static GraphValue[] Clip(GraphNode at)
    {
        double? Limit(string attribute, int input) => at.Has(attribute) ? at.Float(attribute, 0)
            : at.Optional(input) is { } value && !IsLearned(value) ? at.Graph.Number(value) : null;
        // What a module calls its own is learned: it may be another number in another checkpoint.
        bool IsLearned(GraphValue value) => value.Parameter is { } stored && LayerNames.IsOfModule(stored.Name);
        var (least, most) = (Limit("min", 1), Limit("max", 2));
        var known = (at.Optional(1) is null || least is not null) && (at.Optional(2) is null || most is not null);
        if (!known || at.In(0).Type != ScalarType.Float32)
        {
            var value = at.In(0);
            if (at.Optional(1) is { } below) value = Pair(at, ArithmeticFunction.Maximum, value, below);
            return [at.Optional(2) is { } above ? Pair(at, ArithmeticFunction.Minimum, value, above) : value];
        }

        ActivationFunction? function = (least, most) switch
        {
            (0, 6) => ActivationFunction.Relu6,
            (-1, 1) => ActivationFunction.HardTanh,
            (0, null or >= float.MaxValue) => ActivationFunction.Relu,
            _ => null,
        };
        return [function is { } usual ? One(at, new Activation(usual)) : One(at, new Elementary(ElementaryFunction.Clip, least, most))];
    }

    private static GraphValue[] Cast(GraphNode at)
    {
        ScalarType to = at.Int("to", 1) switch
        {
            1 => ScalarType.Float32,
            2 => ScalarType.Byte,
            3 => ScalarType.Int8,
            5 => ScalarType.Int16,
            6 => ScalarType.Int32,
            7 => ScalarType.Int64,
            9 => ScalarType.Bool,
            10 => ScalarType.Float16,
            11 => ScalarType.Float64,
            16 => ScalarType.BFloat16,
            var other => throw at.Refuse("a type of numbers that Torch has", $"ONNX's type {other}"),
        };
        return [Convert(at, at.In(0), to)];
    }

    private static GraphValue[] Where(GraphNode at)
    {
        var aligned = at.Graph.Align(at.Proto, at.In(0), at.In(1), at.In(2));
        return [at.Emit(new Choice(), GraphBuilder.IsLed(aligned), aligned) with { Type = at.In(1).Type }];
    }

    private static GraphValue[] Dropout(GraphNode at)
    {
        at.Require(!at.Gives(1) || at.Graph.Readers.GetValueOrDefault(at.Proto.Outputs[1]) == 0, "a dropout whose mask is not read", "one whose mask is");
        at.Require(
            at.Optional(2) is null || at.Graph.Number(at.In(2)) == 0 || at.Graph.Number(at.Optional(1) ?? at.Graph.Number(0.5)) == 0,
            "a dropout in evaluation (export model.eval() with training=TrainingMode.PRESERVE)", "one that drops");
        return [at.In(0)];
    }
}
