using System.Collections.Immutable;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// A convolution in 1, 2 or 3 dimensions with any kernel, whose weight, and bias, are signals: inputs are
/// <c>[..., channels, positions...]</c>, the weight as <see cref="Convolution"/> has it (or, transposed,
/// <see cref="TransposedConvolution"/>), and a bias or none. Every step and padding is said for each dimension.
/// </summary>
public sealed class Correlation(
    ImmutableArray<int> strides, ImmutableArray<int> before, ImmutableArray<int> after, ImmutableArray<int> dilations, int groups = 1,
    bool transposed = false, ImmutableArray<int>? outputPadding = null) : Layer
{
    private const string What = "correlation layer";

    /// <summary>Steps of the kernel.</summary>
    public ImmutableArray<int> Strides { get; } = strides;

    /// <summary>Zeros before the first positions; of a transposed one, positions left out.</summary>
    public ImmutableArray<int> Before { get; } = before;

    /// <summary>Zeros after the last positions; of a transposed one, positions left out.</summary>
    public ImmutableArray<int> After { get; } = after;

    /// <summary>Steps between the positions that one output reads.</summary>
    public ImmutableArray<int> Dilations { get; } = dilations;

    /// <summary>Into how many groups channels are parted.</summary>
    public int Groups { get; } = groups;

    /// <summary>Whether it is a transposed convolution.</summary>
    public bool Transposed { get; } = transposed;

    /// <summary>Positions added at the end of a transposed one's output; none where nothing is said.</summary>
    public ImmutableArray<int>? OutputPadding { get; } = outputPadding;

    /// <inheritdoc/>
    public override int Arity => 0;

    private ImmutableArray<int> Added => OutputPadding ?? [.. Strides.Select(_ => 0)];

    /// <inheritdoc/>
    public override bool MultipliesInputs => true;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(inputs.Count is 2 or 3, $"{What}: expected an image, a weight and a bias or none, found {inputs.Count} inputs");
        var (x, w) = (inputs[0].Axes, inputs[1].Axes);
        var dimensions = w.Length - 2;
        Guard.Require(
            dimensions is >= 1 and <= 3 && x.Length > dimensions,
            $"{What}: expected a weight of 3 to 5 axes and as many positions, found {Guard.Show(inputs[1].Shape)} and {Guard.Show(inputs[0].Shape)}");
        Guard.Require(
            new[] { Strides, Before, After, Dilations, Added }.All(sides => !sides.IsDefault && sides.Length == dimensions)
                && Strides.All(step => step >= 1) && Dilations.All(step => step >= 1) && Added.All(added => added >= 0)
                && Before.Concat(After).All(zeros => zeros >= 0),
            $"{What}: expected strides and dilations of 1 or more and padding of 0 or more for each of {dimensions} dimensions");
        foreach (var axis in w.Skip(2)) wiring.Fix(axis);
        var channels = x[^(dimensions + 1)];
        var output = WireChannels(wiring, channels, w);
        if (inputs.Count == 3)
        {
            Guard.Require(
                inputs[2].Axes.Length == 1 && inputs[2].Axes[0].Size == output.Size,
                $"{What}: expected a bias of {output.Size}, found {Guard.Show(inputs[2].Shape)}");
            wiring.Unite(output, inputs[2].Axes[0]);
        }

        var sides = Enumerable.Range(0, dimensions).Select(d => Side(x[^(dimensions - d)].Size, w[d + 2].Size, d)).ToArray();
        Guard.Require(
            sides.All(side => side >= 1), $"{What}: expected an image that is large enough, found one that shrinks to {string.Join(" x ", sides)}");
        foreach (var axis in x.TakeLast(dimensions)) wiring.Fix(axis);
        Sizes.Product($"{What}: numbers of one example", [.. x.SkipLast(dimensions + 1).Select(axis => axis.Size), output.Size, .. sides]);
        return new Signal([.. x.SkipLast(dimensions + 1), output, .. sides.Select(wiring.Fixed)]);
    }

    private Axis WireChannels(Wiring wiring, Axis channels, ImmutableArray<Axis> w)
    {
        var (whole, part) = Transposed ? (w[0], w[1]) : (w[1], w[0]);
        var inputs = Transposed ? whole.Size : whole.Size * (long)Groups;
        Guard.Require(
            Groups >= 1 && inputs == channels.Size && channels.Size % Groups == 0 && (Transposed || part.Size % Groups == 0),
            $"{What}: expected groups that divide and a weight of {channels.Size} input channels, found {Groups} groups and a weight of {w[0].Size} x {w[1].Size}");
        if (Groups == 1)
        {
            wiring.Unite(channels, whole);
            return part;
        }

        var (copies, read) = wiring.Split(channels, Groups);
        if (Transposed)
        {
            wiring.Unite(channels, whole);
            Sizes.Product($"{What}: channels", Groups, part.Size);
            return part.Size == 1 ? copies : wiring.Product(copies, part);
        }

        wiring.Unite(read, whole);
        var (made, _) = wiring.Split(part, Groups);
        wiring.Unite(copies, made);
        return part;
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        inputs = Broadcasting.Numbers(What, inputs);
        var weights = inputs[1];
        // A weight that depends on the example: one after the other.
        if (weights.shape[0] > 1)
            return cat([.. Enumerable.Range(0, (int)weights.shape[0]).Select(k =>
                Forward(parameters, [.. inputs.Select(input => input.narrow(0, input.shape[0] == 1 ? 0 : k, 1))], mode))]);
        var (x, w, dimensions) = (inputs[0], weights[0], (int)weights.dim() - 3);
        var bias = inputs.Count == 3 ? inputs[2][0] : null;
        long[] outside = x.shape[..^(dimensions + 1)];
        var images = x.reshape([-1, .. x.shape.TakeLast(dimensions + 1)]);
        var result = Transposed ? Enlarge(images, w, bias, dimensions) : Convolve(images, w, bias, dimensions);
        return result.reshape([.. outside, .. result.shape.Skip(1)]);
    }

    private Tensor Convolve(Tensor images, Tensor w, Tensor? bias, int dimensions)
    {
        if (Before.Concat(After).Any(zeros => zeros > 0))
            images = nn.functional.pad(images, [.. Enumerable.Range(1, dimensions).SelectMany(back => new long[] { Before[^back], After[^back] })]);
        long[] strides = Long(Strides), dilations = Long(Dilations);
        return dimensions switch
        {
            1 => nn.functional.conv1d(images, w, bias, strides[0], 0, dilations[0], Groups),
            2 => nn.functional.conv2d(images, w, bias, strides, [0, 0], dilations, groups: Groups),
            _ => nn.functional.conv3d(images, w, bias, strides, [0, 0, 0], dilations, groups: Groups),
        };
    }

    // Everything that the kernel reaches, of which positions are then left out, or added.
    private Tensor Enlarge(Tensor images, Tensor w, Tensor? bias, int dimensions)
    {
        long[] strides = Long(Strides), dilations = Long(Dilations);
        var whole = dimensions switch
        {
            1 => nn.functional.conv_transpose1d(images, w, null, strides[0], 0, 0, dilations[0], Groups),
            2 => nn.functional.conv_transpose2d(images, w, null, strides, [0, 0], [0, 0], dilations, Groups),
            _ => nn.functional.conv_transpose3d(images, w, null, strides, [0, 0, 0], [0, 0, 0], dilations, Groups),
        };
        whole = nn.functional.pad(
            whole, [.. Enumerable.Range(1, dimensions).SelectMany(back => new long[] { -Before[^back], Added[^back] - After[^back] })]);
        return bias is null ? whole : whole + bias.reshape([-1, .. Enumerable.Repeat(1L, dimensions)]);
    }

    private int Side(int size, int kernel, int d)
    {
        var reach = Dilations[d] * (long)(kernel - 1) + 1;
        var side = Transposed
            ? (size - 1L) * Strides[d] + reach + Added[d] - Before[d] - After[d]
            : size + (long)Before[d] + After[d] < reach ? 0 : (size + (long)Before[d] + After[d] - reach) / Strides[d] + 1;
        return (int)Math.Clamp(side, 0, int.MaxValue);
    }

    private static long[] Long(ImmutableArray<int> sides) => [.. sides.Select(side => (long)side)];
}
