using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// The objective of weight matching, ⟨a, pi(b)⟩ over all learned parameters, with a matrix in the place of each group's
/// permutation: linear in each matrix. At permutation matrices it is the objective itself. The matrix of units within copies moves the
/// copies as well, and so stands for the one of the copies where both have an axis. Where several groups have an order in each of the same
/// copies it is linear in matrices for each pair of copies (<see cref="CopyBlocks"/>). Gradients are in the groups' units of
/// <see cref="MatchingScale"/>.
/// </summary>
internal sealed class RelaxedObjective : IDisposable
{
    private readonly ParameterSet a;
    private readonly ParameterSet b;
    private readonly MatchingScale scale;
    private readonly PermutedAxis[][] axes; // of each learned parameter that any group moves
    private readonly int[][] groups;
    private readonly (int[] Own, CopyBlocks Blocks)?[] shared; // of each of those, which axes have the same copies
    private readonly Tensor[] constant; // what parameters with one axis give, by group: it does not depend on the matrices
    private readonly double unmoved;

    /// <summary>Prepares two models; they are read later too.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model to permute.</param>
    /// <param name="scale">How their products are kept in range.</param>
    /// <exception cref="LmcException">Copies within copies of one parameter meet in it with other orders of the same copies.</exception>
    public RelaxedObjective(ParameterSet a, ParameterSet b, MatchingScale scale)
    {
        (this.a, this.b, this.scale) = (a, b, scale);
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var all = (
            from g in Enumerable.Range(0, a.Network.Groups.Length)
            from axis in a.Network.InnermostAxes[g]
            where a.Network.Parameters[axis.Parameter].Learned
            group (Axis: axis, Group: g) by axis.Parameter).ToArray();
        var moved = all.Select(p => p.Key).ToHashSet();
        unmoved = Enumerable.Range(0, a.Views.Count)
            .Where(k => a.Network.Parameters[k].Learned && !moved.Contains(k))
            .Sum(k => Measures.InnerProduct.Of(a.Views[k], b.Views[k]));
        constant = [.. a.Network.Groups.Select(g => zeros(g.Units, g.Units, device: a.Flat.device).DetachFromDisposeScope())];
        bool IsAlone(IGrouping<int, (PermutedAxis Axis, int Group)> p) => p.Count() == 1 && p.Single().Axis.IsWhole;
        foreach (var p in all.Where(IsAlone))
        {
            var (axis, g) = p.Single();
            constant[g].addmm_(
                SoftPermutation.ByUnit(scale.Left(g, p.Key, a.Views[p.Key]), axis),
                SoftPermutation.ByUnit(scale.Right(g, p.Key, b.Views[p.Key]), axis).t(), beta: 1, alpha: (float)scale.Share(g, p.Key));
        }

        var several = all.Where(p => !IsAlone(p)).ToArray();
        axes = [.. several.Select(p => p.Select(x => x.Axis).ToArray())];
        groups = [.. several.Select(p => p.Select(x => x.Group).ToArray())];
        shared = [.. axes.Zip(groups, (own, theirs) => Shared(a.Network, own, theirs))];
    }

    /// <summary>Whether units of a network have an order in each of the same copies as others of one parameter, as with grouped queries.</summary>
    /// <param name="network">The network.</param>
    /// <returns>The parameter's index; null where there is none.</returns>
    public static int? Twice(Network network) => (
        from axis in network.InnermostAxes.SelectMany(axes => axes)
        from copies in axis.Copies
        group axis by (axis.Parameter, copies) into same
        where same.Count() > 1
        select (int?)same.Key.Parameter).FirstOrDefault();

