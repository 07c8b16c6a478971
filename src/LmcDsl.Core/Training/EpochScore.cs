namespace LmcDsl.Core.Training;

/// <summary>
/// What an epoch of a training came to. Taken from the batches as they are learned from, so it costs nothing: the model is a better one at
/// the epoch's end than these say, and images are varied where the recipe varies them.
/// </summary>
/// <param name="Loss">Mean training loss over the epoch's steps, in nats.</param>
/// <param name="Accuracy">Share of the epoch's examples that were classified rightly before the step that learned from them.</param>
/// <param name="LearningRate">Learning rate of its last step.</param>
public readonly record struct EpochScore(double Loss, double Accuracy, double LearningRate);
