using System.Collections.Immutable;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Pooling of the last 1, 2 or 3 axes by windows of any sides: the largest entry or the mean. Those axes are fixed; the others keep their labels.
/// </summary>
public sealed class WindowPooling(
    PoolingFunction function, ImmutableArray<int> kernel, ImmutableArray<int> strides, ImmutableArray<int> before, ImmutableArray<int> after,
    ImmutableArray<int> dilations, bool ceiling = false, bool countPadding = false) : Layer
{
    private const string What = "window pooling layer";

    /// <summary>What is made of a window: its maximum or its mean.</summary>
    public PoolingFunction Function { get; } = function;

    /// <summary>Sides of the window.</summary>
    public ImmutableArray<int> Kernel { get; } = kernel;

    /// <summary>Steps of the window.</summary>
    public ImmutableArray<int> Strides { get; } = strides;

    /// <summary>Positions added before the first.</summary>
    public ImmutableArray<int> Before { get; } = before;

    /// <summary>Positions added after the last.</summary>
    public ImmutableArray<int> After { get; } = after;

    /// <summary>Steps between the positions of a window.</summary>
    public ImmutableArray<int> Dilations { get; } = dilations;

    /// <summary>Whether a last window may reach beyond the end.</summary>
    public bool Ceiling { get; } = ceiling;

    /// <summary>Whether a mean counts the positions added.</summary>
    public bool CountPadding { get; } = countPadding;

    /// <inheritdoc/>
    public override string Title => $"window pool {Function.ToString().ToLowerInvariant()}";

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var axes = inputs[0].Axes;
        var dimensions = Kernel.IsDefault ? 0 : Kernel.Length;
        Guard.Require(
            dimensions is >= 1 and <= 3 && axes.Length >= dimensions
                && new[] { Strides, Before, After, Dilations }.All(sides => !sides.IsDefault && sides.Length == dimensions)
                && Kernel.Concat(Strides).Concat(Dilations).All(side => side >= 1) && Before.Concat(After).All(side => side >= 0),
            $"{What}: expected kernel, strides and dilations of 1 or more and padding of 0 or more for 1 to 3 axes of {Guard.Show(inputs[0].Shape)}");
        Guard.Require(Function != PoolingFunction.First, $"{What}: expected Max or Average, found {Function}");
        var sides = Enumerable.Range(0, dimensions).Select(d => Windows(axes[^(dimensions - d)].Size, d)).ToArray();
        Guard.Require(
            sides.All(side => side >= 1), $"{What}: expected positions that are enough, found ones that shrink to {string.Join(" x ", sides)}");
        foreach (var axis in axes.TakeLast(dimensions)) wiring.Fix(axis);
        Sizes.Product($"{What}: numbers of one example", [.. axes.SkipLast(dimensions).Select(axis => axis.Size), .. sides]);
        return new Signal([.. axes.SkipLast(dimensions), .. sides.Select(wiring.Fixed)]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var (x, dimensions) = (inputs[0], Kernel.Length);
        long[] outside = x.shape[..^dimensions];
        var images = x.reshape([-1, 1, .. x.shape.TakeLast(dimensions)]);
        // Whole numbers have no infinity to surround them.
        if (!x.is_floating_point()) images = images.to(ScalarType.Float64);
        Tensor result;
        if (Function == PoolingFunction.Max)
        {
            result = Over(Surrounded(images, double.NegativeInfinity));
        }
        else
        {
            // The mean of what is there: the sum over how many are counted.
            var counted = ones_like(images.narrow(0, 0, 1));
            if (CountPadding)
                counted = nn.functional.pad(
                    nn.functional.pad(counted, Around(Before, After), value: 1), Around([.. Before.Select(_ => 0)], Beyond(images)));
            else counted = Surrounded(counted, 0);
            result = Over(Surrounded(images, 0)) / Over(counted);
        }

        return result.to(x.dtype).reshape([.. outside, .. result.shape.Skip(2)]);
    }

    // With windows of dilated positions as a stack of strided parts.
    private Tensor Over(Tensor images)
    {
        var parts = new List<Tensor> { images };
        for (var d = 0; d < Kernel.Length; d++)
        {
            var (dimension, size) = (d + 2, images.shape[d + 2]);
            var windows = (size - Dilations[d] * (Kernel[d] - 1L) - 1) / Strides[d] + 1;
            parts = [.. from part in parts
                        from k in Enumerable.Range(0, Kernel[d])
                        let first = (long)k * Dilations[d]
                        select part.slice(dimension, first, first + (windows - 1) * Strides[d] + 1, Strides[d])];
        }

        if (Function == PoolingFunction.Max) return parts.Skip(1).Aggregate(parts[0], maximum);
        return parts.Skip(1).Aggregate(parts[0], (sum, part) => sum + part);
    }

    private Tensor Surrounded(Tensor images, double value) =>
        nn.functional.pad(images, Around(Before, [.. After.Zip(Beyond(images), (after, beyond) => after + beyond)]), value: value);

    // How far the last window reaches beyond what is there.
    private int[] Beyond(Tensor images) =>
    [
        .. Enumerable.Range(0, Kernel.Length).Select(d =>
        {
            var size = (int)images.shape[d + 2];
            var reach = (Windows(size, d) - 1) * Strides[d] + Dilations[d] * (Kernel[d] - 1) + 1;
            return Math.Max(0, reach - size - Before[d] - After[d]);
        }),
    ];

    private static long[] Around(IReadOnlyList<int> before, IReadOnlyList<int> after) =>
        [.. Enumerable.Range(1, before.Count).SelectMany(back => new long[] { before[^back], after[^back] })];

    private int Windows(int size, int d)
    {
        var room = size + (long)Before[d] + After[d] - Dilations[d] * (Kernel[d] - 1L) - 1;
        if (room < 0) return 0;
        var count = room / Strides[d] + 1;
        if (Ceiling && room % Strides[d] != 0 && count * Strides[d] < (long)size + Before[d]) count++;
        return (int)Math.Min(count, int.MaxValue);
    }
}