    /// <summary>The objective, and its gradient with respect to each group's matrix.</summary>
    /// <param name="matrices">One for each group, <c>[units, units]</c>.</param>
    /// <param name="pairs">
    /// Of each group with an order in each copy, how its units lie where one copy takes another's place, <c>[copies * copies, units of one, units of
    /// one]</c>; needed where several groups have the same copies in one parameter.
    /// </param>
    /// <returns>
    /// The value; the gradients with respect to the matrices, and to those of pairs of copies where they count; in the groups' units, in the
    /// caller's dispose scope.
    /// </returns>
    public (double Value, Tensor[] Gradients, Tensor?[] OfPairs) At(IReadOnlyList<Tensor> matrices, IReadOnlyList<Tensor?>? pairs = null)
    {
        using var quiet = no_grad();
        Tensor[] gradients = [.. constant.Select(c => c.clone())];
        var ofPairs = new Tensor?[gradients.Length];
        var value = unmoved;
        using var scope = NewDisposeScope();
        for (var g = 0; g < gradients.Length; g++) value += scale.Unit(g) * InnerProduct.Of(constant[g], matrices[g]);
        for (var k = 0; k < axes.Length; k++)
        {
            var parameter = axes[k][0].Parameter;
            var same = shared[k];
            Tensor[] within = [.. (same?.Own ?? []).Skip(1).Select(j => pairs![groups[k][j]]!)];
            for (var own = 0; own < axes[k].Length; own++)
            {
                using var inner = NewDisposeScope();
                var g = groups[k][own];
                var reference = scale.Left(g, parameter, a.Views[parameter]);
                var others = scale.Right(g, parameter, b.Views[parameter]);
                for (var j = 0; j < axes[k].Length; j++)
                    if (j != own && same?.Own.Contains(j) != true) others = SoftPermutation.Apply(matrices[groups[k][j]], others, axes[k][j]);
                var place = same is null ? -1 : Array.IndexOf(same.Value.Own, own);
                if (same is not null && place < 0) others = same.Value.Blocks.Apply(matrices[groups[k][same.Value.Own[0]]], within, others);
                var share = place < 0
                    ? SoftPermutation.ByUnit(reference, axes[k][own]).mm(SoftPermutation.ByUnit(others, axes[k][own]).t())
                    : same!.Value.Blocks.Gradient(place, matrices[groups[k][same.Value.Own[0]]], within, reference, others);
                if (scale.IsScaled(g)) share.mul_(scale.Share(g, parameter));
                if (place <= 0) gradients[g].add_(share);
                else if (ofPairs[g] is { } sum) sum.add_(share);
                else ofPairs[g] = share.MoveToOuterDisposeScope().MoveToOuterDisposeScope();
                if (own > 0) continue;
                value += scale.Unit(g) * (place >= 0
                    ? InnerProduct.Of(share, place == 0 ? matrices[g] : within[place - 1])
                    : axes[k].All(axis => axis.IsWhole)
                    ? InnerProduct.Of(share, matrices[g])
                    : scale.Share(g, parameter) * InnerProduct.Of(reference, SoftPermutation.Apply(matrices[g], others, axes[k][0])));
            }
        }

        return (value, gradients, ofPairs);
    }

    /// <summary>Frees the constants.</summary>
    public void Dispose()
    {
        foreach (var c in constant) c.Dispose();
    }

    private static (int[] Own, CopyBlocks Blocks)? Shared(Network network, PermutedAxis[] axes, int[] groups)
    {
        int[] own = [.. Enumerable.Range(0, axes.Length).Where(k => !axes[k].Copies.IsEmpty)];
        PermutedAxis[] within = [.. own.Select(k => axes[k])];
        if (!within.SelectMany(axis => axis.Copies).GroupBy(copies => copies).Any(same => same.Count() > 1)) return null;
        var parameter = axes[0].Parameter;
        var around = own.Select(k => network.Groups[groups[k]].Parent).Distinct().ToArray();
        if (around.Length > 1 || !CopyBlocks.Fit(within))
            throw new LmcException(
                $"relaxed matching: expected parameters whose units have orders in the same copies or in copies of their own, found '{network.Parameters[parameter].Name}', in which copies lie within copies; weight matching and activation matching know such orders");
        var copies = network.Groups[around[0]].Axes.Single(axis => axis.Parameter == parameter && axis.View == within[0].Copies[0]);
        return (own, new CopyBlocks(network.Groups[around[0]].Units, copies, within));
    }
}
