using System.Collections.Immutable;
using System.Diagnostics;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Measures;
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

    /// <summary>Seed of the order of examples, of drawn lambdas and of the matchings.</summary>
    public long Seed { get; init; }
}

/// <summary>
/// The straight-through estimator (Git Re-Basin, 2209.04836, algorithm 3): find the permutation for which the merged model's
/// loss is least. A free copy of the parameters, at first model a's, is projected to the nearest permutation of model b by
/// weight matching, warm from the last one; the loss of the mixture of a and that hard permutation is differentiated, and
/// the gradient goes straight through the projection to the free copy.
/// </summary>
public static class StraightThrough
{
    /// <summary>Searches for the permutations of model b whose merge with model a has the least training loss.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model to permute, of the same architecture and on the same device.</param>
    /// <param name="data">Training examples, on the models' device.</param>
    /// <param name="options">Options; the defaults where none are given.</param>
    /// <param name="progress">Called at each look at the loss with the share done and the least loss so far.</param>
    /// <returns>
    /// The best permutations seen. The objective is the merged model's training loss, at lambda = 1/2, at each look; the first
    /// one is that of weight matching.
    /// </returns>
    /// <exception cref="LmcException">Two architectures, an option out of range, or a loss that is not finite.</exception>
    public static SearchResult Match(
        ParameterSet a, ParameterSet b, DataSplit data, StraightThroughOptions? options = null,
        Action<double, double>? progress = null)
    {
        options ??= new StraightThroughOptions();
        ParameterSet.RequireSameArchitecture(a, b);
        Guard.Require(
            options is { Steps: >= 1, BatchSize: >= 1, CheckEvery: >= 1, CheckOn: >= 1, LearningRate: > 0 },
            $"straight-through: expected steps, batch size, checks and learning rate above 0, found {options}");
        var clock = Stopwatch.StartNew();
        using var scope = NewDisposeScope();
        using var state = new TrainingState(a.Clone(), zeros_like(a.Learned()), zeros_like(a.Learned()), 0);
        using var mixed = a.Clone();
        using var check = new DataSplit(
            data.Images.narrow(0, 0, Math.Min(options.CheckOn, data.Count)), data.Labels.narrow(0, 0, Math.Min(options.CheckOn, data.Count)));
        var search = new Search(a, b, state, mixed, data, options);
        var current = PermutationSet.Identity(b.Network);
        var (best, least) = (current, double.PositiveInfinity);
        var losses = ImmutableArray.CreateBuilder<double>();
        for (var step = 0; step <= options.Steps; step++)
        {
            current = search.Project(current, step);
            if (step % options.CheckEvery == 0 || step == options.Steps)
            {
                losses.Add(search.LossOf(current, check));
                if (losses[^1] < least) (best, least) = (current, losses[^1]);
                progress?.Invoke((double)step / options.Steps, least);
            }

            if (step < options.Steps) search.Move(current, step);
        }

        return new SearchResult(best, options.Steps, losses.ToImmutable(), StopReason.SweepLimit, clock.Elapsed.TotalSeconds);
    }

    private sealed class Search(
        ParameterSet a, ParameterSet b, TrainingState free, ParameterSet mixed, DataSplit data, StraightThroughOptions options)
    {
        private readonly TrainingOptions optimiser = new() { LearningRate = options.LearningRate };

        public PermutationSet Project(PermutationSet from, int step) =>
            WeightMatching.Match(
                free.Parameters, b, new WeightMatchingOptions { Seed = Seeds.Derive(options.Seed, "matching", step) }, from).Permutations;

        public double LossOf(PermutationSet permutations, DataSplit examples)
        {
            Mix(permutations, 0.5);
            return Evaluator.Evaluate(mixed, examples).Loss;
        }

        public void Move(PermutationSet permutations, int step)
        {
            using var scope = NewDisposeScope();
            using var generator = Seeds.Generator(options.Seed, "examples and lambda", step);
            var lambda = options.DrawLambda ? rand(1, generator: generator).ToDouble() : 0.5;
            Mix(permutations, lambda);
            var chosen = randint(data.Count, [Math.Min(options.BatchSize, data.Count)], generator: generator).to(data.Labels.device);
            var (loss, gradients) = Gradients.Of(
                mixed, data.Images.index_select(0, chosen), data.Labels.index_select(0, chosen));
            if (!double.IsFinite(loss))
                throw new LmcException($"straight-through: expected a finite loss, found {loss} at step {step + 1}");
            // The mixture holds 1 - lambda of the free copy.
            using var quiet = no_grad();
            foreach (var gradient in gradients) gradient.mul_(1 - lambda);
            FusedStep.Apply(free, gradients, optimiser, options.LearningRate, step + 1);
        }

        private void Mix(PermutationSet permutations, double lambda)
        {
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            using var moved = permutations.Apply(b);
            mixed.Flat.copy_(moved.Flat).lerp_(a.Flat, lambda);
        }
    }
}
