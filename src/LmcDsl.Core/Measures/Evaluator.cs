using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using static TorchSharp.torch;

namespace LmcDsl.Core.Measures;

/// <summary>How a model does on a set of examples.</summary>
/// <param name="Loss">Mean cross-entropy, in nats.</param>
/// <param name="Accuracy">Share of examples whose largest logit is the label's, 0 to 1.</param>
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
    public static Score Evaluate(ParameterSet parameters, DataSplit split, int batch = DefaultBatch) =>
        Evaluate(
            (start, length) => parameters.Network.Forward(parameters.Views, split.Images.narrow(0, start, length)), split, batch);

    /// <summary>Scores whatever gives the logits of the examples from a start on.</summary>
    internal static Score Evaluate(Func<long, long, Tensor> logitsOf, DataSplit split, int batch = DefaultBatch)
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
            loss += nn.functional.cross_entropy(logits, labels, reduction: nn.Reduction.Sum).ToDouble();
            correct += (logits.argmax(1) == labels).sum().ToInt64();
        }

        return new Score(loss / split.Count, (double)correct / split.Count);
    }
}
