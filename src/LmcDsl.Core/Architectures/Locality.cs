namespace LmcDsl.Core.Architectures;

/// <summary>
/// Which labels may have an order of their own in each unit of another label, as channels within each group of a convolution: label d
/// within label h where h occurs, once, in every tensor in which d does. Then whatever is computed for one value of h never meets another.
/// </summary>
/// <param name="tensors">All tensors of a network, in final terms.</param>
/// <param name="isFixed">Whether a label must not move.</param>
internal sealed class Locality(Axis[][] tensors, Func<int, bool> isFixed)
{
    /// <summary>For each label with orders of its own, the label of the innermost copies.</summary>
    public Dictionary<int, int> Parents()
    {
        var around = new Dictionary<int, HashSet<int>>();
        foreach (var axes in tensors)
            foreach (var (label, others) in Neighbours(axes))
                if (around.TryGetValue(label, out var known)) known.IntersectWith(others);
                else around[label] = others;
        // Where each is within the other nothing tells copies from units: neither is.
        var mutual = (
            from one in around
            from other in one.Value
            where around.TryGetValue(other, out var back) && back.Contains(one.Key)
            select (one.Key, other)).ToHashSet();
        foreach (var (label, other) in mutual) around[label].Remove(other);
        var parents = new Dictionary<int, int>();
        foreach (var (label, others) in around)
            if (others.Count > 0) parents[label] = others.MaxBy(other => around.GetValueOrDefault(other)?.Count ?? 0);
        return parents;
    }

    // Each movable label of a tensor, with the labels that occur once beside each of its places.
    private IEnumerable<(int Label, HashSet<int> Others)> Neighbours(Axis[] axes)
    {
        for (var d = 0; d < axes.Length; d++)
            foreach (var part in axes[d].Parts)
                foreach (var factor in part.Factors)
                    if (factor.Size > 1 && !isFixed(factor.Label))
                        yield return (factor.Label, Beside(axes, d, part, factor.Label));
    }

    private HashSet<int> Beside(Axis[] axes, int dimension, AxisPart part, int label)
    {
        var counts = new Dictionary<int, int>();
        void Count(IEnumerable<AxisFactor> factors, int times)
        {
            foreach (var factor in factors)
                if (factor.Label != label && factor.Size > 1 && !isFixed(factor.Label))
                    counts[factor.Label] = counts.GetValueOrDefault(factor.Label) + times;
        }

        Count(part.Factors, 1);
        for (var d = 0; d < axes.Length; d++)
        {
            if (d == dimension) continue;
            // What stands in one part of a concatenation is beside some of the tensor only: as if it occurred too often.
            foreach (var other in axes[d].Parts) Count(other.Factors, axes[d].Parts.Length == 1 ? 1 : 2);
        }

        return [.. counts.Where(count => count.Value == 1).Select(count => count.Key)];
    }
}
