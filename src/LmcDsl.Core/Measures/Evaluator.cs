using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Measures;

/// <summary>How a model does on a set of examples.</summary>
/// <param name="Loss">Mean cross-entropy, in nats; of text, for each token.</param>
/// <param name="Accuracy">Share of labels that have the largest logit, 0 to 1: of examples, or of their positions.</param>
public readonly record struct Score(double Loss, double Accuracy);

/// <summary>Runs a model over a set of examples, without gradients.</summary>
public static class Evaluator
{
    /// <summary>Examples in one forward pass. Small enough for the activations to stay in the caches.</summary>
    public const int DefaultBatch = 1000;

    /// <summary>Scores a model.</summary>
    /// <param name="parameters">The model.</param>
    /// <param name="split">The examples, on the model's device.</param>
    /// <param name="batch">Examples in one forward pass.</param>
    /// <returns>Its loss and accuracy over all examples.</returns>
    /// <exception cref="LmcException">
    /// The examples do not fit the network, the batch is below 1, or the model gives NaN or infinity; the line names the layer.
    /// </exception>
    public static Score Evaluate(ParameterSet parameters, DataSplit split, int batch = DefaultBatch)
    {
        Fit.Require(parameters, split, "evaluation");
        Guard.Require(batch >= 1, $"evaluation: expected a batch of 1 or more, found {batch}");
        return Evaluate(
            (start, length) => parameters.Network.Forward(parameters.Views, split.Images.narrow(0, start, length)),
            parameters, split, batch);
    }

    /// <summary>Scores whatever gives the logits of the examples from a start on, for the model that it is of.</summary>
    internal static Score Evaluate(
        Func<long, long, Tensor> logitsOf, ParameterSet model, DataSplit split, int batch = DefaultBatch)
    {
        using var quiet = inference_mode();
        var loss = 0.0;
        var correct = 0L;
        for (var start = 0L; start < split.Count; start += batch)
        {
            using var scope = NewDisposeScope();
            var length = Math.Min(batch, split.Count - start);
            var labels = split.Labels.narrow(0, start, length);
            var logits = logitsOf(start, length);
            loss += SumOf(logits, labels, () => Overflow.In(model, split.Images.narrow(0, start, length)));
            correct += CrossEntropy.Correct(logits, labels);
        }

        var count = split.Labels.numel();
        return new Score(loss / count, (double)correct / count);
    }

    // Without a finite loss there is no accuracy either: the largest of NaN is none. Finite logits always have a loss, if not in float.
    private static double SumOf(Tensor logits, Tensor labels, Func<string> whatOverflowed)
    {
        var sum = CrossEntropy.Sum(logits, labels).ToDouble();
        if (double.IsFinite(sum)) return sum;
        sum = CrossEntropy.Sum(logits.to(ScalarType.Float64), labels).ToDouble();
        return double.IsFinite(sum) ? sum : throw new LmcException($"evaluation: expected finite logits, found {whatOverflowed()}");
    }
}
