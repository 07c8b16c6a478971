using LmcDsl.Core.Checkpoints;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>
/// How a tensor of a graph is made of one of a checkpoint, when no number was changed: entries of each axis by their places (a part, gates
/// in another order, rows of a table), axes in another order, axes of one entry.
/// </summary>
/// <param name="Source">The checkpoint's tensor.</param>
/// <param name="Places">For each of its axes the entries that are taken, in their order; null where all are, as they stand.</param>
/// <param name="Sizes">The shape that what is taken is then given.</param>
/// <param name="Order">The order that the axes of it are then given.</param>
/// <param name="Shape">The shape of the result.</param>
internal sealed record TensorMap(KnownTensor Source, long[]?[] Places, long[] Sizes, int[] Order, long[] Shape)
{
    private const int MostRuns = 16;
    private const int Probes = 4096;

    /// <summary>Whether nothing but the name differs.</summary>
    public bool IsSame => Places.All(places => places is null) && Shape.AsSpan().SequenceEqual(Source.Shape.AsSpan()) && IsInOrder;

    private bool IsInOrder => Order.Select((from, to) => from == to).All(stays => stays);

    /// <summary>
    /// Finds a tensor whose numbers are those of the checkpoint's, all of them, its axes in some order. Where several orders fit, as in a matrix
    /// that is its own transpose, one that is not the checkpoint's: the export would have kept the name of a tensor that it left as it was.
    /// </summary>
    /// <param name="lost">The graph's tensor.</param>
    /// <param name="source">The checkpoint's.</param>
    /// <returns>The way; null where there is none.</returns>
    public static TensorMap? Whole(Tensor lost, KnownTensor source)
    {
        long[] own = [.. source.Shape.Where(size => size != 1)], wanted = [.. lost.shape.Where(size => size != 1)];
        if (own.Length != wanted.Length || own.Length > 5 || !own.Order().SequenceEqual(wanted.Order())) return null;
        using var scope = NewDisposeScope();
        var type = Coarser(lost, source.Numbers);
        lost = lost.to(type);
        if (RangeOf(lost) != source.Range(type)) return null;
        var (numbers, sought) = (source.Numbers.to(type).reshape(own), lost.reshape(wanted));
        TensorMap? found = null;
        foreach (var order in Orders(own.Length))
        {
            if (!order.Select(d => own[d]).SequenceEqual(wanted) || !Same(numbers.permute([.. order.Select(d => (long)d)]), sought)) continue;
            found = new TensorMap(source, [.. source.Shape.Select(_ => (long[]?)null)], own, order, lost.shape);
            if (!found.IsInOrder) break;
        }

        return found;
    }

    /// <summary>Finds a tensor whose numbers are some of the checkpoint's: for each axis of that one, those at certain places.</summary>
    /// <param name="lost">The graph's tensor.</param>
    /// <param name="source">The checkpoint's.</param>
    /// <returns>The way; null where there is none, or where numbers that come more than once leave several.</returns>
    public static TensorMap? Parts(Tensor lost, KnownTensor source)
    {
        using var scope = NewDisposeScope();
        if (lost.numel() < 2 || source.Shape.Aggregate(1L, (product, size) => product * size) < 2) return null;
        var type = Coarser(lost, source.Numbers);
        lost = lost.to(type);
        var ((least, most), (low, high)) = (RangeOf(lost), source.Range(type));
        if (!(least >= low && most <= high)) return null;
        if (!Enumerable.Range(0, (int)Math.Min(4, lost.numel())).All(k => source.Holds(lost.flatten()[k]))) return null;
        var sought = lost.squeeze();
        var sizes = sought.shape;
        var head = source.Places(sought.flatten().narrow(0, 0, Math.Min(Probes, sought.numel())), type);
        var known = Array.FindIndex(head, place => place >= 0);
        if (known < 0) return null;
        long[] shape = [.. source.Shape], from = Unravelled(known, sizes), origin = Unravelled(head[known], shape);

        // Along which of the checkpoint's axes each axis of the graph's runs.
        var along = new int[sizes.Length];
        for (var axis = 0; axis < sizes.Length; axis++)
        {
            var places = source.Places(Plane(sought, from, [axis]), type);
            if (places.Any(place => place < 0)) return null;
            int[] varied = [.. Enumerable.Range(0, shape.Length).Where(k => places.Any(place => Unravelled(place, shape)[k] != origin[k]))];
            if (varied is not [var only]) return null;
            along[axis] = only;
        }

        var (taken, kept, listed) = (new long[]?[shape.Length], new List<long>(), new List<int>());
        for (var k = 0; k < shape.Length; k++)
        {
            int[] axes = [.. Enumerable.Range(0, sizes.Length).Where(axis => along[axis] == k)];
            long[] places = axes.Length == 0 ? [origin[k]] : [.. source.Places(Plane(sought, from, axes), type).Select(place => place < 0 ? -1 : Unravelled(place, shape)[k])];
            if (places.Contains(-1)) return null;
            taken[k] = places.SequenceEqual(Enumerable.Range(0, (int)shape[k]).Select(place => (long)place)) ? null : places;
            kept.AddRange(axes.Select(axis => sizes[axis]));
            listed.AddRange(axes);
        }

        var map = new TensorMap(source, taken, [.. kept], [.. Enumerable.Range(0, sizes.Length).Select(axis => listed.IndexOf(axis))], lost.shape);
        return Same(map.Apply(source.Numbers.to(type)), lost) ? map : null;
    }

