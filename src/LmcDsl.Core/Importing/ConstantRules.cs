using System.Runtime.InteropServices;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>Operators that make sizes, ranges and masks: computed where all that they read is constant, as it is once sizes are fixed.</summary>
internal static class ConstantRules
{
    public static Dictionary<string, GraphRule> All { get; } = new()
    {
        ["Constant"] = Constant,
        ["Shape"] = Shape,
        ["Size"] = at => [at.Graph.Constant("size", tensor(at.In(0).Count))],
        ["ConstantOfShape"] = Filled,
        ["Range"] = Range,
        ["ScatterND"] = ScatterEntries,
        ["NonZero"] = at => [at.Graph.Constant("nonzero", Read(at, 0).nonzero().t().contiguous())],
        ["Trilu"] = Triangle,
        ["EyeLike"] = Eye,
        ["OneHot"] = OneHot,
        ["CumSum"] = CumulativeSum,
        ["GatherElements"] = at => [at.Graph.Constant("gathered", Read(at, 0).gather(at.Axis(at.Int("axis", 0), at.In(0).Rank), Places(at, 1, at.In(0).Shape[at.Axis(at.Int("axis", 0), at.In(0).Rank)])))],
        ["GatherND"] = GatherEntries,
    };

    private static Tensor Read(GraphNode at, int input) => at.In(input) switch
    {
        { Constant: { } constant } => constant,
        { Parameter: { } stored } value when value.Count <= 1024 => at.Graph.Fix(stored),
        _ => throw at.Refuse($"a constant as input {input}", "one that is computed"),
    };

    // Indices below 0 count from the end.
    private static Tensor Places(GraphNode at, int input, long size)
    {
        var places = Read(at, input).to(ScalarType.Int64);
        places = where(places < 0, places + size, places);
        at.Require(places.numel() == 0 || (places.min().item<long>() >= 0 && places.max().item<long>() < size), $"places of {size} entries", "others");
        return places;
    }

    private static GraphValue[] Constant(GraphNode at)
    {
        var given = at.Proto.Attributes;
        if (given.TryGetValue("value", out var value) && value.Tensor is { } stored) return [at.Graph.Constant(at.Proto.Outputs[0], stored.Load(at.Graph.Folder))];
        if (given.TryGetValue("value_float", out var one)) return [at.Graph.Constant(at.Proto.Outputs[0], tensor(one.Float))];
        if (given.TryGetValue("value_int", out var whole)) return [at.Graph.Constant(at.Proto.Outputs[0], tensor(whole.Int))];
        if (given.TryGetValue("value_floats", out var floats)) return [at.Graph.Constant(at.Proto.Outputs[0], tensor(floats.Floats.ToArray()))];
        if (given.TryGetValue("value_ints", out var ints)) return [at.Graph.Constant(at.Proto.Outputs[0], tensor(ints.Ints.ToArray()))];
        throw at.Refuse("a tensor or numbers", "another value");
    }

    private static GraphValue[] Shape(GraphNode at)
    {
        var shape = at.In(0).Shape;
        long Limit(long place) => Math.Clamp(place < 0 ? place + shape.Length : place, 0, shape.Length);
        var (start, end) = (Limit(at.Int("start", 0)), Limit(at.Int("end", shape.Length)));
        return [at.Graph.Whole("shape", shape[(int)start..(int)Math.Max(start, end)])];
    }

    private static GraphValue[] Filled(GraphNode at)
    {
        var shape = at.Whole(0);
        at.Require(shape.All(size => size is >= 0 and <= int.MaxValue), "sizes of 0 or more", string.Join(" x ", shape));
        using var value = at.Proto.Attributes.TryGetValue("value", out var given) && given.Tensor is { } stored ? stored.Load(at.Graph.Folder) : zeros(1);
        at.Require(value.numel() == 1, "one number", $"{value.numel()}");
        return [at.Graph.Constant("filled", value.reshape([.. shape.Select(_ => 1L)]).expand(shape))];
    }

    private static GraphValue[] Range(GraphNode at)
    {
        Tensor first = Read(at, 0), last = Read(at, 1), step = Read(at, 2);
        double Of(Tensor value) => value.to(ScalarType.Float64).reshape([1])[0].item<double>();
        at.Require(Of(step) != 0, "a step that is not 0", "0");
        var count = Math.Max(0, Math.Ceiling((Of(last) - Of(first)) / Of(step)));
        at.Require(count <= 1 << 24, $"at most {1 << 24} numbers", $"{count}");
        return [at.Graph.Constant("range", (arange((long)count, ScalarType.Float64) * Of(step) + Of(first)).to(first.dtype))];
    }

