using System.Collections.Immutable;
using LmcDsl.Core.Architectures;

namespace LmcDsl.Core.Importing;

/// <summary>Convolutions: the usual layers where a kernel is square and padded alike on all sides, else the general one.</summary>
internal static class ConvolutionRules
{
    public static Dictionary<string, GraphRule> All { get; } = new()
    {
        ["Conv"] = Convolution,
        ["ConvTranspose"] = Transposed,
    };

    private static GraphValue[] Convolution(GraphNode at)
    {
        GraphValue x = at.In(0), w = at.In(1);
        var (strides, before, after, dilations) = Sides(at, x, w);
        var groups = at.Size(at.Int("group", 1));
        if (IsUsual(at, x, w, strides, before, after, dilations) && Own(at, w) is { } name && OwnBias(at, ref name) is var (fits, bias) && fits)
        {
            var channels = (int)w.Shape[0];
            var (kernel, stride, padding, dilation) = ((int)w.Shape[2], strides[0], before[0], dilations[0]);
            Layer? layer = w.Rank switch
            {
                3 => new Convolution1d(channels, kernel, stride, padding, bias is not null, groups, dilation),
                4 => new Convolution(channels, kernel, stride, padding, bias is not null, groups, dilation),
                _ => null,
            };
            if (layer is not null) return [Emit(at, name, layer, x, w, bias)];
        }

        GraphValue[] inputs = at.Optional(2) is { } added ? [x, w, added] : [x, w];
        return [General(at, new Correlation(strides, before, after, dilations, groups), inputs)];
    }

    private static GraphValue[] Transposed(GraphNode at)
    {
        GraphValue x = at.In(0), w = at.In(1);
        var (strides, before, after, dilations) = Sides(at, x, w);
        var groups = at.Size(at.Int("group", 1));
        ImmutableArray<int> added = at.Ints("output_padding") is { } given ? [.. given.Select(at.Size)] : [.. strides.Select(_ => 0)];
        at.Require(added.Length == strides.Length, $"{strides.Length} sizes of output_padding", $"{added.Length}");
        if (at.Ints("output_shape") is { } shape || at.Text("auto_pad", "NOTSET").StartsWith("SAME", StringComparison.Ordinal))
        {
            shape = at.Ints("output_shape") ?? [.. strides.Select((stride, d) => x.Shape[d + 2] * stride)];
            shape = shape[^strides.Length..];
            // What is left out is parted between both ends, the larger half where the mode says.
            long[] reached = [.. strides.Select((stride, d) => stride * (x.Shape[d + 2] - 1) + added[d] + (w.Shape[d + 2] - 1) * dilations[d] + 1)];
            int[] total = [.. reached.Select((size, d) => at.Size(Math.Max(0, size - shape[d])))];
            added = [.. added.Select((more, d) => at.Size(more + Math.Max(0, shape[d] - reached[d])))];
            var upper = at.Text("auto_pad", "NOTSET") == "SAME_UPPER";
            before = [.. total.Select(pad => upper ? pad / 2 : pad - pad / 2)];
            after = [.. total.Select((pad, d) => pad - before[d])];
        }

        if (IsUsual(at, x, w, strides, before, after, dilations) && w.Rank == 4 && added.Distinct().Count() == 1
            && Own(at, w) is { } name && OwnBias(at, ref name) is var (fits, bias) && fits)
        {
            var layer = new TransposedConvolution(
                at.Size(w.Shape[1] * groups), (int)w.Shape[2], strides[0], before[0], added[0], bias is not null, groups, dilations[0]);
            return [Emit(at, name, layer, x, w, bias)];
        }

        GraphValue[] inputs = at.Optional(2) is { } shift ? [x, w, shift] : [x, w];
        return [General(at, new Correlation(strides, before, after, dilations, groups, transposed: true, added), inputs)];
    }

    private static GraphValue General(GraphNode at, Correlation layer, GraphValue[] inputs)
    {
        var lead = inputs[0].Lead;
        return at.Emit(layer, lead, [inputs[0], .. inputs.Skip(1).Select(value => at.Graph.Unled(at.Proto, value))]);
    }

    private static GraphValue Emit(GraphNode at, string name, Layer layer, GraphValue x, GraphValue w, GraphValue? bias) => bias is null
        ? at.Graph.Emit(name, layer, x, ("weight", w.Parameter!, false))
        : at.Graph.Emit(name, layer, x, ("weight", w.Parameter!, false), ("bias", bias.Parameter!, false));

    // One kernel, step and padding for every side, on images whose first axis is the batch.
    private static bool IsUsual(
        GraphNode at, GraphValue x, GraphValue w, ImmutableArray<int> strides, ImmutableArray<int> before, ImmutableArray<int> after, ImmutableArray<int> dilations) =>
        x is { IsSignal: true, Lead: true } && before.SequenceEqual(after)
        && new[] { strides, before, dilations, GraphBuilder.Ints(w.Shape.Skip(2)) }.All(sides => sides.Distinct().Count() == 1);

    private static string? Own(GraphNode at, GraphValue w) =>
        w.Parameter is not null && at.Graph.Readers.GetValueOrDefault(at.Proto.Inputs[1]) == 1 ? LayerNames.Of(at, w, "weight") : null;

    // The bias, where it can be the layer's; whose name the layer takes where the weight's is lost.
    private static (bool Fits, GraphValue? Bias) OwnBias(GraphNode at, ref string name)
    {
        if (at.Optional(2) is not { } bias) return (true, null);
        if (LayerNames.IsLost(at.In(1).Name) && bias.Name.EndsWith(".bias", StringComparison.Ordinal)) name = bias.Name[..^5];
        return (at.Graph.Readers.GetValueOrDefault(at.Proto.Inputs[2]) == 1 && LayerNames.Belongs(bias, name, "bias"), bias);
    }

    private static (ImmutableArray<int> Strides, ImmutableArray<int> Before, ImmutableArray<int> After, ImmutableArray<int> Dilations) Sides(
        GraphNode at, GraphValue x, GraphValue w)
    {
        var dimensions = w.Rank - 2;
        at.Require(dimensions is >= 1 and <= 3 && x.Rank == w.Rank, "an image and a weight of 3 to 5 axes", $"{x.Rank} and {w.Rank}");
        at.Require(
            at.Ints("kernel_shape") is not { } kernel || kernel.SequenceEqual(w.Shape.Skip(2)), $"a kernel of {string.Join(" x ", w.Shape.Skip(2))}", "another kernel_shape");
        return PoolingRules.Sides(at, x, GraphBuilder.Ints(w.Shape.Skip(2)));
    }
}
