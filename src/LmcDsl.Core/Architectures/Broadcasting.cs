using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Signals of different shapes together, as NumPy has it: aligned at their last axes, one entry standing for many. The batch, in front,
/// is outside of it.
/// </summary>
internal static class Broadcasting
{
    /// <summary>The axes of what is made of the signals entry by entry; those that meet are united.</summary>
    /// <exception cref="LmcException">Sizes that meet differ, and none of them is 1.</exception>
    public static Axis[] Wire(Wiring wiring, string layer, IReadOnlyList<IReadOnlyList<Axis>> signals)
    {
        var axes = new Axis[signals.Max(signal => signal.Count)];
        for (var back = 1; back <= axes.Length; back++)
        {
            Axis[] meeting = [.. signals.Where(signal => signal.Count >= back).Select(signal => signal[^back])];
            var found = meeting.FirstOrDefault(axis => axis.Size != 1) ?? meeting[0];
            foreach (var axis in meeting.Where(axis => axis.Size != 1))
            {
                Guard.Require(axis.Size == found.Size, $"{layer}: expected axes of one size, or of one entry, found {found.Size} and {axis.Size}");
                wiring.Unite(found, axis);
            }

            axes[^back] = found;
        }

        return axes;
    }

    /// <summary>The signals with as many axes each, those that have fewer with axes of one entry after the batch.</summary>
    public static Tensor[] Align(IReadOnlyList<Tensor> signals)
    {
        var rank = signals.Max(signal => signal.dim());
        return [.. signals.Select(signal => Lift(signal, rank))];
    }

    /// <summary>A signal with axes of one entry between the batch and its own.</summary>
    public static Tensor Lift(Tensor signal, long rank) => signal.dim() == rank
        ? signal
        : signal.reshape([signal.shape[0], .. Enumerable.Repeat(1L, (int)(rank - signal.dim())), .. signal.shape.Skip(1)]);

    /// <summary>Repeats what does not depend on the example, so that all signals have the same batch.</summary>
    public static Tensor[] SameBatch(IReadOnlyList<Tensor> signals)
    {
        var batch = signals.Max(signal => signal.shape[0]);
        return [.. signals.Select(signal => signal.shape[0] == batch ? signal : signal.expand([batch, .. signal.shape.Skip(1)]))];
    }

    /// <summary>Signals that are multiplied and summed, in one type. True and false are refused here: Torch's own error of them would end the process.</summary>
    /// <exception cref="LmcException">They are true and false.</exception>
    public static Tensor[] Numbers(string layer, IReadOnlyList<Tensor> signals)
    {
        var same = SameType(signals);
        Guard.Require(same[0].dtype != ScalarType.Bool, $"{layer}: expected numbers, found true and false");
        return same;
    }

    /// <summary>Signals of one type of numbers, the widest: a product of two types would end the process.</summary>
    public static Tensor[] SameType(IReadOnlyList<Tensor> signals)
    {
        var type = signals.Select(signal => signal.dtype).Aggregate(promote_types);
        return [.. signals.Select(signal => signal.dtype == type ? signal : signal.to(type))];
    }
}
