using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Training;

/// <summary>How far a training is, told after each step.</summary>
/// <param name="Epoch">The epoch under way, from 0.</param>
/// <param name="Step">Steps done in it.</param>
/// <param name="Steps">Steps of an epoch.</param>
/// <param name="Loss">Mean training loss of the epoch so far, in nats.</param>
public readonly record struct TrainingProgress(int Epoch, int Step, int Steps, double Loss);

/// <summary>
/// Training by mini-batches, the whole data set in memory. The same seed, device and number of threads give the same bytes,
/// whether in one go or resumed after any epoch.
/// </summary>
public static class Trainer
{
    /// <summary>Trains from a state to the end of the recipe.</summary>
    /// <param name="state">Where to begin; changed in place and owned from now on.</param>
    /// <param name="data">Training examples, on the state's device.</param>
    /// <param name="options">The recipe.</param>
    /// <param name="seed">The seed of the order of examples, but where the recipe says that one is shared: epoch e draws from its own stream.</param>
    /// <param name="epochDone">Called after each epoch with the state, for saving it; what it is given it must not keep.</param>
    /// <param name="progress">Called after each step.</param>
    /// <param name="cancel">Ends the training between steps.</param>
    /// <returns>The state after the last epoch.</returns>
    /// <exception cref="LmcException">
    /// An option is out of range, the data do not fit the network, a batch is too small for its batch norms, or a loss or a parameter is
    /// not finite; the line names epoch and step.
    /// </exception>
    /// <exception cref="OperationCanceledException">The training was cancelled.</exception>
    public static TrainingState Run(
        TrainingState state, DataSplit data, TrainingOptions options, long seed,
        Action<TrainingState>? epochDone = null, Action<TrainingProgress>? progress = null, CancellationToken cancel = default)
    {
        options.Validate();
        var network = state.Parameters.Network;
        Fit.Require(state.Parameters, data, "training");
        var batches = Batches.Cut(network, data.Count, options.BatchSize, "training");
        var leaves = Gradients.Leaves(state.Parameters);
        try
        {
            while (state.Epoch < options.Epochs)
            {
                var score = Epoch(state, leaves, data, batches, options, options.SeedOf(seed, state.Epoch), progress, cancel);
                // The last step's own loss does not see what it did.
                Overflow.Refuse(state.Parameters, $"training stopped after epoch {state.Epoch + 1} (learning rate {options.LearningRate:g4})");
                // Of a training that went on from where none was kept, it stays incomplete.
                state = state with { Epoch = state.Epoch + 1, Curve = state.Curve.Add(score) };
                epochDone?.Invoke(state);
            }

            return state;
        }
        finally
        {
            foreach (var leaf in leaves) leaf.Dispose();
        }
    }

    private static EpochScore Epoch(
        TrainingState state, Tensor[] leaves, DataSplit data, ImmutableArray<Batch> batches, TrainingOptions options, long seed,
        Action<TrainingProgress>? progress, CancellationToken cancel)
    {
        var network = state.Parameters.Network;
        using var epochScope = NewDisposeScope();
        using var generator = Seeds.Generator(seed, "order of examples", state.Epoch);
        using var variation = Seeds.Generator(seed, "augmentation", state.Epoch);
        var order = randperm(data.Count, generator: generator).to(data.Labels.device);
        var steps = batches.Length;
        var (sum, last) = (0.0, 0.0);
        using var right = zeros(1, ScalarType.Int64, data.Labels.device);
        for (var k = 0; k < steps; k++)
        {
            cancel.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var chosen = order.narrow(0, batches[k].Start, batches[k].Count);
            var images = data.Images.index_select(0, chosen);
            if (options.Augmentation == Augmentation.FlipCrop) images = Augmenter.FlipCrop(images, variation);
            var labels = data.Labels.index_select(0, chosen);
            var (loss, gradients) = Gradients.Of(
                network, leaves, images, labels, outputs => right.add_(CrossEntropy.Hits(outputs, labels)), options.Precision);
            var done = (long)state.Epoch * steps + k;
            var rate = options.LearningRate * options.Schedule.Share(done, (long)options.Epochs * steps);
            if (!double.IsFinite(loss))
                throw new LmcException(
                    $"training stopped: expected a finite loss, found {loss} at epoch {state.Epoch + 1}, step {k + 1} (learning rate {rate:g4})");

            using (no_grad()) FusedStep.Apply(state, gradients, options, rate, done + 1);
            (sum, last) = (sum + loss, rate);
            progress?.Invoke(new TrainingProgress(state.Epoch, k + 1, steps, sum / (k + 1)));
        }

        return new EpochScore(sum / steps, right.ToInt64() / ((double)batches.Sum(batch => batch.Count) * data.Labels.numel() / data.Count), last);
    }
}
