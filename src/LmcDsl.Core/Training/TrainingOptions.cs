using System.Text.Json.Serialization;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Training;

/// <summary>How gradients become steps.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(Sgd), "sgd")]
[JsonDerivedType(typeof(Adam), "adam")]
[JsonDerivedType(typeof(AdamW), "adamW")]
public abstract record Optimizer;

/// <summary>Stochastic gradient descent with momentum: <c>m = momentum m + g; p -= rate m</c> (PyTorch's form).</summary>
/// <param name="Momentum">0 or above, below 1.</param>
public sealed record Sgd(double Momentum = 0.9) : Optimizer;

/// <summary>Adam (Kingma and Ba, 1412.6980, algorithm 1) with bias correction.</summary>
/// <param name="Beta1">Decay of the first moment.</param>
/// <param name="Beta2">Decay of the second moment.</param>
/// <param name="Epsilon">Added to the root of the second moment.</param>
public sealed record Adam(double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-8) : Optimizer;

/// <summary>
/// Adam with decoupled weight decay (Loshchilov and Hutter, 1711.05101, algorithm 2): <c>p *= 1 - rate WeightDecay</c> at each step, in
/// place of a penalty's gradient that the moments would scale.
/// </summary>
/// <param name="Beta1">Decay of the first moment.</param>
/// <param name="Beta2">Decay of the second moment.</param>
/// <param name="Epsilon">Added to the root of the second moment.</param>
public sealed record AdamW(double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-8) : Optimizer
{
    internal Adam Moments => new(Beta1, Beta2, Epsilon);
}

/// <summary>
/// What models of several seeds have in common before they part: the first parameters, and the order and variation of the examples of the
/// first epochs (Frankle et al., 1912.05671: linear mode connectivity by the epoch of parting).
/// </summary>
/// <param name="Seed">The seed of all that is shared.</param>
/// <param name="Epochs">Epochs that are shared, 0 or more; with 0 the first parameters alone are.</param>
public sealed record SharedStart(long Seed, int Epochs);

/// <summary>The recipe of a training, but for data, network and seed.</summary>
public sealed record TrainingOptions
{
    /// <summary>Passes over the training data.</summary>
    public int Epochs { get; init; } = 10;

    /// <summary>Examples in one step; the last step of an epoch takes what is left.</summary>
    public int BatchSize { get; init; } = 128;

    /// <summary>Peak learning rate; the schedule multiplies it.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>
    /// The L2 penalty's coefficient: <c>g += WeightDecay p</c> before the optimiser, for every learned parameter; of <see cref="AdamW"/>
    /// the decay itself.
    /// </summary>
    public double WeightDecay { get; init; }

    /// <summary>The optimiser.</summary>
    public Optimizer Optimizer { get; init; } = new Adam();

    /// <summary>How the learning rate moves over the training.</summary>
    public Schedule Schedule { get; init; } = new Constant();

    /// <summary>How training images are varied.</summary>
    public Augmentation Augmentation { get; init; }

    /// <summary>In which numbers linear layers multiply.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public Precision Precision { get; init; }

    /// <summary>What models of other seeds have in common with this one; nothing where none is given.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SharedStart? Shared { get; init; }

    /// <summary>The seed of the first parameters.</summary>
    /// <param name="own">The model's own seed.</param>
    /// <returns>That, or the shared one.</returns>
    public long FirstSeed(long own) => Shared?.Seed ?? own;

    /// <summary>The seed of an epoch's order of examples and their variation.</summary>
    /// <param name="own">The model's own seed.</param>
    /// <param name="epoch">The epoch, from 0.</param>
    /// <returns>That, or the shared one.</returns>
    public long SeedOf(long own, int epoch) => Shared is not null && epoch < Shared.Epochs ? Shared.Seed : own;

    /// <summary>Requires every field to be in range.</summary>
    /// <exception cref="LmcException">A field is out of range; the line names it.</exception>
    public void Validate()
    {
        Guard.Require(Epochs >= 1, $"epochs: expected 1 or more, found {Epochs}");
        Guard.Require(BatchSize >= 1, $"batch size: expected 1 or more, found {BatchSize}");
        Guard.Require(
            double.IsFinite(LearningRate) && LearningRate > 0, $"learning rate: expected a number above 0, found {LearningRate}");
        Guard.Require(
            double.IsFinite(WeightDecay) && WeightDecay >= 0, $"weight decay: expected 0 or above, found {WeightDecay}");
        switch (Optimizer)
        {
            case Sgd sgd:
                Guard.Require(sgd.Momentum is >= 0 and < 1, $"momentum: expected 0 or above and below 1, found {sgd.Momentum}");
                break;
            case Adam adam:
                RequireMoments("adam", adam);
                break;
            case AdamW adam:
                RequireMoments("adamW", adam.Moments);
                break;
        }

        Guard.Require(Shared is null or { Epochs: >= 0 }, $"shared epochs: expected 0 or more, found {Shared?.Epochs}");

        Schedule.Validate();
    }

    private static void RequireMoments(string name, Adam adam) => Guard.Require(
        adam is { Beta1: >= 0 and < 1, Beta2: >= 0 and < 1, Epsilon: > 0 },
        $"{name}: expected betas of 0 or above and below 1 and an epsilon above 0, found {adam.Beta1}, {adam.Beta2}, {adam.Epsilon}");
}
