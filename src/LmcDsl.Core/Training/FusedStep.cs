using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace LmcDsl.Core.Training;

/// <summary>
/// One optimiser step over the flat buffers. On the CPU each number is read and written once (Torch's own optimisers make
/// about ten passes); elsewhere the same formulas as Torch operations.
/// </summary>
internal static class FusedStep
{
    /// <summary>Moves parameters and moments by one step.</summary>
    /// <param name="state">What to move, in place.</param>
    /// <param name="gradients">One gradient for each learned parameter, in the order of their offsets.</param>
    /// <param name="options">Optimiser and weight decay.</param>
    /// <param name="rate">This step's learning rate.</param>
    /// <param name="step">This step's number, 1 or more, for Adam's bias correction.</param>
    public static void Apply(
        TrainingState state, IReadOnlyList<Tensor> gradients, TrainingOptions options, double rate, long step)
    {
        if (state.First.device_type == DeviceType.CPU) OnCpu(state, gradients, options, rate, step);
        else OnDevice(state, gradients, options, rate, step);
    }

    internal static void OnDevice(
        TrainingState state, IReadOnlyList<Tensor> gradients, TrainingOptions options, double rate, long step)
    {
        using var scope = NewDisposeScope();
        var p = state.Parameters.Learned();
        var g = cat([.. gradients.Select(t => t.flatten())]);
        if (options.WeightDecay != 0 && options.Optimizer is not AdamW) g.add_(p, alpha: options.WeightDecay);
        switch (options.Optimizer)
        {
            case Sgd sgd:
                state.First.mul_(sgd.Momentum).add_(g);
                p.add_(state.First, alpha: -rate);
                break;
            case AdamW decoupled:
                p.mul_(1 - rate * options.WeightDecay);
                ByMoments(p, state.First, state.Second, g, decoupled.Moments, rate, step);
                break;
            case Adam adam:
                ByMoments(p, state.First, state.Second, g, adam, rate, step);
                break;
        }
    }

    /// <summary>Adam's step (1412.6980) of any tensor, by Torch operations.</summary>
    /// <param name="p">What moves, in place.</param>
    /// <param name="first">The first moment, brought up to date.</param>
    /// <param name="second">The second moment, brought up to date.</param>
    /// <param name="g">The gradient.</param>
    /// <param name="adam">Decays and epsilon.</param>
    /// <param name="rate">This step's learning rate.</param>
    /// <param name="step">This step's number, 1 or more.</param>
    internal static void ByMoments(Tensor p, Tensor first, Tensor second, Tensor g, Adam adam, double rate, long step)
    {
        using var scope = NewDisposeScope();
        first.mul_(adam.Beta1).add_(g, alpha: 1 - adam.Beta1);
        second.mul_(adam.Beta2).addcmul_(g, g, value: 1 - adam.Beta2);
        var root = second.sqrt().div_(Math.Sqrt(1 - Math.Pow(adam.Beta2, step))).add_(adam.Epsilon);
        p.addcdiv_(first, root, value: -rate / (1 - Math.Pow(adam.Beta1, step)));
    }

    /// <summary>AdamW's step (1711.05101) of one tensor in float32, wherever it lies.</summary>
    /// <param name="p">What moves, in place; contiguous.</param>
    /// <param name="first">The first moment, brought up to date; contiguous.</param>
    /// <param name="second">The second moment, brought up to date; contiguous.</param>
    /// <param name="g">The gradient, of the same shape.</param>
    /// <param name="adam">Decays and epsilon.</param>
    /// <param name="decay">The weight decay.</param>
    /// <param name="rate">This step's learning rate.</param>
    /// <param name="step">This step's number, 1 or more.</param>
    internal static void ByMoments(Tensor p, Tensor first, Tensor second, Tensor g, AdamW adam, double decay, double rate, long step)
    {
        var kept = 1 - rate * decay;
        if (p.device_type != DeviceType.CPU)
        {
            p.mul_(kept);
            ByMoments(p, first, second, g, adam.Moments, rate, step);
            return;
        }

        using var dense = g.contiguous();
        AdamStep(Numbers(p), Numbers(first), Numbers(second), Numbers(dense), adam.Moments, 0, (float)kept, rate, step);
    }

    private static Span<float> Numbers(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes);

    private static void OnCpu(
        TrainingState state, IReadOnlyList<Tensor> gradients, TrainingOptions options, double rate, long step)
    {
        var p = Numbers(state.Parameters.Flat);
        var m = Numbers(state.First);
        var v = Numbers(state.Second);
        var offset = 0;
        foreach (var gradient in gradients)
        {
            using var dense = gradient.contiguous();
            var g = Numbers(dense);
            var here = new Range(offset, offset + g.Length);
            var decay = (float)options.WeightDecay;
            switch (options.Optimizer)
            {
                case Sgd sgd:
                    SgdStep(p[here], m[here], g, (float)sgd.Momentum, decay, (float)rate);
                    break;
                case Adam adam:
                    AdamStep(p[here], m[here], v[here], g, adam, decay, 1, rate, step);
                    break;
                case AdamW decoupled:
                    AdamStep(p[here], m[here], v[here], g, decoupled.Moments, 0, (float)(1 - rate * options.WeightDecay), rate, step);
                    break;
            }

            offset += g.Length;
        }
    }

    private static void SgdStep(Span<float> p, Span<float> m, ReadOnlySpan<float> g, float momentum, float decay, float rate)
    {
        var k = 0;
        for (; k + 8 <= p.Length; k += 8)
        {
            var weight = Load(p, k);
            var moment = Load(m, k) * momentum + (Load(g, k) + weight * decay);
            moment.StoreUnsafe(ref m[k]);
            (weight - moment * rate).StoreUnsafe(ref p[k]);
        }

        for (; k < p.Length; k++)
        {
            m[k] = m[k] * momentum + (g[k] + p[k] * decay);
            p[k] -= m[k] * rate;
        }
    }

    private static void AdamStep(
        Span<float> p, Span<float> m, Span<float> v, ReadOnlySpan<float> g, Adam adam, float decay, float kept,
        double rate, long step)
    {
        var size = (float)(rate / (1 - Math.Pow(adam.Beta1, step)));
        var scale = (float)(1 / Math.Sqrt(1 - Math.Pow(adam.Beta2, step)));
        float b1 = (float)adam.Beta1, c1 = (float)(1 - adam.Beta1), b2 = (float)adam.Beta2, c2 = (float)(1 - adam.Beta2);
        var epsilon = (float)adam.Epsilon;
        var k = 0;
        for (; k + 8 <= p.Length; k += 8)
        {
            var weight = Load(p, k);
            var slope = Load(g, k) + weight * decay;
            var first = Load(m, k) * b1 + slope * c1;
            var second = Load(v, k) * b2 + slope * slope * c2;
            first.StoreUnsafe(ref m[k]);
            second.StoreUnsafe(ref v[k]);
            var root = Vector256.Sqrt(second) * scale + Vector256.Create(epsilon);
            (weight * kept - first * size / root).StoreUnsafe(ref p[k]);
        }

        for (; k < p.Length; k++)
        {
            var slope = g[k] + p[k] * decay;
            m[k] = m[k] * b1 + slope * c1;
            v[k] = v[k] * b2 + slope * slope * c2;
            p[k] = p[k] * kept - m[k] * size / (MathF.Sqrt(v[k]) * scale + epsilon);
        }
    }

    private static Vector256<float> Load(ReadOnlySpan<float> values, int k) =>
        Vector256.LoadUnsafe(ref MemoryMarshal.GetReference(values), (nuint)k);
}
