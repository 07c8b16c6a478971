using System.Collections.Immutable;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Where a group's units lie along one dimension: entries <c>Offset .. Offset + Outer * Units * Block</c>, taken as
/// <c>[Outer, Units, Block]</c>.
/// </summary>
/// <param name="Dimension">Which dimension.</param>
/// <param name="Offset">The first entry.</param>
/// <param name="Outer">How often all units come in turn.</param>
/// <param name="Units">How many units.</param>
/// <param name="Block">Neighbouring entries of one unit.</param>
public readonly record struct AxisView(int Dimension, int Offset, int Outer, int Units, int Block)
{
    /// <summary>Entries that the view covers.</summary>
    public int Length => Outer * Units * Block;
}

/// <summary>One axis of one parameter, or of a node's output, that a group permutes.</summary>
/// <param name="Parameter">Index into <see cref="Network.Parameters"/>; -1 for a node's output.</param>
/// <param name="Dimension">Which of its dimensions; of an output, the batch being 0.</param>
/// <param name="Block">Neighbouring entries that move as one.</param>
/// <param name="Offset">The first entry.</param>
/// <param name="Outer">How often all units come in turn.</param>
/// <param name="Units">How many units there are, in each copy.</param>
/// <param name="Size">Entries of the dimension.</param>
/// <param name="Copies">Where the copies lie, the outermost first, where the group has an order of its own in each.</param>
public sealed record PermutedAxis(
    int Parameter, int Dimension, int Block, int Offset, int Outer, int Units, int Size, ImmutableArray<AxisView> Copies)
{
    /// <summary>Whether a matrix that transforms the units does so here by its inverse transpose: where they are read.</summary>
    public bool IsDual { get; init; }

    /// <summary>Whether the units, and nothing else, fill the dimension.</summary>
    public bool IsWhole => Offset == 0 && Outer == 1 && Copies.IsEmpty && Units * Block == Size;

    /// <summary>Where the units of one copy lie.</summary>
    public AxisView View => new(Dimension, Offset, Outer, Units, Block);

    /// <summary>Whether two groups' axes have no entry in common: they lie in different parts of one dimension.</summary>
    /// <param name="other">The other axis.</param>
    /// <returns>True where they are apart.</returns>
    internal bool IsApartFrom(PermutedAxis other) =>
        other.Dimension == Dimension && (Offset + View.Length <= other.Offset || other.Offset + other.View.Length <= Offset);
}

/// <summary>
/// Units that may be reordered without changing what the network computes, and every parameter axis that then moves
/// along.
/// </summary>
/// <param name="Name">The layer that makes the units, the first of them where several share one order.</param>
/// <param name="Units">How many units; with an order in each copy, in all copies together.</param>
/// <param name="Axes">The axes that move, running statistics among them.</param>
public sealed record PermutationGroup(string Name, int Units, ImmutableArray<PermutedAxis> Axes)
{
    /// <summary>
    /// Index of the group whose units are the copies in each of which this group has an order of its own, as channels have within each
    /// group of a convolution; -1 where there is one order. Such a group's permutation says where each unit of each copy comes from; it
    /// moves copies as their own group's does.
    /// </summary>
    public int Parent { get; init; } = -1;

    /// <summary>The largest class of transformations of the units; permutations are within it, but for <see cref="SymmetryClass.Pairs"/>.</summary>
    public SymmetryClass Class { get; init; } = SymmetryClass.Permutation;

    /// <summary>In how many copies the group has an order of its own.</summary>
    public int Copies { get; init; } = 1;

    /// <summary>How many groups of copies are around it.</summary>
    public int Depth { get; init; }
}

/// <summary>One axis of a node's output.</summary>
/// <param name="Size">Its number of entries.</param>
/// <param name="Group">
/// Index into <see cref="Network.Groups"/> of the group that permutes it; -1 where its order is fixed or where several groups permute it.
/// </param>
/// <param name="Block">Entries of one unit.</param>
public readonly record struct OutputAxis(int Size, int Group, int Block);

/// <summary>What a node gives for one example.</summary>
/// <param name="Node">The node's name.</param>
/// <param name="Axes">The output's axes, without the batch axis.</param>
/// <param name="Moves">Every group that moves something of the output, and where, the batch being dimension 0.</param>
public sealed record NodeOutput(string Node, ImmutableArray<OutputAxis> Axes, ImmutableArray<(int Group, PermutedAxis Axis)> Moves);

/// <summary>Where activation matching reads a group's units: the tensor that the next weights multiply.</summary>
/// <param name="Group">Index into <see cref="Network.Groups"/>.</param>
/// <param name="Node">Name of the node whose output is read.</param>
/// <param name="Axis">Where the units lie in that output, the batch axis being 0.</param>
public sealed record Tap(int Group, string Node, PermutedAxis Axis)
{
    /// <summary>The units' dimension in that output, the batch axis being 0.</summary>
    public int Dimension => Axis.Dimension;

    /// <summary>Entries of one unit along that dimension.</summary>
    public int Block => Axis.Block;
}

/// <summary>An axis of a parameter of which something must not move.</summary>
/// <param name="Parameter">Index into <see cref="Network.Parameters"/>.</param>
/// <param name="Dimension">Which of its dimensions.</param>
/// <param name="Node">The node because of which, <c>input</c> or <c>output</c>.</param>
public readonly record struct FixedAxis(int Parameter, int Dimension, string Node);
