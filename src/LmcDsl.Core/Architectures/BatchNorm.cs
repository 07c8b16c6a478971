using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Batch normalisation over the first axis (features, or channels over all positions), with learned scale and shift and
/// running statistics (Ioffe and Szegedy, 1502.03167). All four follow the axis's label.
/// </summary>
public sealed class BatchNorm(
    [AlwaysWritten] double? momentum = 0.1, [AlwaysWritten] double epsilon = 1e-5, bool affine = true, bool trackStatistics = true) : Layer
{
    /// <summary>Weight of the newest batch in the running statistics; null for their mean over all batches seen, each counting alike.</summary>
    public double? Momentum { get; } = momentum;

    /// <summary>Added to the variance.</summary>
    public double Epsilon { get; } = epsilon;

    /// <summary>Whether there are a learned scale and shift.</summary>
    public bool Affine { get; } = affine;

    /// <summary>Whether there are running statistics; without them each batch is normalised by its own, in evaluation too.</summary>
    public bool TrackStatistics { get; } = trackStatistics;

    /// <inheritdoc/>
    public override RunningStatistics? Statistics { get; } = trackStatistics ? new("running_mean", "running_var") : null;

    // Only a mean over all batches needs their number.
    private bool Counts => Statistics is not null && Momentum is null;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(Momentum is null or (>= 0 and <= 1), $"batch norm layer: expected a momentum of 0 to 1 or null, found {Momentum}");
        Guard.Require(inputs[0].Axes.Length >= 1, $"batch norm layer: expected an axis of channels, found none");
        var channels = inputs[0].Axes[0];
        if (Affine)
        {
            wiring.Parameter("weight", ParameterRole.NormWeight, Initializer.Ones, 1, channels);
            wiring.Parameter("bias", ParameterRole.NormBias, Initializer.Zeros, 1, channels);
        }

        if (Statistics is not null)
        {
            wiring.Parameter(Statistics.Mean, ParameterRole.Statistic, Initializer.Zeros, 1, channels);
            wiring.Parameter(Statistics.Variance, ParameterRole.Statistic, Initializer.Ones, 1, channels);
        }

        if (Counts) wiring.Parameter("num_batches_tracked", ParameterRole.Statistic, Initializer.Zeros, 1);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode)
    {
        var (weight, bias) = Affine ? (parameters[0], parameters[1]) : (null, null);
        var training = mode == Mode.Training || Statistics is null;
        // Without statistics of its own Torch is given some that nobody reads.
        var (mean, variance) = Statistics is null
            ? (inputs[0].new_zeros(inputs[0].shape[1]), inputs[0].new_ones(inputs[0].shape[1]))
            : (parameters[Affine ? 2 : 0], parameters[Affine ? 3 : 1]);
        return nn.functional.batch_norm(
            inputs[0], mean, variance, weight!, bias!, training, momentum: training && Counts ? 1 / Count(parameters[parameters.Count - 1]) : Momentum ?? 0,
            eps: Epsilon);
    }

    private static double Count(Tensor batches)
    {
        using var quiet = no_grad();
        return batches.add_(1).ToDouble();
    }
}
