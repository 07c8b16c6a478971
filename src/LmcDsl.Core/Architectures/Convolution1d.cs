using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A 1-d convolution over sequences <c>[channels, length]</c>: weight <c>[channels, inputs / groups, kernel]</c>. Output and input
/// channels carry labels; the kernel's positions are fixed.
/// </summary>
public sealed class Convolution1d(
    int channels, int kernel = 3, int stride = 1, int padding = 1, bool bias = true, int groups = 1, int dilation = 1) : Layer
{
    /// <summary>Number of output channels.</summary>
    public int Channels { get; } = channels;

    /// <summary>Length of the kernel.</summary>
    public int Kernel { get; } = kernel;

    /// <summary>Step of the kernel.</summary>
    public int Stride { get; } = stride;

    /// <summary>Zeros added at both ends.</summary>
    public int Padding { get; } = padding;

    /// <summary>Whether there is a bias.</summary>
    public bool Bias { get; } = bias;

    /// <summary>Into how many groups channels are parted.</summary>
    public int Groups { get; } = groups;

    /// <summary>Step between the positions that one output reads.</summary>
    public int Dilation { get; } = dilation;

    /// <inheritdoc/>
    public override LinearMap? Linear => new("weight", Bias ? "bias" : null, Groups == 1 ? Patches : null);

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        const string What = "1-d convolution layer";
        Guard.Require(
            Channels >= 1 && Kernel >= 1 && Stride >= 1 && Dilation >= 1 && Padding >= 0,
            $"{What}: expected channels, kernel, stride and dilation of 1 or more and padding of 0 or more, found {Channels}, {Kernel}, {Stride}, {Dilation} and {Padding}");
        Guard.Require(
            inputs[0].Axes.Length == 2, $"{What}: expected a sequence [channels, length], found a shape of {Guard.Show(inputs[0].Shape)}");
        var (input, length) = (inputs[0].Axes[0], inputs[0].Axes[1].Size);
        wiring.Fix(inputs[0].Axes[1]);
        var weight = GroupedWeight.Of(wiring, What, input, Channels, Groups);
        var fanIn = Sizes.Product($"{What}: inputs of one output", weight.Inputs.Size, Kernel);
        wiring.Parameter(
            "weight", ParameterRole.Weight, Initializer.UniformFanIn, fanIn, weight.Outputs, weight.Inputs, wiring.Fixed(Kernel));
        if (Bias) wiring.Parameter("bias", ParameterRole.Bias, Initializer.UniformFanIn, fanIn, weight.Output);
        var windows = Sizes.Windows(length, Kernel, Stride, Padding, Dilation);
        Guard.Require(windows >= 1, $"{What}: expected a sequence that is long enough, found one of {length}");
        Sizes.Product($"{What}: numbers of one sequence", Channels, windows);
        return Signal.Of(weight.Output, wiring.Fixed(windows));
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        nn.functional.conv1d(inputs[0], parameters[0], Bias ? parameters[1] : null, Stride, Padding, Dilation, Groups);

    // Each position's patch of the input as a column.
    private Tensor Patches(Tensor input) =>
        nn.functional.unfold(input.unsqueeze(2), (1, Kernel), (1, Dilation), (0, Padding), (1, Stride)).transpose(0, 1).flatten(start_dim: 1);
}
