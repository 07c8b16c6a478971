using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>Operators that move, part, join and take entries.</summary>
internal static class ShapeRules
{
    public static Dictionary<string, GraphRule> All { get; } = new()
    {
        ["Reshape"] = Reshape,
        ["Flatten"] = Flatten,
        ["Squeeze"] = Squeeze,
        ["Unsqueeze"] = Unsqueeze,
        ["Transpose"] = Transpose,
        ["Concat"] = Concat,
        ["Split"] = Split,
        ["Slice"] = Slice,
        ["Gather"] = Gather,
        ["Expand"] = Expand,
        ["Tile"] = Tile,
        ["Pad"] = Pad,
        ["DepthToSpace"] = DepthToSpace,
        ["SpaceToDepth"] = SpaceToDepth,
        ["Resize"] = Resize,
        ["Upsample"] = Resize,
    };

    private static GraphValue[] Reshape(GraphNode at)
    {
        var value = at.In(0);
        var target = at.Ints("shape", 1) ?? throw at.Refuse("a shape", "none");
        var zeros = at.Int("allowzero", 0) == 1;
        target = [.. target.Select((size, d) => size == 0 && !zeros && d < value.Rank ? value.Shape[d] : size)];
        (target, var batch) = OfOneExample(at, target, value);
        var known = target.Where(size => size >= 0).Aggregate(1L, (product, size) => product * size);
        at.Require(
            target.All(size => size >= -1) && target.Count(size => size == -1) <= 1 && (!target.Contains(-1) || (known > 0 && value.Count % known == 0)),
            $"a shape of {value.Count} numbers", string.Join(" x ", target));
        var reshaped = at.Reshape(value, [.. target.Select(size => size == -1 ? value.Count / known : size)]);
        return [batch is null ? reshaped : reshaped with { Batch = batch }];
    }

    // A shape that was written for a batch, for one example of it, and where the batch stands then.
    private static (long[] Shape, BatchPlace? Batch) OfOneExample(GraphNode at, long[] target, GraphValue value)
    {
        var batch = at.Graph.Batch;
        if (batch <= 1) return (target, null);
        var known = target.Where(size => size > 0).Aggregate(1L, (product, size) => product * size);
        var isOpen = target.Contains(-1);
        if (isOpen ? target[0] != batch : known != value.Count * batch) return (target, null);
        // What does not depend on the examples, or has them first, is taken to have the batch first.
        var place = value.Batch ?? (value.IsSignal && !value.Lead ? null : BatchPlace.First);
        int[] fitting = [.. Enumerable.Range(0, target.Length).Where(d => target[d] > 0 && target[d] % batch == 0)];
        var axis = place is { } stands ? stands.In([.. target.Select(size => size == -1 ? value.Count * batch / known : size)], batch)
            : fitting is [var only] ? only
            : -1;
        // In no case a node without a rule: what follows would have the sizes of the whole batch.
        Guard.Require(axis >= 0, $"{at.Proto.Place}: expected a shape with the batch of {batch}; export with a batch of one example, found {string.Join(" x ", target)}");
        return ([.. target.Select((size, d) => d == axis && size > 0 ? size / batch : size)], place is { } stood ? stood with { Axis = axis } : null);
    }

    private static GraphValue[] Flatten(GraphNode at)
    {
        var value = at.In(0);
        var given = at.Int("axis", 1);
        var axis = given == value.Rank ? value.Rank : at.Axis(given, value.Rank);
        long before = Product(value.Shape[..axis]), after = Product(value.Shape[axis..]);
        return [at.Reshape(value, before, after)];
    }

    private static GraphValue[] Squeeze(GraphNode at)
    {
        var value = at.In(0);
        int[] axes = at.Ints("axes", 1) is { } given
            ? [.. given.Select(axis => at.Axis(axis, value.Rank))]
            : [.. Enumerable.Range(0, value.Rank).Where(d => value.Shape[d] == 1)];
        at.Require(axes.All(d => value.Shape[d] == 1), "axes of one entry", string.Join(" x ", value.Shape));
        var squeezed = Plain(at, value, [.. value.Shape.Where((_, d) => !axes.Contains(d))], axes.Contains(0));
        return [value.Batch is { Axis: { } axis } place && !axes.Contains(axis) ? squeezed with { Batch = place with { Axis = axis - axes.Count(d => d < axis) } } : squeezed];
    }

