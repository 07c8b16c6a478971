using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// The learned parameters of two models laid out for matching, on the CPU: of each parameter that two groups share, the numbers lie by
/// the units of the one and then of the other, so that a group's costs take one gather and one product for each neighbour, whatever the
/// parameters are. The second model is never moved: permutations are lists of its own units.
/// </summary>
internal sealed class PackedPair : IDisposable
{
    private const long MostNumbers = 1 << 26; // of a model: 268 MB in float32

    private readonly ParameterSet a;
    private readonly ParameterSet b;
    private readonly (int Group, PermutedAxis Axis)[][] axes; // of each learned parameter
    private readonly Tensor[] own; // costs from what a group moves alone: they do not depend on other groups

    /// <summary>
    /// Whether a network's models can be laid out so: units fill their dimensions, have one order each, and no parameter has more than two of
    /// them.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <returns>Whether they can.</returns>
    public static bool Fits(Network network)
    {
        var axes = network.Groups.SelectMany(group => group.Axes).Where(axis => network.Parameters[axis.Parameter].Learned).ToArray();
        return network.Groups.All(group => group.Parent < 0)
            && axes.All(axis => axis.IsWhole)
            && axes.GroupBy(axis => axis.Parameter).All(own => own.Count() <= 2);
    }

    /// <summary>
    /// Whether laying models out is worth while: they can be, lie on the CPU, and are small enough for three more of their size.
    /// </summary>
    /// <param name="model">One of them.</param>
    /// <returns>Whether it is.</returns>
    public static bool Suits(ParameterSet model) =>
        model.Network.LearnedCount <= MostNumbers && model.Flat.device_type == DeviceType.CPU && Fits(model.Network);

    /// <summary>Lays two models out; both are read later too.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model to permute.</param>
    /// <exception cref="LmcException">A model has NaN or infinity; the line names the parameter.</exception>
    public PackedPair(ParameterSet a, ParameterSet b)
    {
        (this.a, this.b) = (a, b);
        var network = a.Network;
        Units = [.. network.Groups.Select(g => g.Units)];
        var found = network.Parameters.Select(_ => new List<(int, PermutedAxis)>()).ToArray();
        for (var g = 0; g < Units.Length; g++)
            foreach (var axis in network.Groups[g].Axes)
                if (network.Parameters[axis.Parameter].Learned) found[axis.Parameter].Add((g, axis));
        axes = [.. found.Select(own => own.ToArray())];
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var scale = new MatchingScale(a, b);
        own = [.. Units.Select(n => zeros(n, n).DetachFromDisposeScope())];
        var links = Units.Select(_ => new List<PackedLink>()).ToArray();
        for (var p = 0; p < axes.Length; p++)
        {
            foreach (var (k, (group, axis)) in axes[p].Index())
            {
                var (left, right, share) = (scale.Left(group, p, a.Views[p]).cpu(), scale.Right(group, p, b.Views[p]).cpu(), scale.Share(group, p));
                if (share == 0) continue;
                if (axes[p].Length == 1)
                {
                    if (left.dim() == 1 && axis.Block == 1)
                    {
                        SmallProduct.SubtractOuter(UnitLayout.Numbers(own[group]), UnitLayout.Numbers(left), UnitLayout.Numbers(right), (float)share);
                        continue;
                    }

                    own[group].addmm_(SoftPermutation.ByUnit(left, axis), SoftPermutation.ByUnit(right, axis).t(), beta: 1, alpha: (float)-share);
                    continue;
                }

                var (from, other) = axes[p][1 - k];
                links[group].Add(new PackedLink(from, other, axis, left, scale.IsScaled(group) ? right * share : right));
            }
        }

        Links = [.. links.Select(into => into.ToArray())];
        Readers = [.. Units.Select((_, g) => Enumerable.Range(0, Units.Length).Where(x => Links[x].Any(link => link.From == g)).ToArray())];
    }

    /// <summary>The network of both.</summary>
    public Network Network => a.Network;

    /// <summary>Units of each group.</summary>
    public int[] Units { get; }

    /// <summary>What each group's costs take from its neighbours, and from itself where it is on both sides of a weight.</summary>
    public PackedLink[][] Links { get; }

    /// <summary>The groups whose costs take something from each group.</summary>
    public int[][] Readers { get; }

    /// <summary>Whether a group's units are on both sides of one weight, so that the objective is quadratic in it.</summary>
    /// <param name="group">The group.</param>
    public bool IsOnBothSides(int group) => Links[group].Any(link => link.From == group);

