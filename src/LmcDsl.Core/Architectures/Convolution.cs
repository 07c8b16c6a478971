using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A 2-d convolution with a square kernel: weight <c>[channels, inputs, kernel, kernel]</c>. Output and input channels
/// carry labels; the kernel's positions are fixed.
/// </summary>
public sealed class Convolution(
    int channels, [AlwaysWritten] int kernel = 3, [AlwaysWritten] int stride = 1, [AlwaysWritten] int padding = 1,
    [AlwaysWritten] bool bias = false, [AlwaysWritten] int groups = 1) : Layer
{
    /// <summary>Number of output channels.</summary>
    public int Channels { get; } = channels;

    /// <summary>Side of the kernel.</summary>
    public int Kernel { get; } = kernel;

    /// <summary>Step of the kernel.</summary>
    public int Stride { get; } = stride;

    /// <summary>Rows and columns of zeros on each side.</summary>
    public int Padding { get; } = padding;

    /// <summary>Whether there is a bias.</summary>
    public bool Bias { get; } = bias;

    /// <summary>Must be 1: grouped convolutions are refused.</summary>
    public int Groups { get; } = groups;

    /// <inheritdoc/>
    public override LinearMap? Linear => new("weight", Bias ? "bias" : null, Patches);

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(Groups == 1, $"convolution layer: expected 1 group (others are not supported), found {Groups}");
        Guard.Require(
            Channels >= 1 && Kernel >= 1 && Stride >= 1 && Padding >= 0,
            $"convolution layer: expected channels, kernel and stride of 1 or more and padding of 0 or more, found {Channels}, {Kernel}, {Stride}, {Padding}");
        var (input, height, width) = Image.Of("convolution layer", inputs[0]);
        var output = wiring.Fresh(Channels);
        var fanIn = input.Size * Kernel * Kernel;
        wiring.Parameter(
            "weight", ParameterRole.Weight, Initializer.UniformFanIn, fanIn,
            output, input, wiring.Fixed(Kernel), wiring.Fixed(Kernel));
        if (Bias) wiring.Parameter("bias", ParameterRole.Bias, Initializer.UniformFanIn, fanIn, output);
        return Image.Signal(wiring, "convolution layer", output, Side(height), Side(width));
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var (images, bias) = (ChannelsLast(inputs[0]), Bias ? parameters[1] : null);
        if (Kernel == 1 && Padding == 0) return Pointwise.Convolve(images, parameters[0], bias, Stride);
        return nn.functional.conv2d(images, parameters[0], bias, strides: [Stride, Stride], padding: [Padding, Padding]);
    }

    // Each position's patch of the input as a column.
    private Tensor Patches(Tensor input) =>
        nn.functional.unfold(input.contiguous(), Kernel, 1, Padding, Stride).transpose(0, 1).flatten(start_dim: 1);

    // The same numbers with each position's channels side by side in memory, which convolutions and norms are faster on. Their
    // outputs come in the same order, so that only a network's first convolution copies.
    private static Tensor ChannelsLast(Tensor images) => images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2);

    private int Side(int size) => (size + 2 * Padding - Kernel) / Stride + 1;
}
