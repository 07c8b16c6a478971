using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Each example scaled to deviation 1 over its last axes, with or without its mean taken off first: what layer, group, instance and
/// root-mean-square norms have in common. It has no parameters: a scale and a shift follow as layers. Mean and deviation run over whole axes, so
/// that every axis keeps its label.
/// </summary>
public sealed class Normalization(int last = 1, double epsilon = 1e-5, bool centred = true) : Layer
{
    /// <summary>Over how many axes, counted from the end.</summary>
    public int Last { get; } = last;

    /// <summary>Added to the mean square.</summary>
    public double Epsilon { get; } = epsilon;

    /// <summary>Whether the mean is taken off.</summary>
    public bool Centred { get; } = centred;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var axes = inputs[0].Axes;
        Guard.Require(
            Last >= 1 && Last <= axes.Length, $"normalization layer: expected 1 to {axes.Length} axes, found {Last}");
        wiring.Through([.. axes.SkipLast(Last)]);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var x = inputs[0];
        if (Centred) return nn.functional.layer_norm(x, x.shape[^Last..], null, null, Epsilon);
        long[] over = [.. Enumerable.Range(1, Last).Select(back => -(long)back)];
        return x * ((x * x).mean(over, keepdim: true) + Epsilon).rsqrt();
    }
}
