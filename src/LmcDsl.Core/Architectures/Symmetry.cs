using System.Collections.Immutable;

namespace LmcDsl.Core.Architectures;

/// <summary>Reads the permutation groups and taps off a wired network.</summary>
internal static class Symmetry
{
    /// <summary>The classes of labels that neither input nor output pins, in order of first appearance.</summary>
    public static ImmutableArray<PermutationGroup> Groups(Wiring wiring, IReadOnlyList<ParameterSpec> parameters)
    {
        var members =
            from p in Enumerable.Range(0, parameters.Count)
            from d in Enumerable.Range(0, parameters[p].Axes.Length)
            let axis = parameters[p].Axes[d]
            where !wiring.IsFixed(axis)
            group (Axis: axis, Member: new PermutedAxis(p, d, axis.Block)) by wiring.Root(axis.Label);
        return
        [
            .. members.Select(g => new PermutationGroup(
                parameters[g.First().Member.Parameter].Layer, g.First().Axis.Units, [.. g.Select(m => m.Member)])),
        ];
    }

    /// <summary>Which group permutes each axis of each node's output.</summary>
    public static ImmutableArray<NodeOutput> Outputs(
        Wiring wiring, Architecture architecture, IReadOnlyDictionary<string, Signal> signals,
        IReadOnlyList<ParameterSpec> parameters, ImmutableArray<PermutationGroup> groups)
    {
        var groupOfRoot = new Dictionary<int, int>();
        for (var g = 0; g < groups.Length; g++)
        {
            var axis = groups[g].Axes[0];
            groupOfRoot[wiring.Root(parameters[axis.Parameter].Axes[axis.Dimension].Label)] = g;
        }

        OutputAxis Describe(Axis axis) =>
            new(axis.Size, groupOfRoot.GetValueOrDefault(wiring.Root(axis.Label), -1), axis.Block);
        return [.. architecture.Nodes.Select(node => new NodeOutput(node.Name, [.. signals[node.Name].Axes.Select(Describe)]))];
    }

    /// <summary>For each node with weights, the permuted axes of what it reads.</summary>
    public static ImmutableArray<Tap> Taps(
        Architecture architecture, ImmutableArray<NodeOutput> outputs, IReadOnlyList<ParameterSpec> parameters)
    {
        var weighted = parameters.Where(p => p.Role == ParameterRole.Weight).Select(p => p.Layer).ToHashSet();
        var places = outputs.Select((output, k) => (output.Node, k)).ToDictionary(output => output.Node, output => output.k);
        var taps =
            from node in architecture.Nodes
            where weighted.Contains(node.Name)
            from place in node.Inputs.Where(places.ContainsKey).Select(read => places[read]).Distinct().Order()
            let output = outputs[place]
            from d in Enumerable.Range(0, output.Axes.Length)
            where output.Axes[d].Group >= 0
            select new Tap(output.Axes[d].Group, output.Node, d + 1, output.Axes[d].Block);
        return [.. taps.Distinct()];
    }
}
