namespace LmcDsl.Core.Architectures;

/// <summary>
/// Labels and what is known of them: which are equal, which stand for a product or a concatenation, which must not move. Terms are
/// brought together from the outside in; what cannot be reconciled is pinned on both sides, which is always safe, and noted.
/// </summary>
internal sealed class Unification
{
    private const int MostParts = 4096; // of an axis, where copies are counted out

    private readonly List<int> parents = [];
    private readonly List<bool> flips = []; // whether a label is its parent's dual
    private readonly List<SymmetryClass> classes = []; // at the root
    private readonly List<int> sizes = [];
    private readonly List<Axis?> terms = []; // what a class of labels stands for, at its root
    private readonly Dictionary<int, string> pinned = []; // the layer that pinned a class of labels, at its root
    private readonly List<string> notes = [];

    /// <summary>The layer at work, for notes.</summary>
    public string Place { get; set; } = "";

    /// <summary>What was pinned for want of a way to bring two sides together.</summary>
    public IReadOnlyList<string> Notes => notes;

    /// <summary>An axis with a label of its own.</summary>
    public Axis Fresh(int units)
    {
        parents.Add(parents.Count);
        flips.Add(false);
        classes.Add(SymmetryClass.Invertible);
        sizes.Add(units);
        terms.Add(null);
        return Axis.Of(new AxisFactor(parents.Count - 1, units));
    }

    /// <summary>Whether a label must not move.</summary>
    public bool IsPinned(int label) => pinned.ContainsKey(Root(label));

    /// <summary>The layer because of which a label must not move; null where it may.</summary>
    public string? PinnedBy(int label) => pinned.GetValueOrDefault(Root(label));

    /// <summary>The largest group that a label's units may be transformed by.</summary>
    public SymmetryClass ClassOf(int label) => IsPinned(label) ? SymmetryClass.Fixed : classes[Root(label)];

    /// <summary>Allows no more than a class of transformations along an axis.</summary>
    public void Restrict(Axis axis, SymmetryClass most)
    {
        foreach (var factor in Resolve(axis).Parts.SelectMany(part => part.Factors)) Restrict(Root(factor.Label), most);
    }

    /// <summary>Forbids moving anything along an axis.</summary>
    public void Pin(Axis axis)
    {
        foreach (var factor in Resolve(axis).Parts.SelectMany(part => part.Factors)) pinned.TryAdd(Root(factor.Label), Place);
    }

    /// <summary>All pairs of two axes' entries.</summary>
    public Axis Product(Axis outer, Axis inner)
    {
        var within = Resolve(inner);
        if (within.Parts.Length > 1 && outer.Size > 1)
        {
            // Copies in a fixed order are parts one after the other.
            if (AllPinned(outer) && (long)outer.Size * within.Parts.Length <= MostParts)
                return new Axis(Enumerable.Repeat(within.Parts, outer.Size).SelectMany(parts => parts));
            within = Whole(within);
        }

        return within.Parts.Length > 1
            ? within
            : new Axis(Resolve(outer).Parts.Select(part => new AxisPart([.. part.Factors, .. within.Parts[0].Factors])));
    }

    /// <summary>An axis in terms of labels that stand for nothing else, each by its class's root.</summary>
    public Axis Resolve(Axis axis)
    {
        var parts = axis.Parts.SelectMany(Resolve).ToArray();
        return new Axis(parts);
    }

    /// <summary>Makes two axes of one size equal.</summary>
    public void Unify(Axis left, Axis right)
    {
        (left, right) = (Resolve(left), Resolve(right));
        if (left.IsLabel && right.IsLabel) Unite(left.Parts[0].Factors[0], right.Parts[0].Factors[0]);
        else if (left.IsLabel) Bind(left.Parts[0].Factors[0], right);
        else if (right.IsLabel) Bind(right.Parts[0].Factors[0], left);
        else if (left.Parts.Length == 1 && right.Parts.Length == 1) UnifyProducts(left, right);
        else UnifyParts(left, right);
    }

    private IEnumerable<AxisPart> Resolve(AxisPart part)
    {
        var found = new List<AxisFactor[]> { Array.Empty<AxisFactor>() };
        foreach (var factor in part.Factors)
        {
            var root = Root(factor.Label);
            var dual = factor.Dual ^ IsFlipped(factor.Label);
            var term = terms[root] is { } bound ? Resolve(dual ? bound.Dual() : bound) : Axis.Of(new AxisFactor(root, factor.Size, dual));
            // The parts of a concatenation lie apart only where nothing is outside of it, or copies in a fixed order.
            var outside = found.Select(before => before.Aggregate(1L, (product, one) => product * one.Size)).ToArray();
            if (term.Parts.Length > 1 && outside.Any(size => size > 1)
                && found.All(before => before.All(one => one.Size == 1 || IsPinned(one.Label))) && outside.Sum() * term.Parts.Length <= MostParts)
            {
                found = [.. outside.SelectMany(copies => Enumerable.Repeat(term.Parts, (int)copies)).SelectMany(parts => parts).Select(next => next.Factors.ToArray())];
                continue;
            }

            if (term.Parts.Length > 1 && outside.Any(size => size > 1))
            {
                if (!AllPinned(term)) Note("a concatenation within a product");
                Pin(term);
                terms[root] = null;
                pinned.TryAdd(root, Place);
                term = Axis.Of(new AxisFactor(root, factor.Size));
            }

            found = [.. from before in found from next in term.Parts select (AxisFactor[])[.. before, .. next.Factors]];
        }

        return found.Select(factors => new AxisPart([.. factors]));
    }

