using System.Globalization;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Importing;

/// <summary>What an operator is in the language of layers.</summary>
/// <param name="Layer">The layer; null where the operator passes its first input on as it is.</param>
/// <param name="Data">Which of the operator's inputs the layer reads.</param>
/// <param name="Parameters">The layer's parameters: their names within it, and which of the operator's inputs they are.</param>
/// <param name="Transposed">Whether the weight lies the other way round there.</param>
internal sealed record OnnxRule(Layer? Layer, int[] Data, (string Local, int Input)[] Parameters, bool Transposed = false);

/// <summary>The operators that are known, each with its rule. What is not known is refused by name, never guessed.</summary>
/// <param name="constants">The whole numbers of a value that is constant, or null.</param>
/// <param name="limits">The numbers of a value that is constant, or null.</param>
/// <param name="shapeOf">The shape of a tensor of the file, or null.</param>
internal sealed class OnnxOperators(Func<string, long[]?> constants, Func<string, double[]?> limits, Func<string, IReadOnlyList<long>?> shapeOf)
{
    private static readonly Dictionary<string, ActivationFunction> Elementwise = new()
    {
        ["Relu"] = ActivationFunction.Relu,
        ["Tanh"] = ActivationFunction.Tanh,
        ["Sigmoid"] = ActivationFunction.Sigmoid,
        ["HardSwish"] = ActivationFunction.HardSwish,
    };

    private static readonly string[] Others =
    [
        "Add", "AveragePool", "BatchNormalization", "Clip", "Concat", "Conv", "ConvTranspose", "Dropout", "Flatten", "Gelu", "Gemm",
        "GlobalAveragePool", "GlobalMaxPool", "HardSigmoid", "Identity", "MatMul", "MaxPool", "Mul", "Pad", "ReduceMean", "Reshape", "Slice",
        "Split", "Sum",
    ];

    /// <summary>The rule of a node.</summary>
    /// <exception cref="LmcException">The operator, or what it is asked to do, has no rule.</exception>
    public OnnxRule Of(OnnxNode node) => node.Operator switch
    {
        _ when node.Domain is not ("" or "ai.onnx") => throw Refused(node, $"operators of ONNX itself, found one of '{node.Domain}'"),
        "Identity" or "Dropout" => new OnnxRule(null, [0], []),
        "Conv" => Convolution(node),
        "ConvTranspose" => Transposed(node),
        "Gemm" => Gemm(node),
        "MatMul" => new OnnxRule(new Dense((int)Shape(node, 1)[1], bias: false), [0], [("weight", 1)], Transposed: true),
        "BatchNormalization" => new OnnxRule(
            new BatchNorm(Math.Round(1 - Float(node, "momentum", 0.9f), 6), Float(node, "epsilon", 1e-5f)),
            [0], [("weight", 1), ("bias", 2), ("running_mean", 3), ("running_var", 4)]),
        "Gelu" => Only(node, Text(node, "approximate", "none") == "none", "no approximation", new Activation(ActivationFunction.Gelu)),
        "HardSigmoid" => Only(
            node, Math.Abs(Float(node, "alpha", 0.2f) - 1.0 / 6) < 1e-6 && Float(node, "beta", 0.5f) == 0.5,
            "alpha 1/6 and beta 1/2", new Activation(ActivationFunction.HardSigmoid)),
        "Clip" => Clip(node),
        "MaxPool" => Pool(node, PoolingFunction.Max),
        "AveragePool" => Pool(node, PoolingFunction.Average),
        "GlobalAveragePool" => new OnnxRule(new Pooling(PoolingFunction.Average, 0), [0], []),
        "GlobalMaxPool" => new OnnxRule(new Pooling(PoolingFunction.Max, 0), [0], []),
        "ReduceMean" => Mean(node),
        "Flatten" => Only(node, Int(node, "axis", 1) == 1, "axis 1", new Flatten()),
        "Reshape" => Only(node, Constant(node, 1).Length == 2, "a shape [batch, features]", new Flatten()),
        "Pad" => Only(node, Constant(node, 1).All(pad => pad == 0), "no padding, which convolutions and pools have by themselves", null),
        "Add" or "Sum" => new OnnxRule(new Sum(node.Inputs.Count), [.. Enumerable.Range(0, node.Inputs.Count)], []),
        "Mul" => new OnnxRule(new Multiplication(), [0, 1], []),
        "Concat" => Only(node, Int(node, "axis", 0) == 1, "axis 1", new Concatenation()) with { Data = [.. Enumerable.Range(0, node.Inputs.Count)] },
        "Slice" => Slice(node),
        var name when Elementwise.TryGetValue(name, out var function) => new OnnxRule(new Activation(function), [0], []),
        _ => throw Refused(node, $"an operator among {string.Join(", ", Others.Concat(Elementwise.Keys).Order(StringComparer.Ordinal))}"),
    };

