using LmcDsl.Core.Architectures;

namespace LmcDsl.Core.Importing;

/// <summary>
/// Where the batch stands among a value's axes, of which it is no longer the first once axes were moved: a shape that was written for a
/// batch is one for an example only by that.
/// </summary>
/// <param name="Outside">How many of an example's entries stand before the batch in the order of the numbers; a reshape leaves it as it is.</param>
/// <param name="Axis">The axis that it is, or is a part of; null where sizes do not tell.</param>
internal readonly record struct BatchPlace(long Outside, int? Axis)
{
    /// <summary>Before all else.</summary>
    public static BatchPlace First => new(1, 0);

    /// <summary>The same numbers in another shape, of which only sizes are known.</summary>
    public BatchPlace Reshaped(long[] from, long[] to)
    {
        if (Axis is not { } axis) return this;
        if (to.Length > axis && from.AsSpan(0, axis + 1).SequenceEqual(to.AsSpan(0, axis + 1))) return this;
        var outside = Outside;
        int[] fitting = [.. Enumerable.Range(0, to.Length).Where(d => to[d] == from[axis] && Before(to, d) * (outside / Before(from, axis)) == outside)];
        return this with { Axis = fitting is [var only] ? only : null };
    }

    /// <summary>The axes in another order; null where it could be in several places then.</summary>
    public BatchPlace? Moved(long[] shape, int[] order)
    {
        var outside = Outside;
        int[] axes = Axis is { } known
            ? [known]
            : [.. Enumerable.Range(0, shape.Length).Where(d => outside % Before(shape, d) == 0 && Before(shape, d) * shape[d] % outside == 0)];
        BatchPlace[] places = [.. axes.Select(axis =>
        {
            var to = Array.IndexOf(order, axis);
            return new BatchPlace(order[..to].Aggregate(outside / Before(shape, axis), (product, d) => product * shape[d]), to);
        })];
        return places.Select(place => place.Outside).Distinct().Count() != 1 ? null
            : places is [var only] ? only
            : places[0] with { Axis = null };
    }

    /// <summary>The axis of a shape with the whole batch that holds it; -1 where none does.</summary>
    public int In(long[] whole, long batch)
    {
        var outside = Outside;
        return Array.FindIndex(
            [.. Enumerable.Range(0, whole.Length)],
            d => whole[d] > 0 && outside % Before(whole, d) == 0 && Before(whole, d) * whole[d] % (outside * batch) == 0);
    }

    /// <summary>Where it stands in what a layer gives: where it stood, if no axis up to there changed.</summary>
    public static BatchPlace? Behind(Layer layer, GraphValue[] inputs, long[] shape)
    {
        if (layer is Transposition or Parameter or Constant) return null;
        BatchPlace?[] places = [.. inputs.Where(input => input.Batch is not null).Select(input => input.Batch!.Value.Kept(layer, input.Shape, shape)).Distinct()];
        return places is [var only] ? only : null;
    }

    private BatchPlace? Kept(Layer layer, long[] from, long[] to)
    {
        if (from.SequenceEqual(to)) return this;
        if (layer is Reshaping or Flatten) return Reshaped(from, to);
        var more = to.Length - from.Length; // axes that others have before
        if (Axis is not { } axis || more < 0 || !from.AsSpan(0, axis + 1).SequenceEqual(to.AsSpan(more, axis + 1))) return null;
        return new BatchPlace(Outside * Before(to, more), axis + more);
    }

    private static long Before(long[] shape, int axis) => shape[..axis].Aggregate(1L, (product, size) => product * size);
}
