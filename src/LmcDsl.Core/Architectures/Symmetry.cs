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
                LayerOf(parameters[g.First().Member.Parameter]), g.First().Axis.Units, [.. g.Select(m => m.Member)])),
        ];
    }

    /// <summary>For each node with weights, the permuted axes of what it reads.</summary>
    public static ImmutableArray<Tap> Taps(
        Wiring wiring, Architecture architecture, IReadOnlyDictionary<string, Signal> signals,
        IReadOnlyList<ParameterSpec> parameters, ImmutableArray<PermutationGroup> groups)
    {
        var groupOfRoot = new Dictionary<int, int>();
        for (var g = 0; g < groups.Length; g++)
        {
            var axis = groups[g].Axes[0];
            groupOfRoot[wiring.Root(parameters[axis.Parameter].Axes[axis.Dimension].Label)] = g;
        }

        var weighted = parameters.Where(p => p.Role == ParameterRole.Weight).Select(LayerOf).ToHashSet();
        var taps =
            from node in architecture.Nodes
            where weighted.Contains(node.Name)
            from read in node.Inputs
            from d in Enumerable.Range(0, signals[read].Axes.Length)
            let axis = signals[read].Axes[d]
            where groupOfRoot.ContainsKey(wiring.Root(axis.Label))
            select new Tap(groupOfRoot[wiring.Root(axis.Label)], read, d + 1, axis.Block);
        return [.. taps.Distinct()];
    }

    private static string LayerOf(ParameterSpec parameter) => parameter.Name[..parameter.Name.LastIndexOf('.')];
}
