using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>What a search over several models found: maps into one order of units, so that maps between any two compose.</summary>
/// <param name="Permutations">One for each model, to apply to it; the first model's is the identity.</param>
/// <param name="Sweeps">Passes over the models, or steps.</param>
/// <param name="Objective">The sum over pairs of models of ⟨pi_p(p), pi_q(q)⟩, before the first pass and after each.</param>
/// <param name="Stopped">Why it stopped.</param>
/// <param name="Seconds">Wall-clock time of the search.</param>
public sealed record JointResult(
    ImmutableArray<PermutationSet> Permutations, int Sweeps, ImmutableArray<double> Objective, StopReason Stopped, double Seconds)
{
    /// <summary>Of searches over more than permutations: one for each model, for <see cref="RotatedMatching.Apply"/>; empty else.</summary>
    public ImmutableArray<Transformation> Transformations { get; init; } = [];

    /// <summary>The map from one model's units to another's: cycle-consistent by construction.</summary>
    /// <param name="from">Index of the model to permute.</param>
    /// <param name="to">Index of the model that it is brought to.</param>
    /// <returns>To apply to the first.</returns>
    public PermutationSet Between(int from, int to) => Permutations[to].Inverse().After(Permutations[from]);

    /// <summary>The same maps, followed by the inverse of the first model's, which thereby stays as it is.</summary>
    internal static ImmutableArray<PermutationSet> FromFirst(IReadOnlyList<PermutationSet> found)
    {
        var back = found[0].Inverse();
        return [.. found.Select(p => back.After(p))];
    }

    /// <summary>The sum over pairs of ⟨p, q⟩, from ‖sum‖² = sum of ‖p‖² + twice the pairs.</summary>
    internal static double OfPairs(IReadOnlyList<ParameterSet> models)
    {
        using var scope = NewDisposeScope();
        var sum = models.Select(m => m.Learned()).Aggregate((x, y) => x + y);
        return (InnerProduct.Of(sum, sum) - models.Sum(m => InnerProduct.Of(m.Learned(), m.Learned()))) / 2;
    }

    /// <summary>Requires two or more finite models of one architecture.</summary>
    internal static void RequireModels(string search, IReadOnlyList<ParameterSet> models)
    {
        Guard.Require(models.Count >= 2, $"{search}: expected 2 or more models, found {models.Count}");
        foreach (var (k, model) in models.Index())
        {
            ParameterSet.RequireSameArchitecture(models[0], model);
            WeightMatching.RequireFinite(model, $"model {k}");
        }
    }
}
