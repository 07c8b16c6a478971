using System.Collections.Immutable;

namespace LmcDsl.Core.Architectures;

/// <summary>One axis of one parameter that a group permutes.</summary>
/// <param name="Parameter">Index into <see cref="Network.Parameters"/>.</param>
/// <param name="Dimension">Which of the parameter's dimensions.</param>
/// <param name="Block">Neighbouring entries that move as one; see <see cref="Axis.Block"/>.</param>
public readonly record struct PermutedAxis(int Parameter, int Dimension, int Block);

/// <summary>
/// Units that may be reordered without changing what the network computes, and every parameter axis that then moves
/// along.
/// </summary>
/// <param name="Name">The layer that makes the units, the first of them where several share one order.</param>
/// <param name="Units">How many units.</param>
/// <param name="Axes">The axes that move, running statistics among them.</param>
public sealed record PermutationGroup(string Name, int Units, ImmutableArray<PermutedAxis> Axes);

/// <summary>One axis of a node's output.</summary>
/// <param name="Size">Its number of entries.</param>
/// <param name="Group">Index into <see cref="Network.Groups"/> of the group that permutes it, or -1 where its order is fixed.</param>
/// <param name="Block">Entries of one unit.</param>
public readonly record struct OutputAxis(int Size, int Group, int Block);

/// <summary>What a node gives for one example.</summary>
/// <param name="Node">The node's name.</param>
/// <param name="Axes">The output's axes, without the batch axis.</param>
public sealed record NodeOutput(string Node, ImmutableArray<OutputAxis> Axes);

/// <summary>Where activation matching reads a group's units: the tensor that the next weights multiply.</summary>
/// <param name="Group">Index into <see cref="Network.Groups"/>.</param>
/// <param name="Node">Name of the node whose output is read.</param>
/// <param name="Dimension">The units' dimension in that output, the batch axis being 0.</param>
/// <param name="Block">Entries of one unit along that dimension.</param>
public sealed record Tap(int Group, string Node, int Dimension, int Block);
