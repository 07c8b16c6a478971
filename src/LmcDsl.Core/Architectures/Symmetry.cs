using System.Collections.Immutable;

namespace LmcDsl.Core.Architectures;

/// <summary>Reads the permutation groups and taps off a wired network.</summary>
internal sealed class Symmetry
{
    private readonly Wiring wiring;
    private readonly IReadOnlyList<ParameterSpec> parameters;
    private readonly Axis[][] tensors; // of parameters, then nodes' outputs, then those within layers, in final terms
    private readonly Dictionary<int, int> parents; // the label of the copies in which a label has orders of its own
    private readonly Dictionary<int, int> groupOf = [];

    public Symmetry(
        Wiring wiring, Architecture architecture, IReadOnlyDictionary<string, Signal> signals, IReadOnlyList<ParameterSpec> parameters)
    {
        this.wiring = wiring;
        this.parameters = parameters;
        ImmutableArray<Axis>[] all =
        [
            .. parameters.Select(parameter => parameter.Axes),
            .. architecture.Nodes.Select(node => signals[node.Name].Axes),
            .. wiring.Inner,
        ];
        // Resolving may pin what cannot be told apart: only the second time it is final.
        foreach (var axis in all.SelectMany(axes => axes)) wiring.Resolve(axis);
        tensors = [.. all.Select(axes => axes.Select(wiring.Resolve).ToArray())];
        parents = new Locality(tensors, wiring.IsFixed).Parents();
        (Groups, Turns) = FindGroups();
        Outputs = [.. architecture.Nodes.Select((node, k) => Output(node.Name, tensors[parameters.Count + k]))];
        Taps = FindTaps(architecture);
    }

    /// <summary>The classes of labels that neither input nor output pins, in order of first appearance.</summary>
    public ImmutableArray<PermutationGroup> Groups { get; }

    /// <summary>The classes of labels whose units may be transformed by other matrices than permutations.</summary>
    public ImmutableArray<PermutationGroup> Turns { get; }

    /// <summary>What permutes each node's output.</summary>
    public ImmutableArray<NodeOutput> Outputs { get; }

    /// <summary>The axes of parameters of which something must not move, each with the layer because of which.</summary>
    public ImmutableArray<FixedAxis> Pins =>
    [
        .. from p in Enumerable.Range(0, parameters.Count)
           from d in Enumerable.Range(0, tensors[p].Length)
           let factor = tensors[p][d].Parts.SelectMany(part => part.Factors).FirstOrDefault(factor => factor.Size > 1 && wiring.IsFixed(factor.Label))
           where factor.Size > 1
           select new FixedAxis(p, d, wiring.FixedBy(factor.Label) ?? ""),
    ];

    /// <summary>For each node with weights, the permuted axes of what it reads.</summary>
    public ImmutableArray<Tap> Taps { get; }

    private (ImmutableArray<PermutationGroup> Groups, ImmutableArray<PermutationGroup> Turns) FindGroups()
    {
        var all = Enumerable.Range(0, parameters.Count).SelectMany(p => Moved(tensors[p], p, 0))
            .GroupBy(member => member.Label, member => member.Axis).ToArray();
        var members = all.Where(member => wiring.ClassOf(member.Key) != SymmetryClass.Pairs).ToArray();
        for (var g = 0; g < members.Length; g++) groupOf[members[g].Key] = g;
        var inside = parents.Values.ToHashSet();
        var names = new HashSet<string>();
        PermutationGroup[] groups = [.. all.Select(Group)];
        return (
            [.. groups.Where(group => group.Class != SymmetryClass.Pairs)],
            [.. groups.Where(group => group.Class != SymmetryClass.Permutation).Select(group => group with { Axes = Turned(group.Axes) })]);

        // A gain is a diagonal matrix: M diag(g) M', of signs, is diag(g) itself.
        ImmutableArray<PermutedAxis> Turned(ImmutableArray<PermutedAxis> axes) =>
            [.. axes.Where(axis => parameters[axis.Parameter].Role != ParameterRole.NormWeight)];

        PermutationGroup Group(IGrouping<int, PermutedAxis> member)
        {
            var first = member.First();
            var chain = Chain(member.Key);
            var copies = chain.Aggregate(1, (product, ancestor) => product * Units(members, ancestor));
            var name = parameters[first.Parameter].Layer + (inside.Contains(member.Key) ? " groups" : "");
            var unique = name;
            for (var k = 2; !names.Add(unique); k++) unique = $"{name} {k}";
            return new PermutationGroup(unique, copies * first.Units, [.. member])
            {
                Parent = chain.Length == 0 ? -1 : groupOf[chain[^1]],
                Class = wiring.ClassOf(member.Key),
                Copies = copies,
                Depth = chain.Length,
            };
        }
    }

