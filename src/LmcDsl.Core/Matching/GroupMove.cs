using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// A permutation of one group about to be applied. What follows from it (the exact gain, what it does to the neighbours' costs, the move
/// itself) costs in proportion to the units that change place, which are few in all but the first passes, and is done in parts, so that
/// no copy of a large layer is made.
/// </summary>
internal sealed class GroupMove
{
    private readonly ParameterSet reference;
    private readonly ParameterSet moved;
    private readonly Permutation step;
    private readonly PermutedAxis[] axes;
    private readonly long part;

    public GroupMove(ParameterSet reference, ParameterSet moved, int group, Permutation step)
    {
        this.reference = reference;
        this.moved = moved;
        this.step = step;
        part = Parts.Within(moved.Flat.numel());
        Group = group;
        Units = [.. step.Moving];
        Sources = [.. Units.Select(i => step.Sources[i])];
        axes = [.. reference.Network.Groups[group].Axes.Where(axis => reference.Network.Parameters[axis.Parameter].Learned)];
    }

    /// <summary>Index of the group.</summary>
    public int Group { get; }

    /// <summary>The units that change place.</summary>
    public int[] Units { get; }

    /// <summary>Where each of them comes from.</summary>
    public int[] Sources { get; }

    /// <summary>By how much the objective rises, summed in double from the numbers themselves.</summary>
    /// <remarks>For groups that are on one side only of each parameter; else the sides do not add up.</remarks>
    /// <returns>The gain.</returns>
    public double ExactGain()
    {
        var gain = 0.0;
        foreach (var axis in axes)
            InParts(axis, (own, before, after) => gain += InnerProduct.Of(own, after) - InnerProduct.Of(own, before));
        return gain;
    }

    /// <summary>Puts the units into their new places, and tells the neighbours, groups that share a parameter, what that does to their costs.</summary>
    /// <param name="costOf">The costs of a group.</param>
    /// <returns>The neighbours' indices.</returns>
    public IReadOnlyCollection<int> Apply(Func<int, GroupCost> costOf)
    {
        var groups = reference.Network.Groups;
        var neighbours = new HashSet<int>();
        foreach (var axis in axes)
        {
            var others = (
                from other in Enumerable.Range(0, groups.Length)
                where other != Group
                from theirs in groups[other].Axes
                where theirs.Parameter == axis.Parameter && !theirs.IsApartFrom(axis)
                select (Group: other, Axis: theirs)).ToArray();
            neighbours.UnionWith(others.Select(other => other.Group));
            // Units that lie in the same entries, as the other factor of a product does, are moved within: no product is as thin as that.
            foreach (var other in others)
                if (other.Axis.Dimension == axis.Dimension) costOf(other.Group).Forget();
            var known = others.Where(other => costOf(other.Group).IsKnown).ToArray();
            var atOnce = IsOnePart(axis);
            // A parameter that has the group on both sides is permuted along one side after the other.
            if (known.Length == 0) Permute(axis);
            else
            {
                InParts(axis, (own, before, after) =>
                {
                    if (atOnce) moved.Views[axis.Parameter].index_copy_(axis.Dimension, Entries(Units, axis), after);
                    var change = after.sub_(before);
                    foreach (var other in known) costOf(other.Group).Update(other.Axis, own, change);
                });
                if (!atOnce) Permute(axis);
            }
        }

        return neighbours;
    }

    private long PerUnit(PermutedAxis axis) => moved.Views[axis.Parameter].numel() / axis.Size * axis.Outer * axis.Block;

    private bool IsOnePart(PermutedAxis axis) => PerUnit(axis) * Units.Length <= part;

    private void Permute(PermutedAxis axis) => UnitView.Permute(moved.Views[axis.Parameter], axis, step);

    // The reference's slice at the units that move, and the moved model's before and after, some units at a time.
    private void InParts(PermutedAxis axis, Action<Tensor, Tensor, Tensor> work)
    {
        var view = moved.Views[axis.Parameter];
        foreach (var (at, count) in Parts.Of(Units.Length, PerUnit(axis) * Units.Length, part))
        {
            using var scope = NewDisposeScope();
            var units = (int)at..(int)(at + count);
            var (to, from) = (Entries(Units[units], axis), Entries(Sources[units], axis));
            work(
                reference.Views[axis.Parameter].index_select(axis.Dimension, to),
                view.index_select(axis.Dimension, to),
                view.index_select(axis.Dimension, from));
        }
    }

    private Tensor Entries(int[] units, PermutedAxis axis)
    {
        if (axis.Outer == 1 && axis.Offset == 0) return Permutation.Entries(units, axis.Block).to(reference.Flat.device);
        int[] everywhere = [.. units.SelectMany(u => Enumerable.Range(0, axis.Outer).Select(outer => outer * axis.Units + u))];
        return Permutation.Entries(everywhere, axis.Block).add_(axis.Offset).to(reference.Flat.device);
    }
}
