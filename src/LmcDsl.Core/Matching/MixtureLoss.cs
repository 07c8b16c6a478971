using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Merging;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using LmcDsl.Core.Training;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>The training loss of mixtures of a reference and a permuted model, which the straight-through searches lower.</summary>
internal sealed class MixtureLoss : IDisposable
{
    private readonly List<double> seen = [];
    private readonly ParameterSet a;
    private readonly ParameterSet mixed;
    private readonly DataSplit data;
    private readonly DataSplit check;

    /// <summary>Takes the reference and the data; neither is copied or owned.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="data">Training examples, on its device.</param>
    /// <param name="checkOn">How many of them <see cref="Look"/> reads, from the first on.</param>
    public MixtureLoss(ParameterSet a, DataSplit data, int checkOn)
    {
        (this.a, this.data) = (a, data);
        mixed = a.Clone();
        var examples = Math.Min(checkOn, data.Count);
        check = new DataSplit(data.Images.narrow(0, 0, examples), data.Labels.narrow(0, 0, examples));
    }

    /// <summary>Requires examples that fit, and batches that batch norm has a deviation on.</summary>
    /// <param name="model">A model of the network, on the examples' device.</param>
    /// <param name="data">Training examples.</param>
    /// <param name="batch">Examples of a step.</param>
    /// <param name="checkOn">Examples of a look.</param>
    /// <exception cref="LmcException">They do not fit, or are too few.</exception>
    public static void RequireFit(ParameterSet model, DataSplit data, int batch, int checkOn)
    {
        Fit.Require(model, data, "straight-through");
        Batches.Require(model.Network, Math.Min(batch, data.Count), "straight-through");
        Batches.Require(model.Network, Math.Min(checkOn, data.Count), "straight-through, look at the loss");
    }

    /// <summary>The losses that <see cref="Look"/> saw, in order.</summary>
    public ImmutableArray<double> Seen => [.. seen];

    /// <summary>The least of them.</summary>
    public double Least { get; private set; } = double.PositiveInfinity;

    /// <summary>The permutations with the least loss seen.</summary>
    public PermutationSet? Best { get; private set; }

    /// <summary>
    /// Looks at the loss halfway between the reference and a permuted model, batch-norm statistics recomputed, and keeps the
    /// permutations where it is the least so far.
    /// </summary>
    /// <param name="found">The permutations.</param>
    /// <param name="moved">The model that they gave.</param>
    /// <param name="step">Which step it is at, for messages.</param>
    /// <exception cref="LmcException">The loss is not finite: there is no least among such.</exception>
    public void Look(PermutationSet found, ParameterSet moved, int step)
    {
        Mix(moved, 0.5);
        seen.Add(Guard.Within($"straight-through at step {step}, lambda = 0.5", () =>
        {
            StatisticsReset.Apply(mixed, check, (int)check.Count); // of networks with batch norm; else nothing
            return Evaluator.Evaluate(mixed, check).Loss;
        }));
        if (Best is null || seen[^1] < Least) (Best, Least) = (found, seen[^1]);
    }

    /// <summary>The gradient of a batch's loss with respect to the permuted model's part of the mixture.</summary>
    /// <param name="moved">The permuted model.</param>
    /// <param name="batch">Examples in the batch.</param>
    /// <param name="drawLambda">Whether the share of the reference is drawn, uniformly from 0 to 1; else it is 1/2.</param>
    /// <param name="seed">Seed of the batch and the share.</param>
    /// <param name="step">Which step it is, from 0.</param>
    /// <returns>One gradient for each learned parameter, in the caller's dispose scope.</returns>
    /// <exception cref="LmcException">The loss is not finite.</exception>
    public IReadOnlyList<Tensor> Gradient(ParameterSet moved, int batch, bool drawLambda, long seed, int step)
    {
        using var generator = Seeds.Generator(seed, "examples and lambda", step);
        var lambda = drawLambda ? rand(1, generator: generator).ToDouble() : 0.5;
        Mix(moved, lambda);
        var chosen = randint(data.Count, [Math.Min(batch, data.Count)], generator: generator).to(data.Labels.device);
        var images = data.Images.index_select(0, chosen);
        var (loss, gradients) = Gradients.Of(mixed, images, data.Labels.index_select(0, chosen));
        Guard.Require(
            double.IsFinite(loss),
            $"straight-through: expected a finite loss, found {loss} at step {step + 1}, lambda = {lambda:g4}: {Overflow.In(mixed, images, Mode.Training)}");
        using var quiet = no_grad();
        foreach (var gradient in gradients) gradient.mul_(1 - lambda);
        return gradients;
    }

    /// <summary>Frees the mixture.</summary>
    public void Dispose()
    {
        mixed.Dispose();
        check.Dispose();
    }

    private void Mix(ParameterSet moved, double lambda)
    {
        using var quiet = no_grad();
        mixed.Flat.copy_(moved.Flat).lerp_(a.Flat, lambda);
    }
}