    private static GraphValue[] ScatterEntries(GraphNode at)
    {
        at.Require(at.Text("reduction", "none") == "none", "no reduction", at.Text("reduction", "none"));
        var result = Read(at, 0).clone();
        var (rows, _) = Rows(at, result, 1);
        var flat = result.reshape([rows.Size, -1]);
        flat.index_copy_(0, rows.Places, Read(at, 2).reshape([rows.Places.shape[0], -1]).to(flat.dtype));
        return [at.Graph.Constant("scattered", flat.reshape(at.In(0).Shape))];
    }

    private static GraphValue[] GatherEntries(GraphNode at)
    {
        at.Require(at.Int("batch_dims", 0) == 0, "no batch_dims", "some");
        var data = Read(at, 0);
        var (rows, _) = Rows(at, data, 1);
        var depth = (int)at.In(1).Shape[^1];
        return [at.Graph.Constant("gathered", data.reshape([rows.Size, -1]).index_select(0, rows.Places).reshape([.. at.In(1).Shape[..^1], .. data.shape[depth..]]))];
    }

    // Places along the first axes together, each as one number.
    private static ((Tensor Places, long Size) Rows, int Depth) Rows(GraphNode at, Tensor data, int input)
    {
        var indices = Read(at, input).to(ScalarType.Int64);
        at.Require(indices.dim() >= 1 && indices.shape[^1] is >= 1 and var deep && deep <= data.dim(), "places along some axes", Guard.Show(indices.shape));
        var depth = (int)indices.shape[^1];
        var flat = indices.reshape([-1, depth]);
        var (places, size) = (zeros(flat.shape[0], ScalarType.Int64), 1L);
        for (var d = 0; d < depth; d++)
        {
            var along = flat.select(1, d);
            along = where(along < 0, along + data.shape[d], along);
            at.Require(along.numel() == 0 || (along.min().item<long>() >= 0 && along.max().item<long>() < data.shape[d]), $"places of {data.shape[d]} entries", "others");
            places = places * data.shape[d] + along;
            size *= data.shape[d];
        }

        return ((places, size), depth);
    }

    private static GraphValue[] Triangle(GraphNode at)
    {
        var value = Read(at, 0);
        at.Require(value.dim() >= 2, "a matrix", Guard.Show(value.shape));
        var diagonal = at.Optional(1) is null ? 0 : at.Whole(1)[0];
        return [at.Graph.Constant("triangle", at.Int("upper", 1) == 1 ? value.triu(diagonal) : value.tril(diagonal))];
    }

    private static GraphValue[] Eye(GraphNode at)
    {
        var shape = at.In(0).Shape;
        at.Require(shape.Length == 2 && shape[0] * (double)shape[1] <= 1 << 24, "a matrix", string.Join(" x ", shape));
        var rows = arange(shape[0]).unsqueeze(1);
        var on = (arange(shape[1]).unsqueeze(0) - rows) == at.Int("k", 0);
        var type = at.Int("dtype", 1) switch { 1 => ScalarType.Float32, 6 => ScalarType.Int32, 7 => ScalarType.Int64, 9 => ScalarType.Bool, 11 => ScalarType.Float64, var other => throw at.Refuse("a usual type", $"{other}") };
        return [at.Graph.Constant("eye", on.to(at.Has("dtype") ? type : at.In(0).Type))];
    }

    private static GraphValue[] OneHot(GraphNode at)
    {
        var (indices, depth, values) = (Read(at, 0).to(ScalarType.Int64), at.Whole(1)[0], Read(at, 2));
        at.Require(depth >= 1 && depth * (double)indices.numel() <= 1 << 24, "a depth of 1 or more", $"{depth}");
        var axis = at.Axis(at.Int("axis", -1), at.In(0).Rank + 1);
        indices = where(indices < 0, indices + depth, indices);
        long[] along = [.. Enumerable.Range(0, at.In(0).Rank + 1).Select(d => d == axis ? depth : 1)];
        var on = indices.unsqueeze(axis) == arange(depth).reshape(along);
        return [at.Graph.Constant("onehot", where(on, values[1], values[0]))];
    }

    private static GraphValue[] CumulativeSum(GraphNode at)
    {
        var (value, axis) = (Read(at, 0), at.Axis(at.Whole(1)[0], at.In(0).Rank));
        var reverse = at.Int("reverse", 0) == 1;
        if (reverse) value = value.flip(axis);
        var sum = value.cumsum(axis, value.dtype);
        if (at.Int("exclusive", 0) == 1) sum = sum - value;
        return [at.Graph.Constant("cumsum", reverse ? sum.flip(axis) : sum)];
    }
}
