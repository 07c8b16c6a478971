using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Group normalisation (Wu and He, 1803.08494): mean and variance over each group's channels and all positions, learned scale and
/// shift for each channel. With one group it is layer normalisation of images, as LMC papers use it in place of batch norm. Groups
/// move as wholes, and channels have an order of their own within each.
/// </summary>
public sealed class GroupNorm([AlwaysWritten] int groups = 1, [AlwaysWritten] double epsilon = 1e-5, bool affine = true) : Layer
{
    /// <summary>Into how many groups channels are parted.</summary>
    public int Groups { get; } = groups;

    /// <summary>Added to the variance.</summary>
    public double Epsilon { get; } = epsilon;

    /// <summary>Whether there are a learned scale and shift for each channel.</summary>
    public bool Affine { get; } = affine;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var (channels, _, _) = Image.Of("group norm layer", inputs[0]);
        Guard.Require(
            Groups >= 1 && channels.Size % Groups == 0,
            $"group norm layer: expected groups that divide {channels.Size} channels, found {Groups}");
        if (Groups > 1) wiring.Through(wiring.Split(channels, Groups).Copies);
        if (!Affine) return inputs[0];
        wiring.Parameter("weight", ParameterRole.NormWeight, Initializer.Ones, 1, channels);
        wiring.Parameter("bias", ParameterRole.NormBias, Initializer.Zeros, 1, channels);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        nn.functional.group_norm(inputs[0], Groups, Affine ? parameters[0] : null, Affine ? parameters[1] : null, Epsilon);
}
