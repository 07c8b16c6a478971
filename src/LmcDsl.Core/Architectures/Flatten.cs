using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Joins all axes of an example into one. The first axis keeps its label; each of its units becomes a block of
/// neighbouring entries, one for each position. The other axes must not be permuted, and are fixed.
/// </summary>
public sealed class Flatten : Layer
{
    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var axes = inputs[0].Axes;
        Guard.Require(axes.Length >= 1, $"flatten layer: expected 1 or more axes, found none");
        foreach (var position in axes.Skip(1)) wiring.Fix(position);
        Sizes.Product("flatten layer: entries", [.. axes.Select(axis => axis.Size)]);
        var positions = axes.Skip(1).Aggregate(1, (product, axis) => product * axis.Size);
        return new Signal([axes[0] with { Block = axes[0].Block * positions }]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        inputs[0].flatten(start_dim: 1);
}
