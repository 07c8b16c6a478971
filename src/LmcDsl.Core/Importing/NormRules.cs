using LmcDsl.Core.Architectures;

namespace LmcDsl.Core.Importing;

/// <summary>Norms: the usual layers where their numbers are the layer's own, else what they are made of.</summary>
internal static class NormRules
{
    public static Dictionary<string, GraphRule> All { get; } = new()
    {
        ["BatchNormalization"] = Batch,
        ["LayerNormalization"] = Layer,
        ["RMSNormalization"] = RootMeanSquare,
        ["SimplifiedLayerNormalization"] = RootMeanSquare,
        ["InstanceNormalization"] = Instance,
        ["GroupNormalization"] = Group,
    };

    private static GraphValue[] Batch(GraphNode at)
    {
        GraphValue x = at.In(0), scale = at.In(1);
        var epsilon = at.Float("epsilon", 1e-5f);
        at.Require(at.Int("spatial", 1) == 1, "statistics of each channel (spatial = 1)", "others");
        string[] locals = ["weight", "bias", "running_mean", "running_var"];
        if (x is { IsSignal: true, Lead: true, Rank: >= 2 } && LayerNames.Of(at, scale, "weight") is { } name && IsOwn(at, scale, 1)
            && locals.Select((local, k) => LayerNames.Belongs(at.In(k + 1), name, local) && at.In(k + 1).Shape.SequenceEqual([x.Shape[1]])).All(own => own))
            return [at.Graph.Emit(
                name, new BatchNorm(Math.Round(1 - at.Float("momentum", 0.9f), 6), epsilon), x,
                [.. locals.Select((local, k) => (local, at.In(k + 1).Parameter!, false))])];
        // Exports that keep what training does say so of the mode; asked for the batch's statistics, it is meant.
        at.Require(Enumerable.Range(1, 4).All(k => !at.Gives(k)), "running statistics", "a norm by the batch's own");
        var deviation = at.Emit(
            new Elementary(ElementaryFunction.SquareRoot), lead: false,
            ElementwiseRules.Pair(at, ArithmeticFunction.Add, at.Graph.Unled(at.Proto, at.In(4)), at.Graph.Number(epsilon)));
        var centred = ElementwiseRules.Pair(at, ArithmeticFunction.Subtract, x, Channels(at, at.In(3), x.Rank));
        return [Affine(at, ElementwiseRules.Pair(at, ArithmeticFunction.Divide, centred, Channels(at, deviation, x.Rank)), Channels(at, scale, x.Rank), Channels(at, at.In(2), x.Rank))];
    }

    private static GraphValue[] Layer(GraphNode at)
    {
        GraphValue x = at.In(0), scale = at.In(1);
        at.Require(!at.Gives(1) && !at.Gives(2), "a norm whose mean is not asked for", "one whose mean is");
        var axis = at.Axis(at.Int("axis", -1), x.Rank);
        var epsilon = at.Float("epsilon", 1e-5f);
        if (axis == x.Rank - 1 && x is { IsSignal: true } && x.SignalShape.Length >= 1 && at.Optional(2) is { } shift && IsOwn(at, scale, 1) && IsOwn(at, shift, 2)
            && LayerNames.Of(at, scale, "weight") is { } name && LayerNames.Belongs(shift, name, "bias") && scale.Rank == 1)
            return [at.Graph.Emit(name, new LayerNorm(epsilon), x, ("weight", scale.Parameter!, false), ("bias", shift.Parameter!, false))];
        return [Affine(at, Normalized(at, x, axis, epsilon), scale, at.Optional(2))];
    }

    private static GraphValue[] RootMeanSquare(GraphNode at)
    {
        var x = at.In(0);
        at.Require(!at.Gives(1), "a norm whose deviation is not asked for", "one whose deviation is");
        return [Affine(at, Normalized(at, x, at.Axis(at.Int("axis", -1), x.Rank), at.Float("epsilon", 1e-5f), centred: false), at.In(1), null)];
    }

    private static GraphValue[] Instance(GraphNode at)
    {
        var x = at.In(0);
        at.Require(x.Rank >= 3, "an image", $"{x.Rank} axes");
        return [Affine(at, Normalized(at, x, 2, at.Float("epsilon", 1e-5f)), Channels(at, at.In(1), x.Rank), Channels(at, at.In(2), x.Rank))];
    }

    private static GraphValue[] Group(GraphNode at)
    {
        GraphValue x = at.In(0), scale = at.In(1), shift = at.In(2);
        var groups = at.Int("num_groups", 1);
        at.Require(x.Rank >= 3 && groups >= 1 && x.Shape[1] % groups == 0, "groups that divide the channels", $"{groups}");
        var epsilon = at.Float("epsilon", 1e-5f);
        var each = at.Version >= 21;
        if (each && x is { IsSignal: true, Lead: true, Rank: 4 } && IsOwn(at, scale, 1) && IsOwn(at, shift, 2)
            && LayerNames.Of(at, scale, "weight") is { } name && LayerNames.Belongs(shift, name, "bias"))
            return [at.Graph.Emit(name, new GroupNorm((int)groups, epsilon), x, ("weight", scale.Parameter!, false), ("bias", shift.Parameter!, false))];
        long[] parted = [x.Shape[0], groups, x.Shape[1] / groups, .. x.Shape[2..]];
        var normal = Normalized(at, at.Reshape(x, parted), 2, epsilon);
        // Until opset 21 each group had one scale.
        if (!each) return [at.Reshape(Affine(at, normal, Channels(at, scale, parted.Length), Channels(at, shift, parted.Length)), x.Shape)];
        return [Affine(at, at.Reshape(normal, x.Shape), Channels(at, scale, x.Rank), Channels(at, shift, x.Rank))];
    }

    // Over the axes from one on.
    private static GraphValue Normalized(GraphNode at, GraphValue x, int axis, double epsilon, bool centred = true)
    {
        if (x.Lead && axis == 0) x = at.Graph.Unled(at.Proto, x);
        return at.Emit(new Normalization(x.Rank - axis, epsilon, centred), x.Lead, x);
    }

    private static GraphValue Affine(GraphNode at, GraphValue x, GraphValue scale, GraphValue? shift)
    {
        var scaled = ElementwiseRules.Pair(at, ArithmeticFunction.Multiply, x, scale);
        return shift is null ? scaled : ElementwiseRules.Pair(at, ArithmeticFunction.Add, scaled, shift);
    }

    // A number for each channel, beside positions.
    private static GraphValue Channels(GraphNode at, GraphValue value, int rank) =>
        at.Reshape(at.Graph.Unled(at.Proto, value), [value.Count, .. Enumerable.Repeat(1L, rank - 2)]);

    private static bool IsOwn(GraphNode at, GraphValue value, int input) =>
        value.Parameter is not null && at.Graph.Readers.GetValueOrDefault(at.Proto.Inputs[input]) == 1;
}
