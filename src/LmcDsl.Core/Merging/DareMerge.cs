using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Merging;

/// <summary>
/// DARE (Yu et al., 2311.03099): each number of a task vector towards the first model, the base, is dropped at random, and those left are
/// divided by the share that is kept. Then summed as task vectors are, or, elected, averaged as TIES does.
/// </summary>
/// <param name="Density">The share of numbers that is kept, above 0 and at most 1.</param>
/// <param name="Scale">What the sum, or the elected mean, is multiplied by; where none is given, 1 over the number of task vectors, and 1.</param>
/// <param name="Elect">Whether signs are elected (mergekit's <c>dare_ties</c>) or not (<c>dare_linear</c>).</param>
/// <param name="Seed">Seed of what is dropped.</param>
public sealed record DareMerge(double Density = 0.5, double? Scale = null, bool Elect = false, long Seed = 0) : MergeMethod
{
    /// <inheritdoc/>
    public override void Require(Network network, int models)
    {
        Guard.Require(models >= 2, $"dare: expected a base and 1 or more models, found {models} in all");
        RequireDensity("dare", Density);
        RequireScale("dare", Scale);
    }

    /// <inheritdoc/>
    protected override Tensor OfLearned(IReadOnlyList<Tensor> values, Network network, int parameter)
    {
        var tasks = TaskVectors.Of(values).Select((task, model) => Dropped(task, model, parameter)).ToArray();
        return Elect
            ? values[0].add(TaskVectors.Elected(tasks), alpha: Scale ?? 1)
            : values[0].add(stack(tasks).sum([0]), alpha: Scale ?? 1.0 / tasks.Length);
    }

    private Tensor Dropped(Tensor task, int model, int parameter)
    {
        using var generator = Seeds.Generator(Seed, $"dare {model}", parameter);
        var kept = rand(task.shape, ScalarType.Float64, generator: generator).lt(Density).to(task.device);
        return task.mul(kept).div(Density);
    }
}
