using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using static TorchSharp.torch;

namespace LmcDsl.Core.Measures;

/// <summary>
/// The first layer's outputs of two models over a set of examples. A first layer is linear in its parameters, so at any
/// point of the line between the models its output is a mixture of these two: its products are computed twice for a whole
/// curve, and not once for each point.
/// </summary>
internal sealed class SharedFirstLayer : IDisposable
{
    private const long LargestCount = 1L << 26; // numbers of both models together: 256 MB
    private const long LeastTerms = 128; // of an output: sums of fewer are sooner computed anew than two of them mixed, as of a first convolution

    private readonly DataSplit split;
    private readonly Tensor one;
    private readonly Tensor other;

    private SharedFirstLayer(ParameterSet a, ParameterSet b, DataSplit split)
    {
        this.split = split;
        one = FirstLayer(a);
        other = FirstLayer(b);
    }

    /// <summary>Computes both models' first layers, where the network has such a layer, its outputs are not too large, and mixing them saves time.</summary>
    /// <returns>Nothing where the curve is better evaluated plainly.</returns>
    public static SharedFirstLayer? TryMake(ParameterSet a, ParameterSet b, DataSplit split)
    {
        var first = a.Network.FirstLinear;
        if (first < 0 || a.Network.FirstLinearTerms < LeastTerms) return null;
        var count = a.Network.Outputs[first].Axes.Aggregate(2 * split.Count, (product, axis) => product * axis.Size);
        return count <= LargestCount ? new SharedFirstLayer(a, b, split) : null;
    }

    /// <summary>Scores a mixture of the two models.</summary>
    /// <param name="mixed">Its parameters, <c>lambda a + (1 - lambda) b</c>.</param>
    /// <param name="lambda">The share of a.</param>
    public Score Evaluate(ParameterSet mixed, double lambda) =>
        Evaluator.Evaluate(
            (start, length) => mixed.Network.ForwardAfterFirstLinear(
                mixed.Views, other.narrow(0, start, length).lerp(one.narrow(0, start, length), lambda)),
            mixed, split);

    /// <summary>Frees both outputs.</summary>
    public void Dispose()
    {
        one.Dispose();
        other.Dispose();
    }

    private Tensor FirstLayer(ParameterSet model)
    {
        using var scope = NewDisposeScope();
        var parts = new List<Tensor>();
        for (var start = 0L; start < split.Count; start += Evaluator.DefaultBatch)
        {
            var length = Math.Min(Evaluator.DefaultBatch, split.Count - start);
            parts.Add(model.Network.ForwardFirstLinear(model.Views, split.Images.narrow(0, start, length)));
        }

        return cat(parts).DetachFromDisposeScope();
    }
}