    private static GraphValue[] Unsqueeze(GraphNode at)
    {
        var value = at.In(0);
        var given = at.Ints("axes", 1) ?? throw at.Refuse("axes", "none");
        var rank = value.Rank + given.Length;
        int[] axes = [.. given.Select(axis => at.Axis(axis, rank))];
        at.Require(axes.Distinct().Count() == axes.Length, "different axes", string.Join(", ", given));
        var rest = new Queue<long>(value.Shape);
        var wider = Plain(at, value, [.. Enumerable.Range(0, rank).Select(d => axes.Contains(d) ? 1 : rest.Dequeue())], axes.Contains(0));
        int[] kept = [.. Enumerable.Range(0, rank).Except(axes)];
        return [value.Batch is { Axis: { } axis } place ? wider with { Batch = place with { Axis = kept[axis] } } : wider];
    }

    // A reshape whose batch axis, where it is touched, becomes one like others.
    private static GraphValue Plain(GraphNode at, GraphValue value, long[] shape, bool touched) =>
        at.Reshape(touched ? at.Graph.Unled(at.Proto, value) : value, shape);

    private static GraphValue[] Transpose(GraphNode at)
    {
        var value = at.In(0);
        int[] order = at.Ints("perm") is { } given
            ? [.. given.Select(axis => at.Axis(axis, value.Rank))]
            : [.. Enumerable.Range(0, value.Rank).Reverse()];
        at.Require(order.Order().SequenceEqual(Enumerable.Range(0, value.Rank)), $"each of {value.Rank} axes once", string.Join(", ", order));
        return [at.Transpose(value, order)];
    }

    private static GraphValue[] Concat(GraphNode at)
    {
        GraphValue[] values = [.. Enumerable.Range(0, at.Inputs.Length).Select(at.In)];
        var axis = at.Axis(at.Int("axis", 1), values[0].Rank);
        at.Require(values.All(value => value.Rank == values[0].Rank), "values of one rank", "others");
        if (values.Length == 1) return [values[0]];
        // An empty list of sizes is none.
        if (values.Any(value => value.Count == 0)) values = [.. values.Where(value => value.Count > 0)];
        if (values.Length == 0) return [at.In(0)];
        if (values.Length == 1) return [values[0]];
        GraphValue[] aligned = axis == 0 ? [.. values.Select(value => at.Graph.Unled(at.Proto, value))] : at.Graph.Align(at.Proto, values);
        var lead = axis != 0 && GraphBuilder.IsLed(aligned);
        return [at.Emit(new Concatenation(lead ? axis - 1 : axis), lead, aligned)];
    }

    private static GraphValue[] Split(GraphNode at)
    {
        var value = at.In(0);
        var axis = at.Axis(at.Int("axis", 0), value.Rank);
        var size = value.Shape[axis];
        var parts = at.Int("num_outputs", at.Outputs);
        at.Require(parts >= 1, "1 or more parts", $"{parts}");
        var each = (size + parts - 1) / parts;
        long[] lengths = at.Ints("split", 1) ?? [.. Enumerable.Range(0, (int)parts).Select(k => Math.Min(each, size - k * each))];
        at.Require(
            lengths.All(length => length >= 1) && lengths.Sum() == size && lengths.Length >= at.Outputs, $"parts of 1 or more of {size} entries", string.Join(", ", lengths));
        var starts = lengths.Select((_, k) => lengths.Take(k).Sum()).ToArray();
        return [.. lengths.Select((length, k) => at.Slice(value, axis, starts[k], length))];
    }

