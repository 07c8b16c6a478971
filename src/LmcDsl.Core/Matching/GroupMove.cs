using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// A permutation of one group about to be applied: for each parameter axis that it moves, the slices at the units that
/// change place. Everything that follows (the exact gain, the move itself, what it does to the neighbours' costs) costs
/// in proportion to the units that change, which are few in all but the first passes.
/// </summary>
internal sealed class GroupMove
{
    private readonly ParameterSet reference;
    private readonly ParameterSet moved;
    private readonly Slice[] slices;

    public GroupMove(ParameterSet reference, ParameterSet moved, int group, Permutation step)
    {
        this.reference = reference;
        this.moved = moved;
        Group = group;
        Units = [.. Enumerable.Range(0, step.Count).Where(i => step.Sources[i] != i)];
        Sources = [.. Units.Select(i => step.Sources[i])];
        slices = [.. reference.Network.Groups[group].Axes
            .Where(axis => reference.Network.Parameters[axis.Parameter].Learned).Select(Cut)];
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
    public double ExactGain() =>
        slices.Sum(s => InnerProduct.Of(s.Reference, s.After) - InnerProduct.Of(s.Reference, s.Before));

    /// <summary>Puts the units into their new places.</summary>
    public void Apply()
    {
        var written = new HashSet<int>();
        foreach (var slice in slices)
        {
            // On a parameter that has the group on both sides, the second must read what the first wrote.
            var s = written.Add(slice.Axis.Parameter) ? slice : Cut(slice.Axis);
            moved.Views[s.Axis.Parameter].index_copy_(s.Axis.Dimension, s.Entries, s.After);
        }
    }

    /// <summary>
    /// What the move does to the neighbouring groups: for each parameter axis of another group that shares a parameter,
    /// the reference's slice and the change of the moved model's.
    /// </summary>
    /// <returns>Group, dimension of its axis, and the two slices of the parameter.</returns>
    public IEnumerable<(int Group, PermutedAxis Axis, Tensor Reference, Tensor Change)> Neighbours()
    {
        var groups = reference.Network.Groups;
        foreach (var s in slices)
        {
            var others =
                from other in Enumerable.Range(0, groups.Length)
                where other != Group
                from axis in groups[other].Axes
                where axis.Parameter == s.Axis.Parameter
                select (other, axis);
            foreach (var (other, axis) in others) yield return (other, axis, s.Reference, s.After - s.Before);
        }
    }

    private Slice Cut(PermutedAxis axis)
    {
        var (to, from) = (Entries(Units, axis.Block), Entries(Sources, axis.Block));
        return new Slice(
            axis, to,
            reference.Views[axis.Parameter].index_select(axis.Dimension, to),
            moved.Views[axis.Parameter].index_select(axis.Dimension, to),
            moved.Views[axis.Parameter].index_select(axis.Dimension, from));
    }

    private Tensor Entries(int[] units, int block) =>
        tensor(units.SelectMany(u => Enumerable.Range(u * block, block).Select(e => (long)e)).ToArray())
            .to(reference.Flat.device);

    private sealed record Slice(PermutedAxis Axis, Tensor Entries, Tensor Reference, Tensor Before, Tensor After);
}
