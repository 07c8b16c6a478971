using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A transposed 2-d convolution with a square kernel, which makes images larger: weight <c>[inputs, channels / groups, kernel, kernel]</c>.
/// Output and input channels carry labels; the kernel's positions are fixed.
/// </summary>
public sealed class TransposedConvolution(
    int channels, [Side] int kernel = 2, [Side] int stride = 2, [Side] int padding = 0, [Side] int outputPadding = 0, bool bias = true,
    int groups = 1, [Side] int dilation = 1) : Layer
{
    /// <summary>Number of output channels.</summary>
    public int Channels { get; } = channels;

    /// <summary>Side of the kernel.</summary>
    public int Kernel { get; } = kernel;

    /// <summary>How far apart input positions lie in the output.</summary>
    public int Stride { get; } = stride;

    /// <summary>Rows and columns left out on each side of the output.</summary>
    public int Padding { get; } = padding;

    /// <summary>Rows and columns added at the output's end.</summary>
    public int OutputPadding { get; } = outputPadding;

    /// <summary>Whether there is a bias.</summary>
    public bool Bias { get; } = bias;

    /// <summary>Into how many groups channels are parted.</summary>
    public int Groups { get; } = groups;

    /// <summary>Step between the positions that one input is added to.</summary>
    public int Dilation { get; } = dilation;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        const string What = "transposed convolution layer";
        Guard.Require(
            Channels >= 1 && Kernel >= 1 && Stride >= 1 && Dilation >= 1 && Padding >= 0 && OutputPadding >= 0
                && OutputPadding < Math.Max(Stride, Dilation),
            $"{What}: expected channels, kernel, stride and dilation of 1 or more, padding of 0 or more and output padding below stride or dilation, found {Channels}, {Kernel}, {Stride}, {Dilation}, {Padding} and {OutputPadding}");
        var (input, height, width) = Image.Placed(wiring, What, inputs[0]);
        var weight = GroupedWeight.Transposed(wiring, What, input, Channels, Groups);
        // As PyTorch counts them: of the weight's second axis.
        var fanIn = Sizes.Product($"{What}: inputs of one output", weight.Outputs.Size, Kernel, Kernel);
        wiring.Parameter(
            "weight", ParameterRole.Weight, Initializer.UniformFanIn, fanIn,
            weight.Inputs, weight.Outputs, wiring.Fixed(Kernel), wiring.Fixed(Kernel));
        if (Bias) wiring.Parameter("bias", ParameterRole.Bias, Initializer.UniformFanIn, fanIn, weight.Output);
        return Image.Signal(wiring, What, weight.Output, Side(height), Side(width));
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        nn.functional.conv_transpose2d(
            inputs[0], parameters[0], Bias ? parameters[1] : null, [Stride, Stride], [Padding, Padding], [OutputPadding, OutputPadding],
            [Dilation, Dilation], Groups);

    private int Side(int size) =>
        (int)Math.Clamp((size - 1L) * Stride - 2L * Padding + (long)Dilation * (Kernel - 1) + OutputPadding + 1, 0, int.MaxValue);
}