    private static GraphValue[] Slice(GraphNode at)
    {
        var value = at.In(0);
        var starts = at.Ints("starts", 1) ?? throw at.Refuse("starts", "none");
        var ends = at.Ints("ends", 2) ?? throw at.Refuse("ends", "none");
        var axes = at.Ints("axes", 3) ?? [.. Enumerable.Range(0, starts.Length).Select(d => (long)d)];
        long[] steps = at.Optional(4) is null ? [.. starts.Select(_ => 1L)] : at.Whole(4);
        at.Require(ends.Length == starts.Length && axes.Length == starts.Length && steps.Length == starts.Length, "as many ends, axes and steps as starts", "others");
        for (var k = 0; k < starts.Length; k++)
        {
            var axis = at.Axis(axes[k], value.Rank);
            var (size, step) = (value.Shape[axis], steps[k]);
            at.Require(step != 0, "steps that are not 0", "0");
            var (low, high) = step > 0 ? (0L, size) : (-1L, size - 1);
            long Limit(long place) => Math.Clamp(place < 0 ? place + size : place, low, high);
            long start = Limit(starts[k]), end = ends[k] == long.MinValue ? low : Limit(Math.Max(ends[k], -size - 1));
            var count = step > 0 ? (end - start + step - 1) / step : (start - end - step - 1) / -step;
            if (count <= 0 && value.Constant is { } nothing)
            {
                value = at.Graph.Constant(value.Name, nothing.narrow(axis, 0, 0));
                continue;
            }

            at.Require(count >= 1, "a part of 1 or more entries", $"{count}");
            value = step == 1
                ? at.Slice(value, axis, start, count)
                : at.Select(value, axis, [.. Enumerable.Range(0, (int)count).Select(place => start + place * step)], drop: false);
        }

        return [value];
    }

    private static GraphValue[] Gather(GraphNode at)
    {
        GraphValue table = at.In(0), places = at.In(1);
        var axis = at.Axis(at.Int("axis", 0), table.Rank);
        if (places.Parameter is null && at.Graph.Whole(places) is { } constant)
        {
            if (places.Rank <= 1) return [at.Select(table, axis, constant, drop: places.Rank == 0)];
            var taken = at.Select(table, axis, constant, drop: false);
            return [at.Reshape(taken.Lead ? at.Graph.Unled(at.Proto, taken) : taken, [.. table.Shape[..axis], .. places.Shape, .. table.Shape[(axis + 1)..]])];
        }

        table = at.Graph.Unled(at.Proto, table);
        var lead = places.Lead && axis == 0;
        if (!lead) places = at.Graph.Unled(at.Proto, places);
        return [at.Emit(new Lookup(axis), lead, table, places) with { Type = table.Type }];
    }

    private static GraphValue[] Expand(GraphNode at)
    {
        var value = at.In(0);
        var target = at.Whole(1);
        if (at.Graph.Batch > 1 && target.Length > 0 && target[0] == at.Graph.Batch && (value.Rank < target.Length || value.Shape[0] == 1))
            target = [1, .. target[1..]];
        return [Expanded(at, value, target)];
    }

    /// <summary>A value repeated along axes of one entry, to a shape that NumPy would broadcast it to.</summary>
    public static GraphValue Expanded(GraphNode at, GraphValue value, long[] target)
    {
        var rank = Math.Max(value.Rank, target.Length);
        long Of(IReadOnlyList<long> shape, int d) => d < rank - shape.Count ? 1 : shape[d - rank + shape.Count];
        long[] shape = [.. Enumerable.Range(0, rank).Select(d => Math.Max(Of(value.Shape, d), Of(target, d)))];
        at.Require(
            Enumerable.Range(0, rank).All(d => Of(value.Shape, d) == shape[d] || Of(value.Shape, d) == 1), $"a shape that {string.Join(" x ", value.Shape)} can have", string.Join(" x ", target));
        if (shape.SequenceEqual(value.Shape)) return value;
        var lead = value.Lead && rank == value.Rank && shape[0] == 1;
        var source = lead ? value : at.Graph.Unled(at.Proto, value);
        return at.Emit(new Expansion(GraphBuilder.Ints(lead ? shape[1..] : shape)), lead, source);
    }