    // AxisPart by part, the longer one cut where the shorter ends.
    private void UnifyParts(Axis left, Axis right)
    {
        int one = left.Parts[0].Size, other = right.Parts[0].Size;
        if (one < other) Cut(right, one);
        if (other < one) Cut(left, other);
        (left, right) = (Resolve(left), Resolve(right));
        var (first, second) = (left.Parts[0].Size, right.Parts[0].Size);
        if (first != second)
        {
            // One unit of an outer label begins the axis now: on with what is in it.
            if (first + second < one + other) Unify(left, right);
            else PinBoth(left, right);
            return;
        }

        Unify(new Axis([left.Parts[0]]), new Axis([right.Parts[0]]));
        if (left.Parts.Length == 1 || right.Parts.Length == 1) return;
        Unify(new Axis(left.Parts.Skip(1)), new Axis(right.Parts.Skip(1)));
    }

    // The first part's outermost label becomes a concatenation, so that a part of that many entries begins the axis; or one of its units,
    // within which it can be cut further.
    private void Cut(Axis axis, int entries)
    {
        var outermost = axis.Parts[0].Factors.FirstOrDefault(factor => factor.Size > 1);
        if (outermost.Size <= 1) return;
        var inside = axis.Parts[0].Size / outermost.Size;
        if (entries % inside != 0 && entries > inside) return;
        var units = Math.Max(1, entries / inside);
        Bind(outermost, new Axis([.. Fresh(units).Parts, .. Fresh(outermost.Size - units).Parts]));
    }

    // AxisFactor by factor from the outside, the larger one split where it divides.
    private void UnifyProducts(Axis left, Axis right)
    {
        var (one, other) = (left.Parts[0].Factors[0], right.Parts[0].Factors[0]);
        if (one.Size < other.Size && other.Size % one.Size == 0) Divide(other, one.Size);
        else if (other.Size < one.Size && one.Size % other.Size == 0) Divide(one, other.Size);
        else if (one.Size != other.Size)
        {
            PinBoth(left, right);
            return;
        }

        (left, right) = (Resolve(left), Resolve(right));
        if (left.Parts.Length > 1 || right.Parts.Length > 1)
        {
            Unify(left, right);
            return;
        }

        Unify(Axis.Of(left.Parts[0].Factors[0]), Axis.Of(right.Parts[0].Factors[0]));
        var rests = (
            One: left.Parts[0].Factors.Skip(1).ToArray(),
            Other: right.Parts[0].Factors.Skip(1).ToArray());
        if (rests.One.Length == 0 || rests.Other.Length == 0) return;
        Unify(Axis.Of(rests.One), Axis.Of(rests.Other));
    }

    private void Divide(AxisFactor factor, int outer) =>
        Bind(factor, Product(Fresh(outer), Fresh(factor.Size / outer)));

    private void Bind(AxisFactor label, Axis term)
    {
        var root = Root(label.Label);
        if (term.Parts.SelectMany(part => part.Factors).Any(factor => Root(factor.Label) == root))
        {
            if (!AllPinned(term)) Note("an axis that would be a part of itself");
            Pin(term);
            return;
        }

        if (pinned.TryGetValue(root, out var by))
            foreach (var factor in Resolve(term).Parts.SelectMany(part => part.Factors)) pinned.TryAdd(Root(factor.Label), by);
        Restrict(term, classes[root]);
        terms[root] = label.Dual ^ IsFlipped(label.Label) ? term.Dual() : term;
    }

    private void Unite(AxisFactor left, AxisFactor right)
    {
        int into = Root(left.Label), from = Root(right.Label);
        var flip = left.Dual ^ right.Dual ^ IsFlipped(left.Label) ^ IsFlipped(right.Label);
        if (into == from)
        {
            // What is its own inverse transpose is orthogonal.
            if (flip) Restrict(into, SymmetryClass.Orthogonal);
            return;
        }

        parents[from] = into;
        flips[from] = flip;
        if (pinned.Remove(from, out var by)) pinned.TryAdd(into, by);
        Restrict(into, classes[from]);
    }

    private void Restrict(int root, SymmetryClass most) => classes[root] = SymmetryClasses.Meet(classes[root], most);

    private void PinBoth(Axis left, Axis right)
    {
        if (!AllPinned(left) || !AllPinned(right)) Note($"axes of {Show(left)} and {Show(right)}");
        Pin(left);
        Pin(right);
    }

    // A fixed label in the place of an axis.
    private Axis Whole(Axis axis)
    {
        if (!AllPinned(axis)) Note("a concatenation within a product");
        Pin(axis);
        var whole = Fresh(axis.Size);
        Pin(whole);
        return whole;
    }

    /// <summary>Says why something was pinned.</summary>
    public void Note(string what) => notes.Add($"layer '{Place}': {what}");

    // One entry has one order.
    private bool AllPinned(Axis axis) => Resolve(axis).Parts.SelectMany(part => part.Factors).All(factor => factor.Size == 1 || IsPinned(factor.Label));

    private static string Show(Axis axis) =>
        string.Join(" + ", axis.Parts.Select(part => string.Join(" x ", part.Factors.Select(factor => factor.Size))));

    private int Root(int label)
    {
        while (parents[label] != label)
        {
            var parent = parents[label];
            flips[label] ^= flips[parent];
            parents[label] = parents[parent];
            label = parents[label];
        }

        return label;
    }

    // Whether a label is the dual of its root.
    private bool IsFlipped(int label)
    {
        var flip = false;
        for (; parents[label] != label; label = parents[label]) flip ^= flips[label];
        return flip;
    }
}
