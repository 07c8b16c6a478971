using System.Collections.Immutable;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Entries added at both ends of axes, or taken off where their number is below 0. An axis that changes is fixed; the others keep their labels.
/// </summary>
public sealed class EdgePadding(
    ImmutableArray<int> before, ImmutableArray<int> after, PaddingMode mode = PaddingMode.Zeros, double value = 0) : Layer
{
    /// <summary>Entries added before each axis's first.</summary>
    public ImmutableArray<int> Before { get; } = before;

    /// <summary>Entries added after each axis's last.</summary>
    public ImmutableArray<int> After { get; } = after;

    /// <summary>What they hold; <see cref="Value"/> where the mode is zeros.</summary>
    public PaddingMode Mode { get; } = mode;

    /// <summary>What they hold, where it is one number.</summary>
    public double Value { get; } = value;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        const string What = "edge padding layer";
        var axes = inputs[0].Axes;
        Guard.Require(
            !Before.IsDefault && !After.IsDefault && Before.Length == axes.Length && After.Length == axes.Length,
            $"{What}: expected a number before and after each of {axes.Length} axes");
        var result = new Axis[axes.Length];
        for (var d = 0; d < axes.Length; d++)
        {
            result[d] = axes[d];
            if (Before[d] == 0 && After[d] == 0) continue;
            var size = axes[d].Size + (long)Before[d] + After[d];
            Guard.Require(size is >= 1 and <= int.MaxValue, $"{What}: expected an axis of 1 to {int.MaxValue} entries, found {size}");
            if (Mode != PaddingMode.Zeros)
            {
                Guard.Require(Before[d] >= 0 && After[d] >= 0, $"{What}: expected entries added where the mode is {Mode}, found some taken off");
                Padding.Require(What, Mode, Math.Max(Before[d], After[d]), axes[d].Size);
            }

            wiring.Fix(axes[d]);
            result[d] = wiring.Fixed((int)size);
        }

        Sizes.Product($"{What}: numbers of one example", [.. result.Select(axis => axis.Size)]);
        return Signal.Of(result);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        if (Mode == PaddingMode.Zeros)
            return nn.functional.pad(inputs[0], [.. Enumerable.Range(1, Before.Length).SelectMany(back => new long[] { Before[^back], After[^back] })], value: Value);
        // By the places that entries come from.
        var x = inputs[0];
        for (var d = 0; d < Before.Length; d++)
        {
            if (Before[d] == 0 && After[d] == 0) continue;
            var size = (int)x.shape[d + 1];
            var places = Enumerable.Range(-Before[d], size + Before[d] + After[d]).Select(place => (long)Source(place, size)).ToArray();
            x = x.index_select(d + 1, tensor(places, device: x.device));
        }

        return x;
    }

    private int Source(int place, int size) => Mode switch
    {
        PaddingMode.Replicate => Math.Clamp(place, 0, size - 1),
        PaddingMode.Circular => (place + size) % size,
        _ => place < 0 ? -place : place >= size ? 2 * (size - 1) - place : place,
    };
}