    private static GraphValue[] Tile(GraphNode at)
    {
        var value = at.In(0);
        var repeats = at.Whole(1);
        at.Require(repeats.Length == value.Rank && repeats.All(times => times >= 1), $"{value.Rank} numbers of 1 or more", string.Join(", ", repeats));
        if (repeats.All(times => times == 1)) return [value];
        // Copies as an axis of its own, outside of the one that they are of.
        long[] apart = [.. value.Shape.SelectMany(size => new[] { 1, size })], many = [.. value.Shape.Zip(repeats).SelectMany(pair => new[] { pair.Second, pair.First })];
        return [at.Reshape(Expanded(at, at.Reshape(value, apart), many), [.. value.Shape.Zip(repeats).Select(pair => pair.First * pair.Second)])];
    }

    private static GraphValue[] Pad(GraphNode at)
    {
        var value = at.In(0);
        var pads = at.Ints("pads", 1) ?? throw at.Refuse("pads", "none");
        var axes = at.Optional(3) is null ? Enumerable.Range(0, value.Rank).ToArray() : [.. at.Whole(3).Select(axis => at.Axis(axis, value.Rank))];
        at.Require(pads.Length == 2 * axes.Length, $"{2 * axes.Length} pads", $"{pads.Length}");
        var (before, after) = (new int[value.Rank], new int[value.Rank]);
        for (var k = 0; k < axes.Length; k++)
        {
            at.Require(Math.Abs(pads[k]) < int.MaxValue && Math.Abs(pads[k + axes.Length]) < int.MaxValue, "pads of 32 bits", $"{pads[k]}");
            (before[axes[k]], after[axes[k]]) = ((int)pads[k], (int)pads[k + axes.Length]);
        }

        if (before.Concat(after).All(pad => pad == 0)) return [value];
        var mode = at.Text("mode", "constant") switch
        {
            "constant" => PaddingMode.Zeros,
            "reflect" => PaddingMode.Reflect,
            "edge" => PaddingMode.Replicate,
            "wrap" => PaddingMode.Circular,
            var other => throw at.Refuse("a mode among constant, reflect, edge and wrap", other),
        };
        var filling = at.Has("value") ? at.Float("value", 0) : at.Number(2) ?? 0;
        if (value.Lead && (before[0] != 0 || after[0] != 0)) value = at.Graph.Unled(at.Proto, value);
        var skip = value.Lead ? 1 : 0;
        return [at.Emit(new EdgePadding([.. before.Skip(skip)], [.. after.Skip(skip)], mode, mode == PaddingMode.Zeros ? filling : 0), value.Lead, value)];
    }

    private static GraphValue[] DepthToSpace(GraphNode at)
    {
        var value = at.In(0);
        var block = at.Int("blocksize", 1);
        at.Require(value.Rank == 4 && block >= 1 && block <= 1 << 15 && value.Shape[1] % (block * block) == 0, "an image whose channels the block divides", string.Join(" x ", value.Shape));
        var (channels, height, width) = (value.Shape[1] / (block * block), value.Shape[2], value.Shape[3]);
        var moved = at.Text("mode", "DCR") == "DCR"
            ? at.Transpose(at.Reshape(value, value.Shape[0], block, block, channels, height, width), 0, 3, 4, 1, 5, 2)
            : at.Transpose(at.Reshape(value, value.Shape[0], channels, block, block, height, width), 0, 1, 4, 2, 5, 3);
        return [at.Reshape(moved, value.Shape[0], channels, height * block, width * block)];
    }

    private static GraphValue[] SpaceToDepth(GraphNode at)
    {
        var value = at.In(0);
        var block = at.Int("blocksize", 1);
        at.Require(
            value.Rank == 4 && block >= 1 && block <= 1 << 15 && value.Shape[2] % block == 0 && value.Shape[3] % block == 0, "an image whose sides the block divides", string.Join(" x ", value.Shape));
        var (height, width) = (value.Shape[2] / block, value.Shape[3] / block);
        var moved = at.Transpose(at.Reshape(value, value.Shape[0], value.Shape[1], height, block, width, block), 0, 3, 5, 1, 2, 4);
        return [at.Reshape(moved, value.Shape[0], value.Shape[1] * block * block, height, width)];
    }

