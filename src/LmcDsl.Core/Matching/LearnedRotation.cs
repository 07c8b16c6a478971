using System.Collections.Immutable;
using System.Diagnostics;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using LmcDsl.Core.Training;
using LmcDsl.Core.Symmetries;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>Options of learned rotations.</summary>
public sealed record LearnedRotationOptions
{
    /// <summary>Steps, one batch each.</summary>
    public int Steps { get; init; } = 300;

    /// <summary>Examples in one step.</summary>
    public int BatchSize { get; init; } = 32;

    /// <summary>Adam's learning rate for angles and exponents; it falls to 0 by a cosine.</summary>
    public double LearningRate { get; init; } = 1e-2;

    /// <summary>The share of model a is drawn anew at each step, uniformly within this distance from 1/2.</summary>
    public double Spread { get; init; } = 0.1;

    /// <summary>Steps between two looks at the loss of the merged model, by which the best rotation is kept.</summary>
    public int CheckEvery { get; init; } = 50;

    /// <summary>Training examples, from the first on, that the loss is looked at on.</summary>
    public int CheckOn { get; init; } = 500;

    /// <summary>Seed of the batches and shares.</summary>
    public long Seed { get; init; }

    /// <summary>
    /// Whether what is within heads is learned too: queries with keys, values with outputs, each by a matrix of its own.
    /// </summary>
    public bool WithinHeads { get; init; } = true;

    /// <summary>How the permutations and the first rotations are found.</summary>
    public RotatedMatchingOptions Matching { get; init; } = new();

    /// <summary>
    /// Whether they are found twice, with <see cref="RotatedMatchingOptions.Normalised"/> as <see cref="Matching"/> has it and the other way,
    /// and those are taken whose merged model has the lower loss. Which of the two is better depends on the network.
    /// </summary>
    public bool BestStart { get; init; } = true;
}

/// <summary>
/// Rotations learned on the loss (in the manner of 2506.22712, section 4.2): permutations stay as weight matching found them; the rotation of
/// the residual stream, and the matrices within heads, go on from there (<see cref="LearnedTurn"/>), down the loss of mixtures of the two
/// models. Needs training examples, and gradients of a few hundred batches. Symmetries go far: what comes out is often further from the
/// reference in L2, with singular vectors less aligned, than what it began from.
/// </summary>
public static class LearnedRotation
{
    /// <summary>Searches for the transformation of model b whose mixtures with model a have the least training loss.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model to transform, of the same architecture and on the same device.</param>
    /// <param name="data">Training examples, on the models' device.</param>
    /// <param name="options">Options; the defaults where none are given.</param>
    /// <param name="progress">Called at each look with the share done and the least loss so far.</param>
    /// <returns>
    /// The transformation, for <see cref="RotatedMatching.Apply"/>. The objective is the training loss halfway between the models at each
    /// look; the first is that of weight matching. Of networks in which nothing can be rotated it is weight matching's answer.
    /// </returns>
    /// <exception cref="LmcException">
    /// Two architectures, examples that do not fit, an option out of range, or a loss that is not finite; the line names the step.
    /// </exception>
    public static SearchResult Match(
        ParameterSet a, ParameterSet b, DataSplit data, LearnedRotationOptions? options = null, Action<double, double>? progress = null)
    {
        options ??= new LearnedRotationOptions();
        Guard.Require(
            options is { Steps: >= 1, BatchSize: >= 1, CheckEvery: >= 1, CheckOn: >= 1, LearningRate: > 0, Spread: >= 0 and <= 0.5 },
            $"learned rotation: expected steps, batch size, checks and learning rate above 0 and a spread of 0 to 0.5, found {options}");
        MixtureLoss.RequireFit(a, data, options.BatchSize, options.CheckOn);
        var clock = Stopwatch.StartNew();
        using var scope = NewDisposeScope();
        using var check = data.First(Math.Min(options.CheckOn, data.Count));
        var (matched, learner) = Start(a, b, options, check);
        using var start = matched.Transformation!;
        using var owned = learner;
        var objective = ImmutableArray.CreateBuilder<double>();
        var (best, least) = (learner.Angles.clone(), double.PositiveInfinity);
        var (first, second) = (zeros_like(best), zeros_like(best));
        for (var step = 0; step <= options.Steps; step++)
        {
            if (step % options.CheckEvery == 0 || step == options.Steps)
            {
                var loss = learner.Loss(check);
                Guard.Require(double.IsFinite(loss), $"learned rotation: expected a finite loss, found {loss} at step {step}");
                objective.Add(loss);
                if (loss < least) (best, least) = (learner.Angles.clone(), loss);
                progress?.Invoke((double)step / options.Steps, least);
            }

            if (step == options.Steps || best.numel() == 0) break;
            Step(learner, data, options, step, first, second);
        }

        return matched with
        {
            Sweeps = options.Steps,
            Objective = objective.ToImmutable(),
            Stopped = StopReason.SweepLimit,
            Seconds = clock.Elapsed.TotalSeconds,
            Transformation = learner.Found(best),
        };
    }

    // Weight matching's answer, and what learns from there.
    private static (SearchResult Matched, RotationLearner Learner) Start(
        ParameterSet a, ParameterSet b, LearnedRotationOptions options, DataSplit check)
    {
        (SearchResult Matched, RotationLearner Learner) By(RotatedMatchingOptions matching)
        {
            var found = RotatedMatching.Match(a, b, matching);
            return (found, new RotationLearner(a, b, found.Transformation!, options.WithinHeads));
        }

        var one = By(options.Matching);
        if (!options.BestStart) return one;
        var other = By(options.Matching with { Normalised = !options.Matching.Normalised });
        // What is not finite is told by the first look at it.
        var (better, worse) = other.Learner.Loss(check) < one.Learner.Loss(check) ? (other, one) : (one, other);
        worse.Learner.Dispose();
        worse.Matched.Transformation!.Dispose();
        return better;
    }

    // One step of the angles down the loss of a mixture on a batch.
    private static void Step(RotationLearner learner, DataSplit data, LearnedRotationOptions options, int step, Tensor first, Tensor second)
    {
        using var scope = NewDisposeScope();
        using var generator = Seeds.Generator(options.Seed, "learned rotation", step);
        var lambda = 0.5 + options.Spread * (2 * rand(1, generator: generator).ToDouble() - 1);
        var chosen = randint(data.Count, [Math.Min(options.BatchSize, data.Count)], generator: generator).to(data.Labels.device);
        var (loss, gradient) = learner.Gradient(data.Images.index_select(0, chosen), data.Labels.index_select(0, chosen), lambda);
        Guard.Require(
            double.IsFinite(loss), $"learned rotation: expected a finite loss, found {loss} at step {step + 1}, lambda = {lambda:g4}");
        using var quiet = no_grad();
        var rate = options.LearningRate * new Cosine().Share(step, options.Steps);
        FusedStep.ByMoments(learner.Angles, first, second, gradient, new Adam(), rate, step + 1);
    }
}
