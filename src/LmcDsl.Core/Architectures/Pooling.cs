using System.Text.Json.Serialization;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>What a pooling layer makes of each window.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<PoolingFunction>))]
public enum PoolingFunction
{
    /// <summary>Its largest entry.</summary>
    Max,

    /// <summary>Its mean.</summary>
    Average,

    /// <summary>Its first entry: with stride 2, strided subsampling, the identity shortcut of a residual stage.</summary>
    First,
}

/// <summary>Pools square windows of each channel. Channels keep their label.</summary>
public sealed class Pooling(
    PoolingFunction function, [AlwaysWritten, Side] int kernel = 2, [AlwaysWritten, Side] int stride = 0, [Side] int padding = 0,
    bool ceiling = false, bool countPadding = true) : Layer
{
    /// <summary>What is made of a window.</summary>
    public PoolingFunction Function { get; } = function;

    /// <summary>Side of the window; 0 for the whole image, giving one position.</summary>
    public int Kernel { get; } = kernel;

    /// <summary>Step of the window; 0 for the window's side.</summary>
    public int Stride { get; } = stride;

    /// <summary>Rows and columns added on each side, which no maximum is taken of and which are zeros in a mean.</summary>
    public int Padding { get; } = padding;

    /// <summary>Whether a last window may reach beyond the image.</summary>
    public bool Ceiling { get; } = ceiling;

    /// <summary>Whether a mean counts the rows and columns added.</summary>
    public bool CountPadding { get; } = countPadding;

    /// <inheritdoc/>
    public override string Title => $"pool {Function.ToString().ToLowerInvariant()}";

    private int Step => Stride == 0 ? Kernel : Stride;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(
            Kernel >= 0 && Stride >= 0, $"pooling layer: expected kernel and stride of 0 or more, found {Kernel} and {Stride}");
        // A window beyond half its side in the padding could lie in nothing else.
        Guard.Require(
            Padding >= 0 && Padding <= Kernel / 2,
            $"pooling layer: expected padding of 0 to half the kernel of {Kernel}, found {Padding}");
        Guard.Require(
            Function != PoolingFunction.First || (Padding == 0 && !Ceiling),
            $"pooling layer: expected no padding where the first entry is taken, found {Padding} and ceiling {Ceiling}");
        var (channels, height, width) = Image.Placed(wiring, "pooling layer", inputs[0]);
        return Kernel == 0
            ? Image.Signal(wiring, "pooling layer", channels, 1, 1)
            : Image.Signal(wiring, "pooling layer", channels, Windows(height), Windows(width));
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var x = inputs[0];
        long height = Kernel == 0 ? x.shape[2] : Kernel, width = Kernel == 0 ? x.shape[3] : Kernel;
        long[] step = Kernel == 0 ? [height, width] : [Step, Step];
        return Function switch
        {
            PoolingFunction.Max => nn.functional.max_pool2d(x, [height, width], step, [Padding, Padding], ceil_mode: Ceiling),
            PoolingFunction.Average => nn.functional.avg_pool2d(x, [height, width], step, [Padding, Padding], Ceiling, CountPadding),
            PoolingFunction.First => x.slice(2, 0, x.shape[2] - height + 1, step[0]).slice(3, 0, x.shape[3] - width + 1, step[1]),
            _ => throw new ArgumentOutOfRangeException(nameof(Function), Function, "unknown pooling"),
        };
    }

    private int Windows(int size) => Sizes.Windows(size, Kernel, Step, Padding, ceiling: Ceiling);
}
