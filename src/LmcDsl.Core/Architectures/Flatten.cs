using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Joins all axes of an example into one, their product: each unit of the first axis becomes a block of neighbouring
/// entries, one for each position.
/// </summary>
public sealed class Flatten : Layer
{
    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var axes = inputs[0].Axes;
        Guard.Require(axes.Length >= 1, $"flatten layer: expected 1 or more axes, found none");
        return Signal.Of(axes.Skip(1).Aggregate(axes[0], wiring.Product));
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        inputs[0].flatten(start_dim: 1);
}
