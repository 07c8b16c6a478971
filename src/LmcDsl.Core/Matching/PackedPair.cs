using System.Runtime.InteropServices;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// The learned parameters of two models laid out for matching, on the CPU: for each two groups that share parameters, the numbers lie by
/// the units of the one and then of the other, so that a group's costs take one gather and one product for each neighbour, whatever the
/// parameters are. The second model is never moved: permutations are lists of its own units.
/// </summary>
internal sealed class PackedPair : IDisposable
{
    private readonly ParameterSet a;
    private readonly ParameterSet b;
    private readonly (int Group, PermutedAxis Axis)[][] axes; // of each learned parameter
    private readonly Tensor[] own; // costs from what a group moves alone: they do not depend on other groups

    /// <summary>What a neighbour's units have to do with a group's costs.</summary>
    /// <param name="From">The neighbour.</param>
    /// <param name="Left">The first model's numbers, <c>[neighbour's units, depth * group's units]</c>.</param>
    /// <param name="Right">The second model's.</param>
    internal sealed record Link(int From, Tensor Left, Tensor Right);

    // A parameter's part of a link.
    private readonly record struct Part(Tensor Left, Tensor Right, PermutedAxis From, PermutedAxis To);

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

    /// <summary>Lays two models out; both are read later too.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model to permute.</param>
    /// <exception cref="LmcException">A model has NaN or infinity; the line names the parameter.</exception>
    public PackedPair(ParameterSet a, ParameterSet b)
    {
        (this.a, this.b) = (a, b);
        var network = a.Network;
        Units = [.. network.Groups.Select(g => g.Units)];
        axes = new (int, PermutedAxis)[network.Parameters.Length][];
        for (var p = 0; p < axes.Length; p++)
            axes[p] = !network.Parameters[p].Learned
                ? []
                : [.. from g in Enumerable.Range(0, Units.Length) from axis in network.Groups[g].Axes where axis.Parameter == p select (g, axis)];
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var scale = new MatchingScale(a, b);
        own = [.. Units.Select(n => zeros(n, n).DetachFromDisposeScope())];
        var links = Units.Select(_ => new Dictionary<int, List<Part>>()).ToArray();
        for (var p = 0; p < axes.Length; p++)
        {
            foreach (var (k, (group, axis)) in axes[p].Index())
            {
                var (left, right, share) = (scale.Left(group, p, a.Views[p]).cpu(), scale.Right(group, p, b.Views[p]).cpu(), scale.Share(group, p));
                if (share == 0) continue;
                if (axes[p].Length == 1)
                {
                    own[group].addmm_(SoftPermutation.ByUnit(left, axis), SoftPermutation.ByUnit(right, axis).t(), beta: 1, alpha: (float)-share);
                    continue;
                }

                var (from, other) = axes[p][1 - k];
                if (!links[group].TryGetValue(from, out var parts)) links[group].Add(from, parts = []);
                parts.Add(new Part(left, scale.IsScaled(group) ? right * share : right, other, axis));
            }
        }

        Links =
        [
            .. links.Select(into => into.Select(link =>
                new Link(link.Key, Join(link.Value, part => part.Left), Join(link.Value, part => part.Right))).ToArray()),
        ];
        Readers = [.. Units.Select((_, g) => Enumerable.Range(0, Units.Length).Where(x => Links[x].Any(link => link.From == g)).ToArray())];
    }

    /// <summary>Units of each group.</summary>
    public int[] Units { get; }

    /// <summary>What each group's costs take from its neighbours, and from itself where it is on both sides of a weight.</summary>
    public Link[][] Links { get; }

    /// <summary>The groups whose costs take something from each group.</summary>
    public int[][] Readers { get; }

    /// <summary>Whether a group's units are on both sides of one weight, so that the objective is quadratic in it.</summary>
    /// <param name="group">The group.</param>
    public bool IsOnBothSides(int group) => Links[group].Any(link => link.From == group);

    /// <summary>A group's costs: <c>cost[i, j] = -⟨unit i of the first model, unit j of the second⟩</c>, the other groups as they are.</summary>
    /// <param name="group">The group.</param>
    /// <param name="found">Of each group, which unit of the second model is in each place.</param>
    /// <returns><c>[units, units]</c>, to be disposed by the caller.</returns>
    public Tensor Cost(int group, int[][] found)
    {
        using var scope = NewDisposeScope();
        var cost = own[group].clone();
        foreach (var link in Links[group])
        {
            if (IsSmall(cost)) Subtract(cost, link, [.. Enumerable.Range(0, Units[link.From])], [], found[link.From]);
            else Add(cost, link.Left, Take(link.Right, found[link.From]));
        }

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
            if (matrices[link.From] is { } matrix) Add(cost, link.Left, SoftAssign.Mix(matrix, link.Right));
            else Add(cost, link.Left.sum(dim: 0L, keepdim: true), link.Right.mean([0], keepdim: true));
        }

