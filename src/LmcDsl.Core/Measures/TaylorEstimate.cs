using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Differentiation;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Measures;

/// <summary>What the second-order expansion of the loss says of the barrier at the midpoint.</summary>
/// <param name="FirstOrder">The gradients' part, in nats.</param>
/// <param name="SecondOrder">The curvatures' part, in nats.</param>
public readonly record struct TaylorTerms(double FirstOrder, double SecondOrder)
{
    /// <summary>The estimate of the barrier at lambda = 1/2, in nats.</summary>
    public double Estimate => FirstOrder + SecondOrder;
}

/// <summary>
/// The Taylor estimate of the loss barrier (Ito et al., 2402.04051): with d = b − a, the mean of the expansions of the
/// midpoint's loss to second order from both ends, less the mean of the ends' losses:
/// <c>1/4 d·(∇L(a) − ∇L(b)) + 1/16 d·(H_a + H_b) d</c>. Were the loss quadratic along the line, it would be the barrier.
/// </summary>
public static class TaylorEstimate
{
    /// <summary>Examples in one pass: two backward passes keep more than a forward one.</summary>
    public const int DefaultBatch = 500;

    /// <summary>Estimates the barrier at the midpoint of two models, over all examples, batch by batch.</summary>
    /// <param name="a">One model.</param>
    /// <param name="b">The other, of the same architecture and already aligned.</param>
    /// <param name="split">The examples, on the models' device.</param>
    /// <param name="batch">Examples in one pass.</param>
    /// <param name="progress">Called after each batch with the share done.</param>
    /// <returns>The two orders' parts.</returns>
    /// <exception cref="LmcException">
    /// Two architectures, examples that do not fit, a batch below 1, or derivatives that are not finite; the line names the model.
    /// </exception>
    public static TaylorTerms AtMidpoint(
        ParameterSet a, ParameterSet b, DataSplit split, int batch = DefaultBatch, Action<double>? progress = null)
    {
        ParameterSet.RequireSameArchitecture(a, b);
        Guard.Require(batch >= 1, $"Taylor estimate: expected a batch of 1 or more, found {batch}");
        Fit.Require(a, split, "Taylor estimate");
        using var scope = NewDisposeScope();
        var along = (b.Learned() - a.Learned()).detach();
        double first = 0, second = 0;
        for (var start = 0L; start < split.Count; start += batch)
        {
            var count = Math.Min(batch, split.Count - start);
            var share = (double)count / split.Count;
            var (slopeA, curveA) = Along(a, "the first model", along, split, start, count);
            var (slopeB, curveB) = Along(b, "the second model", along, split, start, count);
            first += share * (slopeA - slopeB) / 4;
            second += share * (curveA + curveB) / 16;
            progress?.Invoke((double)(start + count) / split.Count);
        }

        return new TaylorTerms(first, second);
    }

    // d·∇L and d·H d on one batch.
    private static (double Slope, double Curvature) Along(
        ParameterSet model, string name, Tensor along, DataSplit split, long start, long count)
    {
        using var scope = NewDisposeScope();
        var images = split.Images.narrow(0, start, count);
        var loss = LossFunction.Of(model, images, split.Labels.narrow(0, start, count));
        var (value, gradient, product) = Differentiate.HessianVector(loss, model.Learned(), along);
        var (slope, curvature) = (InnerProduct.Of(gradient, along), InnerProduct.Of(product, along));
        if (double.IsFinite(value) && double.IsFinite(slope) && double.IsFinite(curvature)) return (slope, curvature);
        var what = double.IsFinite(value) ? $"a slope of {slope} and a curvature of {curvature}" : Overflow.In(model, images);
        throw new LmcException($"Taylor estimate: {name}: expected finite derivatives along the line, found {what}");
    }
}
