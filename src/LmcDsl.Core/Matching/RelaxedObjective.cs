using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// The objective of weight matching, ⟨a, pi(b)⟩ over all learned parameters, with a matrix in the place of each group's
/// permutation: linear in each matrix. At permutation matrices it is the objective itself. The matrix of units within copies moves the
/// copies as well, and so stands for the one of the copies where both have an axis. Gradients are in the groups' units of
/// <see cref="MatchingScale"/>.
/// </summary>
internal sealed class RelaxedObjective : IDisposable
{
    private readonly ParameterSet a;
    private readonly ParameterSet b;
    private readonly MatchingScale scale;
    private readonly PermutedAxis[][] axes; // of each learned parameter that any group moves
    private readonly int[][] groups;
    private readonly Tensor[] constant; // what parameters with one axis give, by group: it does not depend on the matrices
    private readonly double unmoved;

    /// <summary>Prepares two models; they are read later too.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model to permute.</param>
    /// <param name="scale">How their products are kept in range.</param>
    /// <exception cref="LmcException">There is such a parameter as <see cref="Twice"/> tells.</exception>
    public RelaxedObjective(ParameterSet a, ParameterSet b, MatchingScale scale)
    {
        (this.a, this.b, this.scale) = (a, b, scale);
        if (Twice(a.Network) is { } parameter)
            throw new LmcException(
                $"relaxed matching: expected parameters in which one group at most has an order in each of the same copies, found '{a.Network.Parameters[parameter].Name}', in which two have (as with grouped queries, or from one grouped convolution to the next); weight matching and activation matching know such orders");
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
    }

    /// <summary>The objective, and its gradient with respect to each group's matrix.</summary>
    /// <param name="matrices">One for each group, <c>[units, units]</c>.</param>
    /// <returns>The value; the gradients, in the groups' units, in the caller's dispose scope.</returns>
    public (double Value, Tensor[] Gradients) At(IReadOnlyList<Tensor> matrices)
    {
        using var quiet = no_grad();
        Tensor[] gradients = [.. constant.Select(c => c.clone())];
        var value = unmoved;
        using var scope = NewDisposeScope();
        for (var g = 0; g < gradients.Length; g++) value += scale.Unit(g) * Of(constant[g], matrices[g]);
        for (var k = 0; k < axes.Length; k++)
        {
            var parameter = axes[k][0].Parameter;
            for (var own = 0; own < axes[k].Length; own++)
            {
                using var inner = NewDisposeScope();
                var g = groups[k][own];
                var others = scale.Right(g, parameter, b.Views[parameter]);
                for (var j = 0; j < axes[k].Length; j++)
                    if (j != own) others = SoftPermutation.Apply(matrices[groups[k][j]], others, axes[k][j]);
                var reference = scale.Left(g, parameter, a.Views[parameter]);
                var share = SoftPermutation.ByUnit(reference, axes[k][own]).mm(SoftPermutation.ByUnit(others, axes[k][own]).t());
                if (scale.IsScaled(g)) share.mul_(scale.Share(g, parameter));
                gradients[g].add_(share);
                if (own > 0) continue;
                value += scale.Unit(g) * (axes[k].All(axis => axis.IsWhole)
                    ? Of(share, matrices[g])
                    : scale.Share(g, parameter) * Of(reference, SoftPermutation.Apply(matrices[g], others, axes[k][0])));
            }
        }

        return (value, gradients);
    }

    /// <summary>
    /// A parameter in which two groups have an order in each of the same copies: what it becomes is no function of a matrix for each, since the copies
    /// would be counted twice.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <returns>Its index; null where there is none.</returns>
    public static int? Twice(Network network) => (
        from axis in network.InnermostAxes.SelectMany(axes => axes)
        from copies in axis.Copies
        group axis by (axis.Parameter, copies) into same
        where same.Count() > 1
        select (int?)same.Key.Parameter).FirstOrDefault();

    /// <summary>Frees the constants.</summary>
    public void Dispose()
    {
        foreach (var c in constant) c.Dispose();
    }

    private static double Of(Tensor left, Tensor right) => (left * right).sum(ScalarType.Float64).ToDouble();
}