    /// <summary>A group's costs: <c>cost[i, j] = -⟨unit i of the first model, unit j of the second⟩</c>, the other groups as they are.</summary>
    /// <param name="group">The group.</param>
    /// <param name="found">Of each group, which unit of the second model is in each place.</param>
    /// <param name="counted">The neighbours whose parameters count; all where none are given.</param>
    /// <returns><c>[units, units]</c>, to be disposed by the caller.</returns>
    public Tensor Cost(int group, int[][] found, IReadOnlySet<int>? counted = null)
    {
        using var scope = NewDisposeScope();
        var cost = own[group].clone();
        foreach (var link in Links[group])
            if (counted?.Contains(link.From) != false) link.Subtract(cost, found[link.From]);

        return cost.DetachFromDisposeScope();
    }

    /// <summary>The same with a matrix in the place of each other group's permutation; none where every order is as good.</summary>
    /// <param name="group">The group.</param>
    /// <param name="matrices">Of each group a doubly stochastic matrix <c>[units, units]</c>, or none for 1 / units everywhere.</param>
    /// <returns><c>[units, units]</c>, to be disposed by the caller.</returns>
    public Tensor Cost(int group, Tensor?[] matrices)
    {
        using var scope = NewDisposeScope();
        var cost = own[group].clone();
        foreach (var link in Links[group])
        {
            if (matrices[link.From] is { } matrix) link.Subtract(cost, SoftAssign.Mix(matrix, link.Right));
            else link.SubtractMean(cost);
        }

        return cost.DetachFromDisposeScope();
    }

    /// <summary>⟨a, pi(b)⟩ over all learned parameters, summed in double.</summary>
    /// <param name="found">Of each group, which unit of the second model is in each place.</param>
    /// <returns>The objective.</returns>
    public double Objective(int[][] found) =>
        Enumerable.Range(0, axes.Length).Where(p => a.Network.Parameters[p].Learned).Sum(p => Share(p, found));

    /// <summary>By how much the objective rises when one group changes, summed in double from the numbers themselves.</summary>
    /// <param name="group">The group.</param>
    /// <param name="found">The permutations before.</param>
    /// <param name="next">The group's own after.</param>
    /// <returns>The gain.</returns>
    public double Gain(int group, int[][] found, int[] next)
    {
        var (places, before, now) = Changes(found[group], next);
        int[][] after = [.. found.Select((order, g) => g == group ? next : order)];
        var gain = 0.0;
        for (var p = 0; p < axes.Length; p++)
        {
            var mine = axes[p].Count(x => x.Group == group);
            if (mine == 2) gain += Share(p, after) - Share(p, found);
            if (mine != 1) continue;
            using var scope = NewDisposeScope();
            var axis = axes[p].Single(x => x.Group == group).Axis;
            var left = Select(a.Views[p], axis, places);
            gain += InnerProduct.Of(left, Others(Select(b.Views[p], axis, now))) - InnerProduct.Of(left, Others(Select(b.Views[p], axis, before)));

            Tensor Others(Tensor part) =>
                axes[p].Where(x => x.Group != group).Aggregate(part, (view, x) => Select(view, x.Axis, found[x.Group]));
        }

        return gain;
    }

    /// <summary>The places where two orders differ, and what is there in each.</summary>
    public static (int[] Places, int[] Before, int[] Now) Changes(int[] before, int[] now)
    {
        int[] places = [.. Enumerable.Range(0, now.Length).Where(i => before[i] != now[i])];
        return (places, [.. places.Select(i => before[i])], [.. places.Select(i => now[i])]);
    }

    /// <summary>Frees what was laid out.</summary>
    public void Dispose()
    {
        foreach (var cost in own) cost.Dispose();
        foreach (var link in Links.SelectMany(into => into)) link.Dispose();
    }

    /// <summary>A parameter's part of ⟨a, pi(b)⟩, summed in double.</summary>
    /// <param name="parameter">The parameter.</param>
    /// <param name="found">Of each group, which unit of the second model is in each place.</param>
    /// <returns>The sum.</returns>
    public double Share(int parameter, int[][] found) =>
        PermutedProduct.Of(a.Views[parameter], b.Views[parameter], [.. axes[parameter].Select(x => (x.Axis, found[x.Group]))]);

    private static Tensor Select(Tensor view, PermutedAxis axis, int[] units) =>
        view.index_select(axis.Dimension, Permutation.Entries(units, axis.Block).to(view.device));
}
