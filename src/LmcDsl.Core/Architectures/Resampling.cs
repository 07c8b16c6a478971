using System.Collections.Immutable;
using System.Text.Json.Serialization;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>How entries between others are made.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ResamplingMode>))]
public enum ResamplingMode
{
    /// <summary>The nearest one, the lower one where two are.</summary>
    Nearest,

    /// <summary>The nearest one, the upper one where two are.</summary>
    NearestUpper,

    /// <summary>The one below.</summary>
    Below,

    /// <summary>The one above.</summary>
    Above,

    /// <summary>A line between both neighbours.</summary>
    Linear,

    /// <summary>A cubic curve through four neighbours, its coefficient -0.75.</summary>
    Cubic,
}

/// <summary>Where an entry of the output lies among those of the input.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ResamplingPlace>))]
public enum ResamplingPlace
{
    /// <summary>Entries are cells, and both images have the same edges.</summary>
    HalfPixel,

    /// <summary>The same, but an output of one entry lies at the first.</summary>
    PyTorchHalfPixel,

    /// <summary>The first and last entries of both lie at the same places.</summary>
    AlignCorners,

    /// <summary>The first entries of both lie at the same place.</summary>
    Asymmetric,
}

/// <summary>An image, or any signal, in another size, axis by axis. An axis that changes is fixed; the others keep their labels.</summary>
public sealed class Resampling(
    ImmutableArray<int> shape, ResamplingMode mode = ResamplingMode.Nearest, ResamplingPlace place = ResamplingPlace.HalfPixel,
    ImmutableArray<double>? scales = null) : Layer
{
    private const int MostWeights = 1 << 28; // of what each entry takes of each other along an axis

    /// <summary>The new shape, without the batch.</summary>
    public ImmutableArray<int> Shape { get; } = shape;

    /// <summary>How entries between others are made.</summary>
    public ResamplingMode Mode { get; } = mode;

    /// <summary>Where they lie.</summary>
    public ResamplingPlace Place { get; } = place;

    /// <summary>How much larger each axis becomes; the ratio of sizes where nothing is said.</summary>
    public ImmutableArray<double>? Scales { get; } = scales;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var axes = inputs[0].Axes;
        Guard.Require(
            !Shape.IsDefault && Shape.Length == axes.Length && (Scales is not { } told || (told.Length == Shape.Length && told.All(scale => scale > 0))),
            $"resampling layer: expected a size, and a scale, for each axis of {Guard.Show(inputs[0].Shape)}");
        Sizes.Product("resampling layer: numbers of one example", Shape.AsSpan());
        Guard.Require(
            axes.Select((axis, d) => (long)axis.Size * Shape[d]).All(weights => weights <= MostWeights),
            $"resampling layer: expected sides of at most {Math.Sqrt(MostWeights)}, found {Guard.Show(inputs[0].Shape)} for {string.Join(" x ", Shape)}");
        foreach (var (axis, d) in axes.Select((axis, d) => (axis, d)))
            if (Changes(axis.Size, d)) wiring.Fix(axis);
        return Signal.Of([.. axes.Select((axis, d) => Changes(axis.Size, d) ? wiring.Fixed(Shape[d]) : axis)]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        // Shares of whole numbers are none.
        var x = inputs[0].is_floating_point() ? inputs[0] : inputs[0].to(ScalarType.Float64);
        for (var d = 0; d < Shape.Length; d++)
        {
            if (!Changes((int)x.shape[d + 1], d)) continue;
            using var weights = Weights((int)x.shape[d + 1], d).to(x.dtype, x.device);
            x = x.movedim([d + 1], [-1]).matmul(weights).movedim([-1], [d + 1]);
        }

        return x.to(inputs[0].dtype);
    }

    private bool Changes(int size, int d) => Shape[d] != size || (Scales is { } told && told[d] != 1);

    // What each output entry takes of each input entry, [size, output].
    private Tensor Weights(int size, int d)
    {
        var scale = Scales is { } told ? told[d] : Shape[d] / (double)size;
        // In float32, as PyTorch computes with a scale: 17 / 1.7 is 10 then, and in float64 it may be just below.
        var step = (float)(1 / scale);
        double Half(int k) => Scales is null ? (k + 0.5) / scale - 0.5 : (k + 0.5f) * step - 0.5f;
        var values = new double[size, Shape[d]];
        void Take(int at, int from, double share) => values[Math.Clamp(from, 0, size - 1), at] += share;
        for (var k = 0; k < Shape[d]; k++)
        {
            var x = Place switch
            {
                ResamplingPlace.HalfPixel => Half(k),
                ResamplingPlace.PyTorchHalfPixel => Shape[d] > 1 ? Half(k) : 0,
                ResamplingPlace.AlignCorners => Shape[d] > 1 ? k * (size - 1.0) / (size * scale - 1) : 0,
                _ => Scales is null ? k / scale : k * step,
            };
            var below = (int)Math.Floor(x);
            var share = x - below;
            switch (Mode)
            {
                case ResamplingMode.Nearest: Take(k, (int)Math.Ceiling(x - 0.5), 1); break;
                case ResamplingMode.NearestUpper: Take(k, (int)Math.Floor(x + 0.5), 1); break;
                case ResamplingMode.Below: Take(k, below, 1); break;
                case ResamplingMode.Above: Take(k, (int)Math.Ceiling(x), 1); break;
                case ResamplingMode.Linear:
                    Take(k, below, 1 - share);
                    Take(k, below + 1, share);
                    break;
                default:
                    for (var neighbour = -1; neighbour <= 2; neighbour++) Take(k, below + neighbour, Cubic(Math.Abs(share - neighbour)));
                    break;
            }
        }

        return tensor(values);
    }

    // Keys' kernel.
    private static double Cubic(double t)
    {
        const double A = -0.75;
        return t <= 1 ? ((A + 2) * t - (A + 3)) * t * t + 1 : t < 2 ? ((A * t - 5 * A) * t + 8 * A) * t - 4 * A : 0;
    }
}
