using System.Diagnostics;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>Options of the straight-through search over Sinkhorn logits.</summary>
public sealed record SinkhornStraightThroughOptions
{
    /// <summary>Temperature of the Sinkhorn operator.</summary>
    public double Tau { get; init; } = 1;

    /// <summary>Sinkhorn passes in one step.</summary>
    public int Iterations { get; init; } = 20;

    /// <summary>Steps of the search, one batch each.</summary>
    public int Steps { get; init; } = 300;

    /// <summary>Examples in one step.</summary>
    public int BatchSize { get; init; } = 500;

    /// <summary>AdamW's learning rate for the logits.</summary>
    public double LearningRate { get; init; } = 0.1;

    /// <summary>Deviation of the normal noise that is added to the identity at the start.</summary>
    public double Noise { get; init; } = 0.1;

    /// <summary>Whether the share of model a is drawn anew, uniformly from 0 to 1, at each step; else it is 1/2.</summary>
    public bool DrawLambda { get; init; }

    /// <summary>Steps between two looks at the training loss of the merged model, by which the best permutation is kept.</summary>
    public int CheckEvery { get; init; } = 25;

    /// <summary>Training examples, from the first on, that the loss is looked at on.</summary>
    public int CheckOn { get; init; } = 5_000;

    /// <summary>Seed of the noise, of the order of examples, of drawn lambdas and of the starts after the first.</summary>
    public long Seed { get; init; }

    /// <summary>Starts, the best of which counts: the first as told or the identity, the others drawn at random.</summary>
    public int Starts { get; init; } = 1;
}

/// <summary>
/// The straight-through search that never looks at the distance of weights (the loss objective of Sinkhorn re-basin, Pena et al.,
/// 2212.12042, with hard permutations forward): logits start at the identity, are rounded to permutations for the loss of the
/// mixture of a and pi(b), and the loss's gradient with respect to the permutation matrices goes straight through the rounding
/// to the doubly stochastic matrices of the logits.
/// </summary>
/// <remarks><see cref="StraightThrough"/>, by contrast, projects by weight matching and so begins at its answer.</remarks>
public static class SinkhornStraightThrough
{
    /// <summary>Searches for the permutations of model b whose merge with model a has the least training loss.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model to permute, of the same architecture and on the same device.</param>
    /// <param name="data">Training examples, on the models' device.</param>
    /// <param name="options">Options; the defaults where none are given.</param>
    /// <param name="start">Where the first start is; the identity where none is given.</param>
    /// <param name="progress">Called at each look at the loss with the share done and the least loss so far.</param>
    /// <returns>The best permutations seen. The objective is the merged model's training loss, at lambda = 1/2, at each look.</returns>
    /// <exception cref="LmcException">
    /// Two architectures, examples that do not fit, an option out of range, or a loss that is not finite; the line names step and lambda.
    /// </exception>
    public static SearchResult Match(
        ParameterSet a, ParameterSet b, DataSplit data, SinkhornStraightThroughOptions? options = null,
        PermutationSet? start = null, Action<double, double>? progress = null)
    {
        options ??= new SinkhornStraightThroughOptions();
        ParameterSet.RequireSameArchitecture(a, b);
        Guard.Require(
            options is { Tau: > 0, Iterations: >= 1, Steps: >= 1, BatchSize: >= 1, CheckEvery: >= 1, CheckOn: >= 1, LearningRate: > 0, Noise: >= 0 },
            $"straight-through: expected tau, iterations, steps, batch size, checks and learning rate above 0 and noise of 0 or more, found {options}");
        MixtureLoss.RequireFit(a, data, options.BatchSize, options.CheckOn);
        WeightMatching.RequireFinite(a, "the reference model");
        WeightMatching.RequireFinite(b, "the model to align");
        return Restarts.Best(
            "straight-through", options.Starts, options.Seed, b.Network, start,
            (from, seed) => Search(a, b, data, options with { Seed = seed }, from, progress),
            found => -found.Objective.Min());
    }

    private static SearchResult Search(
        ParameterSet a, ParameterSet b, DataSplit data, SinkhornStraightThroughOptions options, PermutationSet start,
        Action<double, double>? progress)
    {
        var clock = Stopwatch.StartNew();
        using var scope = NewDisposeScope();
        using var from = start.Apply(b);
        using var mixture = new MixtureLoss(a, data, options.CheckOn);
        var sinkhorn = new SinkhornMatchingOptions
        {
            Tau = options.Tau,
            Iterations = options.Iterations,
            LearningRate = options.LearningRate,
            Noise = options.Noise,
            Seed = options.Seed,
        };
        using var relaxed = new SinkhornMatrices(a.Network, sinkhorn, a.Flat.device);
        for (var step = 0; step <= options.Steps; step++)
        {
            using var inner = NewDisposeScope();
            relaxed.Matrices();
            var hard = relaxed.Round();
            using var moved = hard.Apply(from);
            if (step % options.CheckEvery == 0 || step == options.Steps)
            {
                mixture.Look(hard, moved, step);
                progress?.Invoke((double)step / options.Steps, mixture.Least);
            }

            if (step == options.Steps) break;
            var gradients = mixture.Gradient(moved, options.BatchSize, options.DrawLambda, options.Seed, step);
            Climb(relaxed, Descent(a.Network, gradients, a.Flat), from, hard, step + 1);
        }

        return new SearchResult(
            mixture.Best!.After(start), options.Steps, mixture.Seen, StopReason.SweepLimit, clock.Elapsed.TotalSeconds);
    }

    // The parameters' direction of descent, as parameters.
    private static ParameterSet Descent(Network network, IReadOnlyList<Tensor> gradients, Tensor like)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var flat = zeros_like(like);
        flat.narrow(0, 0, network.LearnedCount).copy_(cat([.. gradients.Select(g => g.flatten())])).neg_();
        return new ParameterSet(network, flat);
    }

    // <descent, P(b)> is linear in each matrix: its gradient at the hard permutations is the loss's, turned round.
    private static void Climb(SinkhornMatrices relaxed, ParameterSet descent, ParameterSet b, PermutationSet hard, int step)
    {
        using var quiet = no_grad();
        using var own = descent;
        var scale = new MatchingScale(descent, b);
        using var objective = new RelaxedObjective(descent, b, scale);
        var (_, slopes, ofPairs) = objective.At([.. hard.Permutations.Select(p => SoftPermutation.Matrix(p, b.Flat.device))], relaxed.PairsAt(hard));
        relaxed.Climb(slopes, ofPairs, scale.Unit, step);
    }
}
