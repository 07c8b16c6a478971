using System.Collections.Immutable;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// One axis of a tensor, as a term over labels: a label's units, a product of labels (the units of the outer one in turn, each with
/// all of the inner ones), or a concatenation of such parts. Labels that are equal, after all equations of a network are known, are
/// permuted together. <see cref="Wiring"/> makes axes.
/// </summary>
public sealed class Axis
{
    internal Axis(IEnumerable<AxisPart> parts)
    {
        Parts = [.. parts];
        Size = checked(Parts.Sum(part => part.Size));
    }

    /// <summary>Number of entries along the axis.</summary>
    public int Size { get; }

    /// <summary>What is concatenated; one part where nothing is.</summary>
    internal ImmutableArray<AxisPart> Parts { get; }

    /// <summary>Whether the axis is one label's units and nothing else.</summary>
    internal bool IsLabel => Parts.Length == 1 && Parts[0].Factors.Length == 1;

    internal static Axis Of(params AxisFactor[] factors) => new([new AxisPart([.. factors])]);

    /// <summary>The same axis, its units taking the inverse transpose.</summary>
    internal Axis Dual() =>
        new(Parts.Select(part => new AxisPart([.. part.Factors.Select(factor => factor with { Dual = !factor.Dual })])));
}

/// <summary>A product of labels.</summary>
/// <param name="Factors">The labels, the outer ones first: the last one's units are neighbours.</param>
internal sealed record AxisPart(ImmutableArray<AxisFactor> Factors)
{
    public int Size { get; } = Factors.Aggregate(1, (product, factor) => checked(product * factor.Size));
}

/// <summary>A label in a product.</summary>
/// <param name="Label">Which label.</param>
/// <param name="Size">Its number of units.</param>
/// <param name="Dual">Whether the units take the inverse transpose of what the label's others take, as what reads them does.</param>
internal readonly record struct AxisFactor(int Label, int Size, bool Dual = false);

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

    /// <summary>Requires axes of positions and units.</summary>
    /// <param name="layer">What the message calls the layer that reads the signal.</param>
    /// <exception cref="LmcException">There are other axes.</exception>
    internal void RequireSequence(string layer) =>
        Guard.Require(Axes.Length == 2, $"{layer} layer: expected axes of positions and units, found a shape of {Guard.Show(Shape)}");
}
