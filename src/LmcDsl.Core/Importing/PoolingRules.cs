using System.Collections.Immutable;
using LmcDsl.Core.Architectures;

namespace LmcDsl.Core.Importing;

/// <summary>Pooling by windows, and over whole images.</summary>
internal static class PoolingRules
{
    public static Dictionary<string, GraphRule> All { get; } = new()
    {
        ["MaxPool"] = at => Pool(at, PoolingFunction.Max),
        ["AveragePool"] = at => Pool(at, PoolingFunction.Average),
        ["GlobalAveragePool"] = at => Global(at, PoolingFunction.Average, ReductionFunction.Mean),
        ["GlobalMaxPool"] = at => Global(at, PoolingFunction.Max, ReductionFunction.Maximum),
    };

    /// <summary>Strides, padding and dilations of each dimension, as convolutions and pools have them.</summary>
    public static (ImmutableArray<int> Strides, ImmutableArray<int> Before, ImmutableArray<int> After, ImmutableArray<int> Dilations) Sides(
        GraphNode at, GraphValue x, ImmutableArray<int> kernel)
    {
        ImmutableArray<int> Each(string name, int otherwise) => at.Ints(name) is { Length: > 0 } given
            ? [.. given.Select(at.Size)]
            : [.. kernel.Select(_ => otherwise)];
        var (strides, dilations) = (Each("strides", 1), Each("dilations", 1));
        ImmutableArray<int> pads = at.Ints("pads") is { Length: > 0 } told ? [.. told.Select(at.Size)] : [.. kernel.Concat(kernel).Select(_ => 0)];
        at.Require(
            strides.Length == kernel.Length && dilations.Length == kernel.Length && pads.Length == 2 * kernel.Length && strides.All(step => step >= 1)
                && dilations.All(step => step >= 1) && kernel.All(side => side >= 1),
            $"strides, dilations and pads of {kernel.Length} dimensions", "others");
        var mode = at.Text("auto_pad", "NOTSET");
        if (mode is "SAME_UPPER" or "SAME_LOWER")
        {
            int[] total = [.. kernel.Select((side, d) =>
            {
                var size = x.Shape[x.Rank - kernel.Length + d];
                var windows = (size + strides[d] - 1) / strides[d];
                return at.Size(Math.Max(0, (windows - 1) * strides[d] + (side - 1L) * dilations[d] + 1 - size));
            })];
            var half = total.Select(pad => mode == "SAME_UPPER" ? pad / 2 : pad - pad / 2).ToArray();
            return (strides, [.. half], [.. total.Select((pad, d) => pad - half[d])], dilations);
        }

        if (mode == "VALID") pads = [.. pads.Select(_ => 0)];
        return (strides, pads[..kernel.Length], pads[kernel.Length..], dilations);
    }

    private static GraphValue[] Pool(GraphNode at, PoolingFunction function)
    {
        var x = at.In(0);
        at.Require(!at.Gives(1), "a pool whose places are not asked for", "one whose places are");
        ImmutableArray<int> kernel = at.Ints("kernel_shape") is { } given ? [.. given.Select(at.Size)] : throw at.Refuse("a kernel_shape", "none");
        at.Require(kernel.Length is >= 1 and <= 3 && x.Rank == kernel.Length + 2, "a kernel of 1 to 3 sides for an image", $"{kernel.Length} for {x.Rank} axes");
        var (strides, before, after, dilations) = Sides(at, x, kernel);
        var ceiling = at.Int("ceil_mode", 0) == 1;
        var counts = function != PoolingFunction.Average || at.Int("count_include_pad", 0) == 1;
        var isUsual = x is { Lead: true, IsSignal: true } && kernel.Length == 2 && before.SequenceEqual(after) && dilations.All(step => step == 1)
            && new[] { kernel, strides, before }.All(sides => sides.Distinct().Count() == 1) && before[0] <= kernel[0] / 2;
        if (isUsual) return [at.Emit(new Pooling(function, kernel[0], strides[0], before[0], ceiling, counts), lead: true, x)];
        return [at.Emit(new WindowPooling(function, kernel, strides, before, after, dilations, ceiling, function == PoolingFunction.Average && counts), x.Lead, x)];
    }

    private static GraphValue[] Global(GraphNode at, PoolingFunction function, ReductionFunction general)
    {
        var x = at.In(0);
        if (x is { Lead: true, IsSignal: true, Rank: 4 }) return [at.Emit(new Pooling(function, 0), lead: true, x)];
        at.Require(x.Rank >= 3, "an image", $"{x.Rank} axes");
        var skip = x.Lead ? 1 : 0;
        return [at.Emit(new Reduction(general, [.. Enumerable.Range(2 - skip, x.Rank - 2)], keep: true), x.Lead, x)];
    }
}
