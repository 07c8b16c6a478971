using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A 2-d convolution with a square kernel: weight <c>[channels, inputs, kernel, kernel]</c>. Output and input channels
/// carry labels; the kernel's positions are fixed. With groups the weight is <c>[channels, inputs / groups, kernel, kernel]</c>, and
/// each group reads and makes channels of its own.
/// </summary>
public sealed class Convolution(
    int channels, [AlwaysWritten, Side] int kernel = 3, [AlwaysWritten, Side] int stride = 1, [AlwaysWritten, Side] int padding = 1,
    [AlwaysWritten] bool bias = false, [AlwaysWritten] int groups = 1, [Side] int dilation = 1,
    PaddingMode paddingMode = PaddingMode.Zeros) : Layer
{
    /// <summary>Number of output channels.</summary>
    public int Channels { get; } = channels;

    /// <summary>Side of the kernel.</summary>
    public int Kernel { get; } = kernel;

    /// <summary>Step of the kernel.</summary>
    public int Stride { get; } = stride;

    /// <summary>Rows and columns added on each side.</summary>
    public int Padding { get; } = padding;

    /// <summary>Whether there is a bias.</summary>
    public bool Bias { get; } = bias;

    /// <summary>Into how many groups channels are parted; as many as channels for a depthwise convolution.</summary>
    public int Groups { get; } = groups;

    /// <summary>Step between the positions that one output reads.</summary>
    public int Dilation { get; } = dilation;

    /// <summary>What the rows and columns added hold.</summary>
    public PaddingMode PaddingMode { get; } = paddingMode;

    /// <inheritdoc/>
    public override LinearMap? Linear => new("weight", Bias ? "bias" : null, Groups == 1 ? Patches : null);

    /// <summary>Channels are mixed linearly, alike at each place: whatever moves them goes through, but for convolutions in groups.</summary>
    public override SymmetryClass Commutes => Groups == 1 ? SymmetryClass.Invertible : SymmetryClass.Permutation;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(
            Channels >= 1 && Kernel >= 1 && Stride >= 1 && Dilation >= 1 && Padding >= 0,
            $"convolution layer: expected channels, kernel, stride and dilation of 1 or more and padding of 0 or more, found {Channels}, {Kernel}, {Stride}, {Dilation} and {Padding}");
        var (input, height, width) = Image.Placed(wiring, "convolution layer", inputs[0]);
        Architectures.Padding.Require("convolution layer", PaddingMode, Padding, height, width);
        var weight = GroupedWeight.Of(wiring, "convolution layer", input, Channels, Groups);
        var fanIn = Sizes.Product("convolution layer: inputs of one output", weight.Inputs.Size, Kernel, Kernel);
        wiring.Parameter(
            "weight", ParameterRole.Weight, Initializer.UniformFanIn, fanIn,
            weight.Outputs, weight.Inputs, wiring.Fixed(Kernel), wiring.Fixed(Kernel));
        if (Bias) wiring.Parameter("bias", ParameterRole.Bias, Initializer.UniformFanIn, fanIn, weight.Output);
        return Image.Signal(wiring, "convolution layer", weight.Output, Windows(height), Windows(width));
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var (padded, zeros) = Padded(inputs[0]);
        var (images, bias) = (ChannelsLast(padded), Bias ? parameters[1] : null);
        if (Kernel == 1 && zeros == 0 && Groups == 1) return Pointwise.Convolve(images, parameters[0], bias, Stride);
        return nn.functional.conv2d(
            images, parameters[0], bias, strides: [Stride, Stride], padding: [zeros, zeros], dilation: [Dilation, Dilation], groups: Groups);
    }

    // Each position's patch of the input as a column.
    private Tensor Patches(Tensor input)
    {
        var (images, zeros) = Padded(input.contiguous());
        return nn.functional.unfold(images, Kernel, Dilation, zeros, Stride).transpose(0, 1).flatten(start_dim: 1);
    }

    // The images with what is added around them, but for zeros, which Torch adds by itself.
    private (Tensor Images, int Zeros) Padded(Tensor images) => PaddingMode == PaddingMode.Zeros || Padding == 0
        ? (images, Padding)
        : (Architectures.Padding.Apply(images, PaddingMode, Padding), 0);

    // The same numbers with each position's channels side by side in memory, which convolutions and norms are faster on. Their
    // outputs come in the same order, so that only a network's first convolution copies.
    private static Tensor ChannelsLast(Tensor images) => images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2);

    private int Windows(int size) => Sizes.Windows(size, Kernel, Stride, Padding, Dilation);
}