        return cost.DetachFromDisposeScope();
    }

    /// <summary>Takes a neighbour's move into a group's costs, by a product as thin as the move.</summary>
    /// <param name="cost">The group's costs.</param>
    /// <param name="link">What the neighbour has to do with them.</param>
    /// <param name="places">The neighbour's places that change.</param>
    /// <param name="before">The units that were there.</param>
    /// <param name="now">Those that are.</param>
    public static void Update(Tensor cost, Link link, int[] places, int[] before, int[] now)
    {
        if (IsSmall(cost))
        {
            Subtract(cost, link, places, before, now);
            return;
        }

        using var scope = NewDisposeScope();
        Add(cost, Take(link.Left, places), Take(link.Right, now).sub_(Take(link.Right, before)));
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

    /// <summary>The numbers of a tensor on the CPU.</summary>
    public static Span<float> Numbers(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes);

    /// <summary>Frees what was laid out.</summary>
    public void Dispose()
    {
        foreach (var cost in own) cost.Dispose();
        foreach (var link in Links.SelectMany(into => into))
        {
            link.Left.Dispose();
            link.Right.Dispose();
        }
    }

    private double Share(int parameter, int[][] found)
    {
        using var scope = NewDisposeScope();
        var moved = axes[parameter].Aggregate(b.Views[parameter], (view, x) => Select(view, x.Axis, found[x.Group]));
        return InnerProduct.Of(a.Views[parameter], moved);
    }

    private static Tensor Select(Tensor view, PermutedAxis axis, int[] units) =>
        view.index_select(axis.Dimension, Permutation.Entries(units, axis.Block).to(view.device));

    private static Tensor Take(Tensor rows, int[] units) => rows.index_select(0, tensor(units));

    // Both lie [units of the neighbour, depth * units of the group].
    private static void Add(Tensor cost, Tensor left, Tensor right)
    {
        var n = cost.shape[0];
        cost.addmm_(left.view(-1, n).t(), right.view(-1, n), beta: 1, alpha: -1);
    }

    // [units along one axis, all that is neither, units along the other].
    private static Tensor Layout(Tensor values, PermutedAxis from, PermutedAxis to)
    {
        var shape = new List<long>();
        var (first, last) = (-1, -1);
        for (var d = 0; d < values.dim(); d++)
        {
            if (d == from.Dimension) first = shape.Count;
            if (d == to.Dimension) last = shape.Count;
            var block = d == from.Dimension ? from.Block : d == to.Dimension ? to.Block : 1;
            shape.Add(values.shape[d] / block);
            if (block > 1) shape.Add(block);
        }

        long[] order = [first, .. Enumerable.Range(0, shape.Count).Where(d => d != first && d != last), last];
        return values.reshape([.. shape]).permute(order).reshape([shape[first], -1]).contiguous();
    }

    private static Tensor Join(List<Part> parts, Func<Part, Tensor> side)
    {
        if (parts.Any(part => side(part).numel() > SmallProduct.MostNumbers))
        {
            Tensor[] laidOut = [.. parts.Select(part => Layout(side(part), part.From, part.To))];
            return (laidOut.Length == 1 ? laidOut[0] : cat(laidOut, 1)).alias().DetachFromDisposeScope();
        }

        var (first, axes) = (side(parts[0]).shape, parts[0]);
        var (units, others) = (first[axes.From.Dimension] / axes.From.Block, first[axes.To.Dimension] / axes.To.Block);
        int[] depths = [.. parts.Select(part => (int)(side(part).numel() / units / others))];
        var joined = empty(units, depths.Sum() * others).DetachFromDisposeScope();
        var at = 0;
        foreach (var (part, depth) in parts.Zip(depths))
        {
            using var values = side(part).contiguous();
            SmallProduct.LayOut(Numbers(values), values.shape, part.From, part.To, Numbers(joined), depths.Sum(), at);
            at += depth;
        }

        return joined;
    }

    private static bool IsSmall(Tensor cost) => cost.shape[0] <= SmallProduct.MostUnits;

    private static void Subtract(Tensor cost, Link link, int[] places, int[] before, int[] now)
    {
        var n = (int)cost.shape[0];
        SmallProduct.Subtract(
            Numbers(cost), n, (int)link.Left.shape[1] / n, Numbers(link.Left), Numbers(link.Right), places, now, before);
    }
}
