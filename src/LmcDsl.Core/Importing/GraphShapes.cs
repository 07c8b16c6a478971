using LmcDsl.Core.Architectures;

namespace LmcDsl.Core.Importing;

/// <summary>Moves of a value's axes, in terms of the graph's shapes.</summary>
internal static class GraphShapes
{
    /// <summary>The same numbers in another shape of the graph.</summary>
    public static GraphValue Reshape(this GraphNode at, GraphValue value, params long[] shape)
    {
        if (value.Shape.SequenceEqual(shape)) return value;
        at.Require(
            shape.Aggregate(1L, (product, size) => product * size) == value.Count, $"a shape of {value.Count} numbers", string.Join(" x ", shape));
        if (value.Constant is { } constant)
        {
            var lead = value.Lead && shape.Length > 0 && shape[0] == 1;
            return at.Graph.Constant(value.Name, constant.reshape(shape)) with { Lead = lead };
        }

        var isLed = value.Lead && shape.Length > 0 && shape[0] == 1;
        var signal = isLed ? shape[1..] : shape;
        // A batch axis that comes or goes changes the graph's shape only.
        if (value.SignalShape.SequenceEqual(signal)) return value with { Shape = shape, Lead = isLed, Batch = value.Batch?.Reshaped(value.Shape, shape) };
        return isLed && signal.Length == 1
            ? at.Emit(new Flatten(), lead: true, value)
            : at.Emit(new Reshaping(GraphBuilder.Ints(signal)), isLed, value) with { Type = value.Type };
    }

    /// <summary>The axes in another order of the graph.</summary>
    public static GraphValue Transpose(this GraphNode at, GraphValue value, params int[] order)
    {
        if (order.Select((from, to) => from == to).All(stays => stays)) return value;
        var moved = value.Lead && order[0] == 0
            ? at.Emit(new Transposition([.. order.Skip(1).Select(d => d - 1)]), lead: true, value)
            : at.Emit(new Transposition([.. order]), lead: false, at.Graph.Unled(at.Proto, value));
        return moved with { Batch = value.Batch?.Moved(value.Shape, order) };
    }

    /// <summary>
    /// A part of an axis. Where the axis was made by parting a longer one, and is the outermost there, the part is taken of that one: parts
    /// that go different ways, as queries and keys do, then have orders of their own.
    /// </summary>
    public static GraphValue Slice(this GraphNode at, GraphValue value, int axis, long start, long length)
    {
        if (start == 0 && length == value.Shape[axis]) return value;
        at.Require(
            start >= 0 && length >= 1 && start <= value.Shape[axis] - length, $"a part within {value.Shape[axis]} entries", $"{length} from {start} on");
        if (value.Lead && axis == 0) value = at.Graph.Unled(at.Proto, value);
        if (value.From is { Layer: Transposition { Order: var order }, Inputs: [var before] } && !IsConstant(before))
        {
            var offset = value.Lead ? 1 : 0;
            var moved = order[axis - offset] + (before.Lead ? 1 : 0);
            if (Source(before, moved) is not null)
            {
                int[] whole = value.Lead ? [0, .. order.Select(d => d + 1)] : [.. order];
                return at.Transpose(at.Slice(before, moved, start, length), whole);
            }
        }

        if (Source(value, axis) is var (source, outer, inside))
        {
            var part = at.Slice(source, outer, start * inside, length * inside);
            long[] shape = [.. value.Shape];
            shape[axis] = length;
            return at.Reshape(part, shape);
        }

        var d = value.Lead ? axis - 1 : axis;
        return at.Emit(new Slice((int)start, (int)length, d), value.Lead, value);
    }

    /// <summary>Entries of an axis by constant places.</summary>
    public static GraphValue Select(this GraphNode at, GraphValue value, int axis, long[] places, bool drop)
    {
        var size = value.Shape[axis];
        places = [.. places.Select(place => place < 0 ? place + size : place)];
        at.Require(places.All(place => place >= 0 && place < size), $"places of {size} entries", string.Join(", ", places.Take(10)));
        long[] rest = [.. value.Shape[..axis], .. value.Shape[(axis + 1)..]];
        if (drop && size == 1) return at.Reshape(value.Lead && axis == 0 ? at.Graph.Unled(at.Proto, value) : value, rest);
        if (places.Length > 0 && Enumerable.Range(1, places.Length - 1).All(k => places[k] == places[k - 1] + 1) && IsParted(value, axis))
        {
            var part = at.Slice(value, axis, places[0], places.Length);
            return drop ? at.Reshape(part, rest) : part;
        }

        if (!drop && places.SequenceEqual(Enumerable.Range(0, (int)size).Select(place => (long)place))) return value;
        if (value.Lead && axis == 0) value = at.Graph.Unled(at.Proto, value);
        var d = value.Lead ? axis - 1 : axis;
        return at.Emit(new Gathering(d, GraphBuilder.Ints(places), drop), value.Lead, value);
    }

    // Whether parts of an axis can be taken before it was made.
    private static bool IsParted(GraphValue value, int axis)
    {
        if (value.From is { Layer: Transposition { Order: var order }, Inputs: [var before] } && !IsConstant(before))
            return axis - (value.Lead ? 1 : 0) >= 0 && IsParted(before, order[axis - (value.Lead ? 1 : 0)] + (before.Lead ? 1 : 0));
        return Source(value, axis) is not null;
    }

    // The longer axis of which an axis is the outermost factor, and how many entries of it one entry is.
    private static (GraphValue Source, int Axis, long Inside)? Source(GraphValue value, int axis)
    {
        if (value.From is { Layer: Transposition, Inputs: [_] }) return null;
        if (value.From is not { Layer: Reshaping, Inputs: [var before] } || IsConstant(before)) return null;
        var outside = value.Shape.Take(axis).Aggregate(1L, (product, size) => product * size);
        var reached = 1L;
        for (var d = 0; d < before.Rank; d++)
        {
            if (reached == outside && before.Shape[d] > value.Shape[axis] && before.Shape[d] % value.Shape[axis] == 0)
                return (before, d, before.Shape[d] / value.Shape[axis]);
            if (reached == outside && before.Shape[d] == value.Shape[axis] && IsParted(before, d)) return (before, d, 1);
            reached *= before.Shape[d];
        }

        return null;
    }

    private static bool IsConstant(GraphValue value) => value.Constant is not null;
}
