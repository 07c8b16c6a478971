using System.Runtime.InteropServices;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Solvers;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// A start for weight matching that decides groups from what is fixed outwards: inputs, outputs and whatever else cannot be permuted come
/// first, each further group is matched on those parameters alone whose other units are decided already, and the one comes next of which the
/// greatest share of parameters is so. A descent from the identity matches its first groups against neighbours in an arbitrary order, and what
/// it makes of that noise holds the neighbours where they are: in networks whose every block reads and writes one residual stream it may not
/// find a model's own permuted copy. Here no parameter speaks before its other units are in place.
/// </summary>
internal static class OutwardStart
{
    /// <summary>Decides each group once.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model to permute; left as it is.</param>
    /// <returns>
    /// The permutations of b, one group's choice after another's; the identity for groups that nothing fixed leads to, and for all where the
    /// models are nearer as they are.
    /// </returns>
    /// <exception cref="Runtime.LmcException">A model has NaN or infinity; the line names the parameter.</exception>
    public static PermutationSet Find(ParameterSet a, ParameterSet b)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        using var moved = b.Clone();
        var groups = a.Network.Groups;
        var scale = new MatchingScale(a, moved);
        var found = groups.Select(group => Permutation.Identity(group.Units)).ToArray();
        foreach (var (group, _, known) in Order(a.Network))
            foreach (var (g, step) in Decide(a, moved, scale, group, known)) found[g] = step.After(found[g]);
        // Models that are near already, such as two that were trained on from one, stay where they are.
        return InnerProduct.Of(a.Learned(), moved.Learned()) >= InnerProduct.Of(a.Learned(), b.Learned())
            ? new PermutationSet(a.Network, found)
            : PermutationSet.Identity(a.Network);
    }

    /// <summary>The same of two models that are laid out.</summary>
    /// <param name="pair">The models.</param>
    /// <returns>The permutations of the second one.</returns>
    public static PermutationSet Find(PackedPair pair)
    {
        using var quiet = no_grad();
        int[][] found = [.. pair.Units.Select(units => Enumerable.Range(0, units).ToArray())], asTheyAre = [.. found];
        foreach (var (group, decided, known) in Order(pair.Network))
        {
            if (known.Count == 0) continue;
            using var cost = pair.Cost(group, found, decided);
            found[group] = LinearAssignment.Minimize(UnitLayout.Numbers(cost), pair.Units[group]).Columns;
        }

        return pair.Objective(found) >= pair.Objective(asTheyAre)
            ? new PermutationSet(pair.Network, found.Select(order => new Permutation(order)))
            : PermutationSet.Identity(pair.Network);
    }

    // Which group comes next, what is decided before it, and the parameters that it is decided on: no model's numbers have a say.
    private static IEnumerable<(int Group, IReadOnlySet<int> Decided, IReadOnlySet<int> Known)> Order(Network network)
    {
        var groups = network.Groups;
        int[][] groupsOn = [.. network.Parameters.Select((spec, p) => spec.Learned ? GroupsOn(network, p) : [])];
        // Groups with copies of their own in them are decided with those.
        var open = (
            from g in Enumerable.Range(0, groups.Length)
            where groups.All(other => other.Parent != g)
            let chain = network.Around(g).ToHashSet()
            let own = Enumerable.Range(0, groupsOn.Length).Where(p => groupsOn[p].Any(chain.Contains)).ToArray()
            select (Group: g, Chain: chain, Own: own)).ToList();
        var decided = new HashSet<int>();
        double Numbers(IEnumerable<int> parameters) => parameters.Sum(p => (double)network.Parameters[p].Count);
        while (open.Count > 0)
        {
            var (next, known) = open
                .Select(x => (Candidate: x, Ready: x.Own.Where(p => !IsOnBothSides(network, x.Group, p) && groupsOn[p].All(g => x.Chain.Contains(g) || decided.Contains(g))).ToHashSet()))
                .MaxBy(x => x.Ready.Count > 0 ? Numbers(x.Ready) / Numbers(x.Candidate.Own) : -1);
            open.Remove(next);
            yield return (next.Group, decided, known);
            decided.UnionWith(next.Chain);
        }
    }

    private static IReadOnlyDictionary<int, Permutation> Decide(
        ParameterSet a, ParameterSet moved, MatchingScale scale, int group, IReadOnlySet<int> known)
    {
        if (known.Count == 0) return new Dictionary<int, Permutation>();
        if (a.Network.Groups[group].Parent >= 0)
            return new NestedMatching(a, moved, scale, group, known).Improve() ?? new Dictionary<int, Permutation>();
        using var costs = new GroupCost(a, moved, scale, group, known);
        using var onCpu = costs.Current().cpu();
        var answer = LinearAssignment.Minimize(MemoryMarshal.Cast<byte, float>(onCpu.bytes), a.Network.Groups[group].Units);
        var step = new Permutation(answer.Columns);
        foreach (var axis in a.Network.Groups[group].Axes) UnitView.Permute(moved.Views[axis.Parameter], axis, step);
        return new Dictionary<int, Permutation> { [group] = step };
    }

    private static int[] GroupsOn(Network network, int parameter) =>
        [.. Enumerable.Range(0, network.Groups.Length).Where(g => network.Groups[g].Axes.Any(axis => axis.Parameter == parameter))];

    // What has a group's units on two sides is quadratic in them, and says nothing before they are in place.
    private static bool IsOnBothSides(Network network, int group, int parameter) =>
        network.Groups[group].Axes.Count(axis => axis.Parameter == parameter) > 1;
}
