using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Merging;

/// <summary>
/// Task arithmetic (Ilharco et al., 2212.04089): the first model is the base, what the others differ from it by are task vectors, and the
/// result is <c>base + scale sum_i (W_i - base)</c>.
/// </summary>
/// <param name="Scale">The paper's lambda; 1 over the number of task vectors, their mean, where none is given.</param>
public sealed record TaskArithmeticMerge(double? Scale = null) : MergeMethod
{
    /// <inheritdoc/>
    public override void Require(Network network, int models)
    {
        Guard.Require(models >= 2, $"task arithmetic: expected a base and 1 or more models, found {models} in all");
        RequireScale("task arithmetic", Scale);
    }

    /// <inheritdoc/>
    protected override Tensor OfLearned(IReadOnlyList<Tensor> values, Network network, int parameter)
    {
        var result = values[0].clone();
        var scale = Scale ?? 1.0 / (values.Count - 1);
        foreach (var task in TaskVectors.Of(values)) result.add_(task, alpha: scale);
        return result;
    }
}
