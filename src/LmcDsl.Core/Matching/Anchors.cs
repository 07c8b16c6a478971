using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// What is to be said of units besides their weights, as one more parameter of each group: of the reference a matrix of how well each of its
/// units goes with each of the other model's, of the other model the identity. Then ⟨a, pi(b)⟩ has the sum over matched units beside the
/// weights' own, and whatever searches for the greatest ⟨a, pi(b)⟩ heeds both.
/// </summary>
internal sealed class Anchors
{
    private readonly Network anchored;
    private readonly int[] groups;

    /// <summary>Adds a parameter to groups.</summary>
    /// <param name="network">The network.</param>
    /// <param name="groups">Which of its groups; none that has others within its units.</param>
    public Anchors(Network network, IEnumerable<int> groups)
    {
        this.groups = [.. groups];
        var axes = network.Groups.Select(group => group.Axes.ToBuilder()).ToArray();
        var more = new List<ParameterSpec>();
        foreach (var g in this.groups)
        {
            var (wiring, group) = (new Wiring(), network.Groups[g]);
            var parameter = network.Parameters.Length + more.Count;
            more.Add(new ParameterSpec(
                $"units of {group.Name}", "", ParameterRole.Weight, [wiring.Fixed(group.Units), wiring.Fixed(group.Units)], Initializer.Zeros, 1, 0));
            // Copies in turn, the outermost first, in each of which the units lie in a row.
            var (outer, copies) = (1, ImmutableArray<AxisView>.Empty);
            foreach (var around in network.Around(g))
            {
                var units = network.Groups[around].Units / network.Groups[around].Copies;
                var view = new AxisView(0, 0, outer, units, group.Units / outer / units);
                axes[around].Add(new PermutedAxis(parameter, 0, view.Block, 0, outer, units, group.Units, copies));
                (outer, copies) = (outer * units, copies.Add(view));
            }
        }

        anchored = network.With(more, network.Groups.Select((group, g) => group with { Axes = axes[g].ToImmutable() }));
    }

    /// <summary>A model with its anchors.</summary>
    /// <param name="model">The model, of the network.</param>
    /// <param name="of">What each group's parameter is, <c>[units, units]</c>.</param>
    /// <returns>The model, to be disposed by the caller; not to be run.</returns>
    public ParameterSet Add(ParameterSet model, Func<int, Tensor> of)
    {
        using var quiet = no_grad();
        var added = new ParameterSet(anchored, zeros(anchored.TotalCount, device: model.Flat.device));
        for (var p = 0; p < model.Views.Count; p++) added.Views[p].copy_(model.Views[p]);
        foreach (var (k, g) in groups.Index()) added.Views[model.Views.Count + k].copy_(of(g));
        return added;
    }

    /// <summary>Permutations of the network as those of the one with anchors.</summary>
    /// <param name="found">The permutations.</param>
    /// <returns>The same.</returns>
    public PermutationSet Add(PermutationSet found) => new(anchored, found.Permutations);
}
