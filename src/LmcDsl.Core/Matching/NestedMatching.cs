using System.Runtime.InteropServices;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// The part in weight matching of a group that has an order of its own in each copy, together with the copies around it: all of
/// them are matched at once, exactly where no weight has such units on both sides, with all other groups held. Other units in the same
/// copies are carried along in the order that they have.
/// </summary>
internal sealed class NestedMatching
{
    private readonly ParameterSet reference;
    private readonly ParameterSet moved;
    private readonly MatchingScale scale;
    private readonly int[] chain; // from the outermost copies to the group itself
    private readonly int[] parameters; // learned ones that have the copies

    /// <summary>Looks at a group and the copies around it.</summary>
    /// <param name="reference">The reference.</param>
    /// <param name="moved">The model to match.</param>
    /// <param name="scale">Of the two.</param>
    /// <param name="group">The group.</param>
    /// <param name="only">The parameters that count; all where none are given.</param>
    public NestedMatching(ParameterSet reference, ParameterSet moved, MatchingScale scale, int group, IReadOnlySet<int>? only = null)
    {
        (this.reference, this.moved, this.scale) = (reference, moved, scale);
        chain = [.. reference.Network.Around(group)];
        parameters =
        [
            .. Groups[chain[0]].Axes.Select(axis => axis.Parameter).Distinct()
                .Where(p => reference.Network.Parameters[p].Learned && only?.Contains(p) != false),
        ];
    }

    /// <summary>Groups that share a parameter with what moves.</summary>
    public IEnumerable<int> Neighbours => Enumerable.Range(0, Groups.Length)
        .Where(g => Groups[g].Axes.Any(axis => parameters.Contains(axis.Parameter)));

    private System.Collections.Immutable.ImmutableArray<PermutationGroup> Groups => reference.Network.Groups;

    /// <summary>Solves the problem and, where the objective rises, applies the answer to the moved model.</summary>
    /// <returns>What was applied to each group that moved; null where nothing was.</returns>
    public IReadOnlyDictionary<int, Permutation>? Improve()
    {
        var steps = new Dictionary<int, Permutation>();
        new NestedAssignment(reference.Network, Costs()).Minimize(steps);
        foreach (var g in reference.Network.Order())
            if (!steps.ContainsKey(g) && steps.TryGetValue(Groups[g].Parent, out var copies))
                steps[g] = copies.Carrying(Groups[g].Units / copies.Count);
        if (steps.Values.All(step => step.IsIdentity)) return null;
        var element = new PermutationSet(
            reference.Network, Groups.Select((g, k) => steps.TryGetValue(k, out var step) ? step : Permutation.Identity(g.Units)));
        var before = Objective();
        element.ApplyInPlace(moved, parameter => parameter.Learned);
        if (Objective() > before) return steps;
        element.Inverse().ApplyInPlace(moved, parameter => parameter.Learned);
        return null;
    }

    private double Objective() => parameters.Sum(p => InnerProduct.Of(reference.Views[p], moved.Views[p]));

    // Each parameter counts for the innermost group of the chain that it has: the copies' own costs are what is left for them.
    private Dictionary<int, float[]?> Costs()
    {
        using var scope = NewDisposeScope();
        var sums = chain.ToDictionary(g => g, _ => (Tensor?)null);
        foreach (var p in parameters)
        {
            var group = chain.Last(g => Groups[g].Axes.Any(axis => axis.Parameter == p));
            foreach (var axis in Groups[group].Axes.Where(axis => axis.Parameter == p))
            {
                var sum = sums[group] ??= zeros(Groups[group].Units, Groups[group].Units, device: reference.Flat.device);
                // In the unit of the outermost copies, which have all of these parameters.
                sum.addmm_(
                    UnitView.Matrix(scale.Left(chain[0], p, reference.Views[p]), axis),
                    UnitView.Matrix(scale.Right(chain[0], p, moved.Views[p]), axis).t(), beta: 1, alpha: -(float)scale.Share(chain[0], p));
            }
        }

        return sums.ToDictionary(sum => sum.Key, sum => sum.Value is null ? null : MemoryMarshal.Cast<byte, float>(sum.Value.cpu().bytes).ToArray());
    }
}
