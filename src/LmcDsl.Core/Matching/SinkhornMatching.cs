using System.Collections.Immutable;
using System.Diagnostics;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>Options of weight matching by Sinkhorn relaxation.</summary>
public sealed record SinkhornMatchingOptions
{
    /// <summary>Temperature of the Sinkhorn operator.</summary>
    public double Tau { get; init; } = 1;

    /// <summary>Sinkhorn passes in one step.</summary>
    public int Iterations { get; init; } = 20;

    /// <summary>Steps of AdamW on the logits.</summary>
    public int Steps { get; init; } = 200;

    /// <summary>AdamW's learning rate.</summary>
    public double LearningRate { get; init; } = 0.1;

    /// <summary>AdamW's weight decay.</summary>
    public double WeightDecay { get; init; } = 0.01;

    /// <summary>Deviation of the normal noise that is added to the identity at the start.</summary>
    public double Noise { get; init; } = 0.1;

    /// <summary>Whether coordinate descent goes on from what was found, so that no single group can do better.</summary>
    public bool Polish { get; init; }

    /// <summary>Seed of the noise, of the polishing's order and of the starts after the first.</summary>
    public long Seed { get; init; }

    /// <summary>Starts, the best of which counts: the first as told or the identity, the others drawn at random.</summary>
    public int Starts { get; init; } = 1;
}

/// <summary>
/// Weight matching by Sinkhorn relaxation (Sinkhorn re-basin, Pena et al., 2212.12042): each group's permutation is relaxed
/// to a doubly stochastic matrix, the Sinkhorn operator of free logits; all groups' logits climb the relaxed objective
/// together by gradient; at the end each matrix is rounded to the nearest permutation by linear assignment.
/// </summary>
/// <remarks>
/// The objective is ⟨a, pi(b)⟩ as in <see cref="WeightMatching"/>, not the relaxed ‖a − pi(b)‖²: these agree at
/// permutations, and elsewhere the latter rewards matrices that shrink b.
/// </remarks>
public static class SinkhornMatching
{
    /// <summary>Searches for the permutations of model b that bring it nearest to model a.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model to permute, of the same architecture and on the same device.</param>
    /// <param name="options">Options; the defaults where none are given.</param>
    /// <param name="start">Where the first start is; the identity where none is given.</param>
    /// <param name="progress">Called after each step with the share done and the relaxed objective.</param>
    /// <returns>
    /// The permutations. The objective is ⟨a, pi(b)⟩: at the start, relaxed after each step, after rounding, and after each
    /// pass of polishing where asked for.
    /// </returns>
    /// <exception cref="LmcException">Two architectures, a model with NaN or infinity, or an option out of range.</exception>
    public static SearchResult Match(
        ParameterSet a, ParameterSet b, SinkhornMatchingOptions? options = null, PermutationSet? start = null,
        Action<double, double>? progress = null)
    {
        options ??= new SinkhornMatchingOptions();
        ParameterSet.RequireSameArchitecture(a, b);
        Guard.Require(
            options is { Tau: > 0, Iterations: >= 1, Steps: >= 1, LearningRate: > 0, WeightDecay: >= 0, Noise: >= 0 },
            $"Sinkhorn matching: expected tau, iterations, steps and learning rate above 0, decay and noise of 0 or more, found {options}");
        WeightMatching.RequireFinite(a, "the reference model");
        WeightMatching.RequireFinite(b, "the model to align");
        return Restarts.Best(
            "Sinkhorn matching", options.Starts, options.Seed, b.Network, start,
            (from, seed) => Search(a, b, options with { Seed = seed }, from, progress), found => found.Objective[^1]);
    }

    private static SearchResult Search(
        ParameterSet a, ParameterSet b, SinkhornMatchingOptions options, PermutationSet start, Action<double, double>? progress)
    {
        var clock = Stopwatch.StartNew();
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        using var moved = start.Apply(b);
        // Adam's epsilon is small beside the gradients of common models only: others are brought to their size.
        var scale = new MatchingScale(a, moved, lowest: -20, highest: 20);
        using var objective = new RelaxedObjective(a, moved, scale);
        using var relaxed = new SinkhornMatrices(a.Network, options, a.Flat.device);
        var values = ImmutableArray.CreateBuilder<double>();
        values.Add(Measures.InnerProduct.Of(a.Learned(), moved.Learned()));
        for (var step = 1; step <= options.Steps; step++)
        {
            using var inner = NewDisposeScope();
            var (value, gradients, ofPairs) = objective.At(relaxed.Matrices(), relaxed.Pairs);
            values.Add(value);
            relaxed.Climb(gradients, ofPairs, scale.Unit, step);
            progress?.Invoke((double)step / options.Steps, value);
        }

        var found = relaxed.Round().After(start);
        using (var rounded = found.Apply(b)) values.Add(Measures.InnerProduct.Of(a.Learned(), rounded.Learned()));
        if (!options.Polish)
            return new SearchResult(found, options.Steps, values.ToImmutable(), StopReason.SweepLimit, clock.Elapsed.TotalSeconds);
        var polished = WeightMatching.Match(a, b, new WeightMatchingOptions { Seed = options.Seed }, found);
        values.AddRange(polished.Objective.Skip(1));
        return polished with
        {
            Sweeps = options.Steps + polished.Sweeps,
            Objective = values.ToImmutable(),
            Seconds = clock.Elapsed.TotalSeconds,
        };
    }
}
