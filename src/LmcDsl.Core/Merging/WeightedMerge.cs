using LmcDsl.Core.Architectures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Merging;

/// <summary>The weighted mean: <c>sum_i w_i W_i</c> (model soups, 2203.05482; mergekit's <c>linear</c>).</summary>
/// <param name="Weights">A point of the simplex, one weight for each model; all alike where there are none.</param>
public sealed record WeightedMerge(IReadOnlyList<double> Weights) : MergeMethod
{
    /// <inheritdoc/>
    public override void Require(Network network, int models)
    {
        if (Weights.Count > 0) RequireWeights("weights", Weights, models);
    }

    /// <inheritdoc/>
    protected override Tensor OfLearned(IReadOnlyList<Tensor> values, Network network, int parameter) =>
        Sum(values, Shares(network, parameter, values.Count));

    /// <inheritdoc/>
    protected override IReadOnlyList<double> Shares(Network network, int parameter, int models) =>
        Weights.Count > 0 ? Weights : Even(models);
}