    /// <summary>Lengths of the parts that a split makes.</summary>
    public long[] Parts(OnnxNode node, int channels)
    {
        Guard.Require(Int(node, "axis", 0) == 1, $"{Place(node)}: expected axis 1, found {Int(node, "axis", 0)}");
        if (node.Inputs.Count > 1) return Constant(node, 1);
        return node.Attributes.TryGetValue("split", out var split)
            ? [.. split.Ints]
            : [.. node.Outputs.Select(_ => (long)channels / node.Outputs.Count)];
    }

    public static string Place(OnnxNode node) => $"node '{(node.Name.Length > 0 ? node.Name : node.Outputs.FirstOrDefault())}' ({node.Operator})";

    private static LmcException Refused(OnnxNode node, string expected) => new($"{Place(node)}: expected {expected}, found {node.Operator}");

    private static OnnxRule Only(OnnxNode node, bool holds, string expected, Layer? layer) => holds
        ? new OnnxRule(layer, [0], [])
        : throw Refused(node, expected);

    private OnnxRule Convolution(OnnxNode node)
    {
        var shape = Shape(node, 1);
        var bias = node.Inputs.Count > 2;
        (string, int)[] parameters = bias ? [("weight", 1), ("bias", 2)] : [("weight", 1)];
        var (stride, padding, dilation) = (Side(node, "strides", 1), Padding(node), Side(node, "dilations", 1));
        var groups = Whole(node, Int(node, "group", 1));
        var kernel = Equal(node, "kernel", [.. shape.Skip(2)]);
        Layer layer = shape.Count == 3
            ? new Convolution1d(Whole(node, shape[0]), kernel, stride, padding, bias, groups, dilation)
            : new Convolution(Whole(node, shape[0]), kernel, stride, padding, bias, groups, dilation);
        return new OnnxRule(layer, [0], parameters);
    }

    private OnnxRule Transposed(OnnxNode node)
    {
        var shape = Shape(node, 1);
        Guard.Require(shape.Count == 4, $"{Place(node)}: expected a weight of 4 axes, found {shape.Count}");
        var bias = node.Inputs.Count > 2;
        var groups = Whole(node, Int(node, "group", 1));
        Guard.Require(!node.Attributes.ContainsKey("output_shape"), $"{Place(node)}: expected output_padding, found output_shape");
        return new OnnxRule(
            new TransposedConvolution(
                Whole(node, shape[1] * groups), Equal(node, "kernel", [.. shape.Skip(2)]), Side(node, "strides", 1), Padding(node),
                Side(node, "output_padding", 0), bias, groups, Side(node, "dilations", 1)),
            [0], bias ? [("weight", 1), ("bias", 2)] : [("weight", 1)]);
    }

    private OnnxRule Gemm(OnnxNode node)
    {
        Guard.Require(
            Float(node, "alpha", 1) == 1 && Float(node, "beta", 1) == 1 && Int(node, "transA", 0) == 0,
            $"{Place(node)}: expected a plain product, found factors or a transposed input");
        var (shape, straight) = (Shape(node, 1), Int(node, "transB", 0) == 1);
        Guard.Require(shape.Count == 2, $"{Place(node)}: expected a weight of 2 axes, found {shape.Count}");
        var bias = node.Inputs.Count > 2;
        return new OnnxRule(
            new Dense(Whole(node, shape[straight ? 0 : 1]), bias), [0], bias ? [("weight", 1), ("bias", 2)] : [("weight", 1)], !straight);
    }

    private OnnxRule Clip(OnnxNode node)
    {
        double? Limit(string attribute, int input) => node.Attributes.TryGetValue(attribute, out var given) ? given.Float
            : node.Inputs.Count > input && limits(node.Inputs[input]) is [var one] ? one : null;
        ActivationFunction? function = (Limit("min", 1), Limit("max", 2)) switch
        {
            (0, 6) => ActivationFunction.Relu6,
            (-1, 1) => ActivationFunction.HardTanh,
            (0, null) => ActivationFunction.Relu,
            _ => null,
        };
        return function is { } known
            ? new OnnxRule(new Activation(known), [0], [])
            : throw Refused(node, "limits 0 and 6, -1 and 1, or 0 alone");
    }

