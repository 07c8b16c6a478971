using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Merging;

/// <summary>
/// TIES (Yadav et al., 2306.01708): task vectors towards the first model, the base, are trimmed to their largest numbers, a sign is elected
/// for each number, and those that have it are averaged: <c>base + scale mean</c>. Trimmed in each parameter by itself, as mergekit does,
/// where the paper takes the vector as a whole.
/// </summary>
/// <param name="Density">The share of numbers that is kept, above 0 and at most 1.</param>
/// <param name="Scale">The paper's lambda.</param>
public sealed record TiesMerge(double Density = 0.2, double Scale = 1) : MergeMethod
{
    /// <inheritdoc/>
    public override void Require(Network network, int models)
    {
        Guard.Require(models >= 2, $"ties: expected a base and 1 or more models, found {models} in all");
        RequireDensity("ties", Density);
        RequireScale("ties", Scale);
    }

    /// <inheritdoc/>
    protected override Tensor OfLearned(IReadOnlyList<Tensor> values, Network network, int parameter) =>
        values[0].add(TaskVectors.Elected([.. TaskVectors.Of(values).Select(task => TaskVectors.Trim(task, Density))]), alpha: Scale);
}
