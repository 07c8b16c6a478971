using static TorchSharp.torch;

namespace LmcDsl.Core.Measures;

/// <summary>
/// The loss of all tasks: cross-entropy of logits <c>[batch, classes]</c> with labels <c>[batch]</c>, or of
/// <c>[batch, positions, classes]</c> with <c>[batch, positions]</c>, where each position counts. In nats.
/// </summary>
internal static class CrossEntropy
{
    /// <summary>The mean over labels.</summary>
    /// <param name="logits">The logits.</param>
    /// <param name="labels">The labels, int64.</param>
    /// <returns>A tensor of one element.</returns>
    public static Tensor Mean(Tensor logits, Tensor labels) => nn.functional.cross_entropy(Rows(logits), labels.flatten());

    /// <summary>The sum over labels.</summary>
    /// <param name="logits">The logits.</param>
    /// <param name="labels">The labels, int64.</param>
    /// <returns>A tensor of one element.</returns>
    public static Tensor Sum(Tensor logits, Tensor labels) =>
        nn.functional.cross_entropy(Rows(logits), labels.flatten(), reduction: nn.Reduction.Sum);

    /// <summary>How many labels have the largest logit.</summary>
    /// <param name="logits">The logits.</param>
    /// <param name="labels">The labels, int64.</param>
    /// <returns>The number.</returns>
    public static long Correct(Tensor logits, Tensor labels) => Hits(logits, labels).ToInt64();

    /// <summary>The same, as a tensor of one whole number: nobody waits for it.</summary>
    /// <param name="logits">The logits.</param>
    /// <param name="labels">The labels, int64.</param>
    /// <returns>The tensor.</returns>
    public static Tensor Hits(Tensor logits, Tensor labels) => Rows(logits).argmax(1).eq(labels.flatten()).sum();

    private static Tensor Rows(Tensor logits) => logits.dim() == 2 ? logits : logits.flatten(0, -2);
}
