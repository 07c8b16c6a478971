using System.Collections.Immutable;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// One axis of a tensor. Axes with the same label (after all equations of a network are known) are permuted together.
/// </summary>
/// <param name="Label">Which label the axis carries.</param>
/// <param name="Units">How many units the label has, for example channels.</param>
/// <param name="Block">
/// How many neighbouring entries belong to one unit: 1, or the number of positions after a flatten. The axis has
/// <c>Units * Block</c> entries; unit u owns entries <c>u * Block .. (u + 1) * Block - 1</c>.
/// </param>
public readonly record struct Axis(int Label, int Units, int Block = 1)
{
    /// <summary>Number of entries along the axis.</summary>
    public int Size => Units * Block;
}

/// <summary>What flows along an edge of the network: the axes of one example's tensor, without the batch axis.</summary>
/// <param name="Axes">The axes, outermost first: <c>[features]</c> or <c>[channels, height, width]</c>.</param>
public sealed record Signal(ImmutableArray<Axis> Axes)
{
    /// <summary>A signal of these axes.</summary>
    /// <param name="axes">The axes, outermost first.</param>
    /// <returns>The signal.</returns>
    public static Signal Of(params Axis[] axes) => new([.. axes]);

    /// <summary>The shape of one example.</summary>
    public long[] Shape => [.. Axes.Select(a => (long)a.Size)];
}
