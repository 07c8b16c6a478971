using System.Diagnostics;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using LmcDsl.Core.Training;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>Options of the straight-through search.</summary>
public sealed record StraightThroughOptions
{
    /// <summary>Steps of the search, one batch each.</summary>
    public int Steps { get; init; } = 500;

    /// <summary>Examples in one step.</summary>
    public int BatchSize { get; init; } = 500;

    /// <summary>Adam's learning rate for the free copy of the parameters.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Whether the share of model a is drawn anew, uniformly from 0 to 1, at each step; else it is 1/2.</summary>
    public bool DrawLambda { get; init; }

    /// <summary>Steps between two looks at the training loss of the merged model, by which the best permutation is kept.</summary>
    public int CheckEvery { get; init; } = 25;

    /// <summary>Training examples, from the first on, that the loss is looked at on.</summary>
    public int CheckOn { get; init; } = 5_000;

    /// <summary>Seed of the order of examples, of drawn lambdas, of the matchings and of the starts after the first.</summary>
    public long Seed { get; init; }

    /// <summary>Starts, the best of which counts: the first as told or the identity, the others drawn at random.</summary>
    public int Starts { get; init; } = 1;
}

/// <summary>
/// The straight-through estimator (Git Re-Basin, 2209.04836, algorithm 2): find the permutation for which the merged model's
/// loss is least. A free copy of the parameters, at first model a's, is projected to the nearest permutation of model b by
/// weight matching, warm from the last one; the loss of the mixture of a and that hard permutation is differentiated, and
/// the gradient goes straight through the projection to the free copy.
/// </summary>
public static class StraightThrough
{
    // Of one projection. Nearly always the first pass changes nothing.
    private const int MaxSweeps = 1000;

    /// <summary>Searches for the permutations of model b whose merge with model a has the least training loss.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model to permute, of the same architecture and on the same device.</param>
    /// <param name="data">Training examples, on the models' device.</param>
    /// <param name="options">Options; the defaults where none are given.</param>
    /// <param name="start">Where the first projection starts; the identity where none is given.</param>
    /// <param name="progress">Called at each look at the loss with the share done and the least loss so far.</param>
    /// <returns>
    /// The best permutations seen. The objective is the merged model's training loss, at lambda = 1/2, at each look; the first
    /// one is that of weight matching.
    /// </returns>
    /// <exception cref="LmcException">
    /// Two architectures, examples that do not fit, an option out of range, or a loss that is not finite; the line names step and lambda.
    /// </exception>
    public static SearchResult Match(
        ParameterSet a, ParameterSet b, DataSplit data, StraightThroughOptions? options = null,
        PermutationSet? start = null, Action<double, double>? progress = null)
    {
        options ??= new StraightThroughOptions();
        ParameterSet.RequireSameArchitecture(a, b);
        Guard.Require(
            options is { Steps: >= 1, BatchSize: >= 1, CheckEvery: >= 1, CheckOn: >= 1, LearningRate: > 0 },
            $"straight-through: expected steps, batch size, checks and learning rate above 0, found {options}");
        MixtureLoss.RequireFit(a, data, options.BatchSize, options.CheckOn);
        WeightMatching.RequireFinite(a, "the reference model");
        WeightMatching.RequireFinite(b, "the model to align");
        return Restarts.Best(
            "straight-through", options.Starts, options.Seed, b.Network, start,
            (from, seed) => Search(a, b, data, options with { Seed = seed }, from, progress),
            found => -found.Objective.Min());
    }

    private static SearchResult Search(
        ParameterSet a, ParameterSet b, DataSplit data, StraightThroughOptions options, PermutationSet start,
        Action<double, double>? progress)
    {
        var clock = Stopwatch.StartNew();
        using var scope = NewDisposeScope();
        using var state = new TrainingState(a.Clone(), zeros_like(a.Learned()), zeros_like(a.Learned()), 0);
        using var mixture = new MixtureLoss(a, data, options.CheckOn);
        using var moved = start.Apply(b);
        using var descent = new CoordinateDescent(state.Parameters, moved, start);
        var order = Seeds.Random(options.Seed, "order of groups");
        for (var step = 0; step <= options.Steps; step++)
        {
            using (no_grad()) descent.Run(order, MaxSweeps);
            if (step % options.CheckEvery == 0 || step == options.Steps)
            {
                mixture.Look(descent.Found, descent.Moved, step);
                progress?.Invoke((double)step / options.Steps, mixture.Least);
            }

            if (step == options.Steps) break;
            Move(state, mixture, descent.Moved, options, step);
            descent.ReferenceChanged();
        }

        return new SearchResult(mixture.Best!, options.Steps, mixture.Seen, StopReason.SweepLimit, clock.Elapsed.TotalSeconds);
    }

    // One step of the free copy down the gradient of the mixture's loss on a batch.
    private static void Move(
        TrainingState free, MixtureLoss mixture, ParameterSet moved, StraightThroughOptions options, int step)
    {
        using var scope = NewDisposeScope();
        var gradients = mixture.Gradient(moved, options.BatchSize, options.DrawLambda, options.Seed, step);
        using var quiet = no_grad();
        FusedStep.Apply(free, gradients, new TrainingOptions { LearningRate = options.LearningRate }, options.LearningRate, step + 1);
    }
}