    private static GraphValue[] Resize(GraphNode at)
    {
        var value = at.In(0);
        var old = at.Proto.Operator == "Upsample" || at.Version < 11;
        at.Require(at.Int("antialias", 0) == 0 && at.Int("exclude_outside", 0) == 0 && at.Text("keep_aspect_ratio_policy", "stretch") == "stretch", "no antialiasing, all neighbours, and both sides stretched", "another resize");
        var scalesAt = old ? 1 : 2;
        double[]? scales = at.Optional(scalesAt) is { Count: > 0 } given
            ? [.. (given.Constant ?? (given.Parameter is { } stored ? at.Graph.Fix(stored) : throw at.Refuse("constant scales", "computed ones"))).to(ScalarType.Float64).reshape([-1]).data<double>().ToArray()]
            : null;
        // Before opset 9 they were an attribute.
        if (at.Proto.Attributes.TryGetValue("scales", out var said)) scales ??= [.. said.Floats.Select(scale => (double)scale)];
        // By their shortest decimals, as what was meant: 10 by 0.7 is 7, and by 0.7 in single precision just below.
        scales = scales?.Select(scale => GraphNode.Meant((float)scale)).ToArray();
        long[]? sizes = !old && at.Optional(3) is { Count: > 0 } ? at.Whole(3) : null;
        if (at.Ints("axes") is { } some)
        {
            int[] axes = [.. some.Select(axis => at.Axis(axis, value.Rank))];
            if (scales is not null) scales = [.. Enumerable.Range(0, value.Rank).Select(d => Array.IndexOf(axes, d) is >= 0 and var k ? scales[k] : 1)];
            if (sizes is not null) sizes = [.. Enumerable.Range(0, value.Rank).Select(d => Array.IndexOf(axes, d) is >= 0 and var k ? sizes[k] : value.Shape[d])];
        }

        at.Require((scales ?? sizes?.Select(size => (double)size).ToArray())?.Length == value.Rank, $"sizes or scales of {value.Rank} axes", "none");
        if (sizes is not null && at.Graph.Batch > 1 && sizes[0] == at.Graph.Batch) sizes[0] = 1;
        sizes ??= [.. value.Shape.Zip(scales!).Select(pair => (long)Math.Floor(pair.First * pair.Second))];
        var place = old ? ResamplingPlace.Asymmetric : at.Text("coordinate_transformation_mode", "half_pixel") switch
        {
            "half_pixel" => ResamplingPlace.HalfPixel,
            "pytorch_half_pixel" => ResamplingPlace.PyTorchHalfPixel,
            "align_corners" => ResamplingPlace.AlignCorners,
            "asymmetric" => ResamplingPlace.Asymmetric,
            var other => throw at.Refuse("coordinates half_pixel, pytorch_half_pixel, align_corners or asymmetric", other),
        };
        var mode = (at.Text("mode", "nearest"), old ? "floor" : at.Text("nearest_mode", "round_prefer_floor")) switch
        {
            ("nearest", "round_prefer_floor") => ResamplingMode.Nearest,
            ("nearest", "round_prefer_ceil") => ResamplingMode.NearestUpper,
            ("nearest", "floor") => ResamplingMode.Below,
            ("nearest", "ceil") => ResamplingMode.Above,
            ("linear", _) => ResamplingMode.Linear,
            ("cubic", _) when Math.Abs(at.Float("cubic_coeff_a", -0.75f) + 0.75) < 1e-9 => ResamplingMode.Cubic,
            var other => throw at.Refuse("a mode nearest, linear or cubic (of coefficient -0.75)", other.Item1),
        };
        if (value.Lead && sizes[0] != 1) value = at.Graph.Unled(at.Proto, value);
        var skip = value.Lead ? 1 : 0;
        return [at.Emit(
            new Resampling(GraphBuilder.Ints(sizes.Skip(skip)), mode, place, scales is null ? null : [.. scales.Skip(skip)]), value.Lead, value)];
    }

    private static long Product(IEnumerable<long> sizes) => sizes.Aggregate(1L, (product, size) => product * size);
}
