using LmcDsl.Core.Architectures;

namespace LmcDsl.Core.Importing;

/// <summary>Operators that make one number of many, and softmax.</summary>
internal static class ReductionRules
{
    private static readonly Dictionary<string, ReductionFunction> Functions = new()
    {
        ["ReduceMean"] = ReductionFunction.Mean,
        ["ReduceSum"] = ReductionFunction.Sum,
        ["ReduceMax"] = ReductionFunction.Maximum,
        ["ReduceMin"] = ReductionFunction.Minimum,
        ["ReduceProd"] = ReductionFunction.Product,
        ["ReduceL1"] = ReductionFunction.AbsoluteSum,
        ["ReduceL2"] = ReductionFunction.Norm,
        ["ReduceSumSquare"] = ReductionFunction.SquareSum,
        ["ReduceLogSum"] = ReductionFunction.LogSum,
        ["ReduceLogSumExp"] = ReductionFunction.LogSumExp,
    };

    public static Dictionary<string, GraphRule> All { get; } = new Dictionary<string, GraphRule>
    {
        ["Softmax"] = at => Softmax(at, logarithm: false),
        ["LogSoftmax"] = at => Softmax(at, logarithm: true),
        ["LpNormalization"] = LpNormalization,
    }.Concat(Functions.Select(pair => KeyValuePair.Create<string, GraphRule>(pair.Key, at => Reduce(at, pair.Value)))).ToDictionary(rule => rule.Key, rule => rule.Value);

    private static GraphValue[] Reduce(GraphNode at, ReductionFunction function)
    {
        var value = at.In(0);
        var given = at.Ints("axes", 1);
        if (given is null or [] && at.Int("noop_with_empty_axes", 0) == 1) return [value];
        int[] axes = given is null or [] ? [.. Enumerable.Range(0, value.Rank)] : [.. given.Select(axis => at.Axis(axis, value.Rank)).Distinct().Order()];
        var keep = at.Int("keepdims", 1) == 1;
        at.Require(value.Type != TorchSharp.torch.ScalarType.Bool, "numbers", "true and false");
        // The mean over height and width of an image is a pool, and a flatten where they go.
        if (function == ReductionFunction.Mean && axes is [2, 3] && value is { Lead: true, IsSignal: true, Rank: 4 })
        {
            var pooled = at.Emit(new Pooling(PoolingFunction.Average, 0), lead: true, value);
            return [keep ? pooled : at.Emit(new Flatten(), lead: true, pooled)];
        }

        return [Over(at, function, value, axes, keep)];
    }

    /// <summary>One number of all entries along axes of the graph.</summary>
    public static GraphValue Over(GraphNode at, ReductionFunction function, GraphValue value, int[] axes, bool keep)
    {
        if (value.Lead && axes.Contains(0)) value = at.Graph.Unled(at.Proto, value);
        var skip = value.Lead ? 1 : 0;
        if (axes.Length == 0) return value;
        return at.Emit(new Reduction(function, [.. axes.Select(axis => axis - skip)], keep), value.Lead, value);
    }

    private static GraphValue[] Softmax(GraphNode at, bool logarithm)
    {
        var value = at.In(0);
        var axis = at.Axis(at.Int("axis", at.Version < 13 ? 1 : -1), value.Rank);
        // Before opset 13 it runs over all axes from one on.
        if (at.Version < 13 && axis < value.Rank - 1 && value.Shape[(axis + 1)..].Any(size => size > 1))
        {
            var joined = at.Reshape(value, [.. value.Shape[..axis], value.Shape[axis..].Aggregate(1L, (product, size) => product * size)]);
            return [at.Reshape(Along(at, joined, axis, logarithm), value.Shape)];
        }

        return [Along(at, value, axis, logarithm)];
    }

    /// <summary>Softmax along an axis of the graph.</summary>
    public static GraphValue Along(GraphNode at, GraphValue value, int axis, bool logarithm = false)
    {
        if (value.Lead && axis == 0) value = at.Graph.Unled(at.Proto, value);
        return at.Emit(new Softmax(value.Lead ? axis - 1 : axis, logarithm), value.Lead, value);
    }

    private static GraphValue[] LpNormalization(GraphNode at)
    {
        var value = at.In(0);
        var axis = at.Axis(at.Int("axis", -1), value.Rank);
        var function = at.Int("p", 2) == 1 ? ReductionFunction.AbsoluteSum : ReductionFunction.Norm;
        // Zeros stay zeros.
        var size = ElementwiseRules.Pair(at, ArithmeticFunction.Maximum, Over(at, function, value, [axis], keep: true), at.Graph.Number(1e-30));
        return [ElementwiseRules.Pair(at, ArithmeticFunction.Divide, value, size)];
    }
}