    /// <summary>The result, of the checkpoint's numbers.</summary>
    public Tensor Apply(Tensor numbers)
    {
        for (var k = 0; k < Places.Length; k++)
            if (Places[k] is { } places) numbers = numbers.index_select(k, tensor(places));
        return numbers.reshape(Sizes).permute([.. Order.Select(d => (long)d)]).reshape(Shape);
    }

    /// <summary>Writes the way as nodes.</summary>
    /// <param name="edit">Where.</param>
    /// <returns>The name of the result.</returns>
    public string Write(GraphEdit edit)
    {
        var value = edit.Known(Source);
        if (IsSame) return value;
        long[] shape = [.. Source.Shape];
        for (var k = 0; k < Places.Length; k++)
        {
            if (Places[k] is not { } places) continue;
            // Runs of neighbours are parts, as gates are, which keep their orders; other places fix the axis.
            var runs = Runs(places);
            value = runs.Count <= MostRuns
                ? edit.Joined([.. runs.Select(run => edit.Part(value, k, run.Start, run.Length))], k)
                : edit.Node("Gather", [value, edit.Whole(places)], OnnxAttribute.Of("axis", k));
            shape[k] = places.Length;
        }

        if (!shape.SequenceEqual(Sizes)) value = edit.Reshaped(value, Sizes);
        if (!IsInOrder) value = edit.Node("Transpose", [value], OnnxAttribute.Of("perm", [.. Order.Select(d => (long)d)]));
        return Order.Select(d => Sizes[d]).SequenceEqual(Shape) ? value : edit.Reshaped(value, Shape);
    }

    private static List<(long Start, long Length)> Runs(long[] places)
    {
        var runs = new List<(long Start, long Length)>();
        foreach (var place in places)
            if (runs.Count > 0 && place == runs[^1].Start + runs[^1].Length) runs[^1] = (runs[^1].Start, runs[^1].Length + 1);
            else runs.Add((place, 1));
        return runs;
    }

    /// <summary>Whether two tensors have the same shape and, rounded to the coarser type of both, the same numbers.</summary>
    public static bool Same(Tensor one, Tensor other)
    {
        var type = Coarser(one, other);
        return one.shape.SequenceEqual(other.shape) && one.to(type).eq(other.to(type)).all().item<bool>();
    }

    // A graph in single precision may be that of a checkpoint that was saved in half, or the other way round.
    private static ScalarType Coarser(Tensor one, Tensor other) => one.element_size() < other.element_size() ? one.dtype : other.dtype;

    private static (double, double) RangeOf(Tensor values) =>
        values.numel() == 0 ? (0, 0) : (values.to(ScalarType.Float64).min().item<double>(), values.to(ScalarType.Float64).max().item<double>());

    // The entries that differ from one place in some axes only, as a list.
    private static Tensor Plane(Tensor values, long[] from, int[] axes)
    {
        for (var d = 0; d < from.Length; d++)
            if (!axes.Contains(d)) values = values.narrow(d, from[d], 1);
        return values.flatten();
    }

    private static long[] Unravelled(long place, long[] shape)
    {
        var result = new long[shape.Length];
        for (var d = shape.Length - 1; d >= 0; d--) (place, result[d]) = (place / shape[d], place % shape[d]);
        return result;
    }

    private static IEnumerable<int[]> Orders(int count)
    {
        if (count == 0) return [[]];
        return Orders(count - 1).SelectMany(order => Enumerable.Range(0, count).Select(at => (int[])[.. order[..(count - 1 - at)], count - 1, .. order[(count - 1 - at)..]]));
    }
}
