using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Pools an image of any size to a given one: each output position takes the part of the image that lies at its place, parts
/// overlapping where sizes do not divide. Channels keep their label.
/// </summary>
public sealed class AdaptivePooling(PoolingFunction function, int height, int width) : Layer
{
    /// <summary>What is made of a part: its maximum or its mean.</summary>
    public PoolingFunction Function { get; } = function;

    /// <summary>Height of the output.</summary>
    public int Height { get; } = height;

    /// <summary>Width of the output.</summary>
    public int Width { get; } = width;

    /// <inheritdoc/>
    public override string Title => $"adaptive pool {Function.ToString().ToLowerInvariant()}";

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(
            Height >= 1 && Width >= 1 && Function != PoolingFunction.First,
            $"adaptive pooling layer: expected Max or Average and sizes of 1 or more, found {Function}, {Height} and {Width}");
        var (channels, _, _) = Image.Placed(wiring, "adaptive pooling layer", inputs[0]);
        return Image.Signal(wiring, "adaptive pooling layer", channels, Height, Width);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        Function == PoolingFunction.Max
            ? nn.functional.adaptive_max_pool2d(inputs[0], [Height, Width])
            : nn.functional.adaptive_avg_pool2d(inputs[0], [Height, Width]);
}