    private OnnxRule Pool(OnnxNode node, PoolingFunction function)
    {
        Guard.Require(Side(node, "dilations", 1) == 1, $"{Place(node)}: expected no dilation");
        var kernel = Side(node, "kernel_shape", 0);
        Guard.Require(kernel >= 1, $"{Place(node)}: expected a kernel_shape, found none");
        return new OnnxRule(
            new Pooling(
                function, kernel, Side(node, "strides", 1), Padding(node), Int(node, "ceil_mode", 0) == 1,
                function != PoolingFunction.Average || Int(node, "count_include_pad", 0) == 1), [0], []);
    }

    private OnnxRule Mean(OnnxNode node)
    {
        long[] axes = node.Attributes.TryGetValue("axes", out var given) ? [.. given.Ints] : node.Inputs.Count > 1 ? Constant(node, 1) : [];
        return Only(
            node, axes.Select(axis => axis < 0 ? axis + 4 : axis).Order().SequenceEqual([2, 3]), "a mean over height and width",
            new Pooling(PoolingFunction.Average, 0));
    }

    private OnnxRule Slice(OnnxNode node)
    {
        Guard.Require(node.Inputs.Count >= 4, $"{Place(node)}: expected starts, ends and axes as inputs (opset 10 and later)");
        var (starts, ends, axes) = (Constant(node, 1), Constant(node, 2), Constant(node, 3));
        var steps = node.Inputs.Count > 4 ? Constant(node, 4) : [1];
        Guard.Require(
            starts.Length == 1 && axes is [1] && steps is [1] && starts[0] >= 0 && ends[0] > starts[0] && ends[0] < int.MaxValue,
            $"{Place(node)}: expected a part of axis 1 with its first and last channel, found another slice");
        return new OnnxRule(new Architectures.Slice((int)starts[0], (int)(ends[0] - starts[0])), [0], []);
    }

    private IReadOnlyList<long> Shape(OnnxNode node, int input)
    {
        var shape = input < node.Inputs.Count ? shapeOf(node.Inputs[input]) : null;
        Guard.Require(shape is { Count: >= 2 }, $"{Place(node)}: expected a weight that the file holds as input {input}, found none");
        return shape!;
    }

    private long[] Constant(OnnxNode node, int input) =>
        (input < node.Inputs.Count ? constants(node.Inputs[input]) : null)
        ?? throw Refused(node, $"a constant as input {input}; export with fixed sizes");

    private static int Padding(OnnxNode node)
    {
        var mode = Text(node, "auto_pad", "NOTSET");
        Guard.Require(mode is "NOTSET" or "VALID", $"{Place(node)}: expected pads, found auto_pad {mode}");
        return Side(node, "pads", 0);
    }

    private static int Side(OnnxNode node, string name, int otherwise) =>
        node.Attributes.TryGetValue(name, out var given) && given.Ints.Count > 0 ? Equal(node, name, given.Ints) : otherwise;

    private static int Equal(OnnxNode node, string name, IReadOnlyCollection<long> sides)
    {
        Guard.Require(
            sides.Distinct().Count() == 1, $"{Place(node)}: {name}: expected the same on every side, found {string.Join(", ", sides)}");
        return Whole(node, sides.First());
    }

    private static int Whole(OnnxNode node, long value)
    {
        Guard.Require(value is >= 0 and <= int.MaxValue, $"{Place(node)}: expected sizes of 0 to {int.MaxValue}, found {value}");
        return (int)value;
    }

    private static long Int(OnnxNode node, string name, long otherwise) =>
        node.Attributes.TryGetValue(name, out var given) ? given.Int : otherwise;

    private static string Text(OnnxNode node, string name, string otherwise) =>
        node.Attributes.TryGetValue(name, out var given) ? given.Text : otherwise;

    // By its shortest decimals: 1e-5 in single precision is meant as 1e-5.
    private static double Float(OnnxNode node, string name, float otherwise) => double.Parse(
        (node.Attributes.TryGetValue(name, out var given) ? given.Float : otherwise).ToString("R", CultureInfo.InvariantCulture),
        CultureInfo.InvariantCulture);
}