    private static int Units(IGrouping<int, PermutedAxis>[] members, int label) => members.First(m => m.Key == label).First().Units;

    private NodeOutput Output(string node, Axis[] axes)
    {
        var moves = Moved(axes, -1, 1).Where(move => groupOf.ContainsKey(move.Label))
            .Select(move => (Group: groupOf[move.Label], move.Axis)).ToImmutableArray();
        return new NodeOutput(
            node,
            [
                .. axes.Select((axis, d) => new OutputAxis(
                    axis.Size,
                    moves.Where(move => move.Axis.Dimension == d + 1).ToArray() is [var only] && only.Axis.IsWhole ? only.Group : -1,
                    axis.Parts.Length == 1 ? axis.Size / axis.Parts[0].Factors[0].Size : 1)),
            ],
            moves);
    }

    private ImmutableArray<Tap> FindTaps(Architecture architecture)
    {
        var weighted = parameters.Where(p => p.Role == ParameterRole.Weight).Select(p => p.Layer).ToHashSet();
        var places = Outputs.Select((output, k) => (output.Node, k)).ToDictionary(output => output.Node, output => output.k);
        // What is made of parameters alone has no activations.
        var seen = new HashSet<string> { Architecture.InputName };
        foreach (var node in architecture.Nodes)
            if (node.Layer is not (Parameter or Constant) && node.Inputs.Any(seen.Contains)) seen.Add(node.Name);
        var taps =
            from node in architecture.Nodes
            where weighted.Contains(node.Name) || node.Layer.MultipliesInputs
            from place in node.Inputs.Where(read => places.ContainsKey(read) && seen.Contains(read)).Select(read => places[read]).Distinct().Order()
            from move in Outputs[place].Moves
            select new Tap(move.Group, Outputs[place].Node, move.Axis);
        return [.. taps.DistinctBy(tap => (tap.Group, tap.Node, tap.Dimension, tap.Axis.Offset, tap.Axis.Outer, tap.Block))];
    }

    // Every label that may move in a tensor, and where. Dimensions are counted from `shift` on.
    private IEnumerable<(int Label, PermutedAxis Axis)> Moved(Axis[] axes, int parameter, int shift)
    {
        var places = Places(axes, shift).Where(place => !wiring.IsFixed(place.Label)).ToArray();
        return places.Select(place => (
            place.Label,
            new PermutedAxis(
                parameter, place.View.Dimension, place.View.Block, place.View.Offset, place.View.Outer, place.View.Units,
                axes[place.View.Dimension - shift].Size,
                [.. Chain(place.Label).Select(ancestor => Beside(places, place, ancestor).View)])
            {
                IsDual = place.IsDual,
            }));
    }

    // The labels around one, the outermost first.
    private int[] Chain(int label) => parents.TryGetValue(label, out var parent) ? [.. Chain(parent), parent] : [];

    // The copies that a unit belongs to: in its own part, or along another dimension.
    private static Place Beside(Place[] places, Place unit, int ancestor) => places.First(place =>
        place.Label == ancestor
        && (place.View.Dimension != unit.View.Dimension
            || (place.View.Offset == unit.View.Offset && place.View.Length == unit.View.Length)));

    private static IEnumerable<Place> Places(Axis[] axes, int shift)
    {
        for (var d = 0; d < axes.Length; d++)
        {
            var offset = 0;
            foreach (var part in axes[d].Parts)
            {
                var outer = 1;
                foreach (var factor in part.Factors)
                {
                    var block = part.Size / outer / factor.Size;
                    yield return new Place(factor.Label, factor.Dual, new AxisView(d + shift, offset, outer, factor.Size, block));
                    outer *= factor.Size;
                }

                offset += part.Size;
            }
        }
    }

    private readonly record struct Place(int Label, bool IsDual, AxisView View);
}
