using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Batch normalisation over the first axis (features, or channels over all positions), with learned scale and shift and
/// running statistics (Ioffe and Szegedy, 1502.03167). All four follow the axis's label.
/// </summary>
public sealed class BatchNorm([AlwaysWritten] double momentum = 0.1, [AlwaysWritten] double epsilon = 1e-5) : Layer
{
    /// <summary>Weight of the newest batch in the running statistics.</summary>
    public double Momentum { get; } = momentum;

    /// <summary>Added to the variance.</summary>
    public double Epsilon { get; } = epsilon;

    /// <inheritdoc/>
    public override RunningStatistics? Statistics { get; } = new("running_mean", "running_var");

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var channels = inputs[0].Axes[0];
        Guard.Require(
            channels.Block == 1,
            $"batch norm layer: expected an axis of channels, found a flattened one; put the norm before the flatten");
        wiring.Parameter("weight", ParameterRole.NormWeight, Initializer.Ones, 1, channels);
        wiring.Parameter("bias", ParameterRole.NormBias, Initializer.Zeros, 1, channels);
        wiring.Parameter("running_mean", ParameterRole.Statistic, Initializer.Zeros, 1, channels);
        wiring.Parameter("running_var", ParameterRole.Statistic, Initializer.Ones, 1, channels);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        nn.functional.batch_norm(
            inputs[0], parameters[2], parameters[3], parameters[0], parameters[1],
            training: mode == Mode.Training, momentum: Momentum, eps: Epsilon);
}
