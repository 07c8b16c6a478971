using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Group normalisation with one group (Wu and He, 1803.08494; layer normalisation of images, as LMC papers use it in
/// place of batch norm): mean and variance over channels and positions, learned scale and shift for each channel. More
/// groups would let only permutations within a group pass, and are refused.
/// </summary>
public sealed class GroupNorm([AlwaysWritten] int groups = 1, [AlwaysWritten] double epsilon = 1e-5, bool affine = true) : Layer
{
    /// <summary>Must be 1.</summary>
    public int Groups { get; } = groups;

    /// <summary>Added to the variance.</summary>
    public double Epsilon { get; } = epsilon;

    /// <summary>Whether there are a learned scale and shift for each channel.</summary>
    public bool Affine { get; } = affine;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(Groups == 1, $"group norm layer: expected 1 group (others are not supported), found {Groups}");
        var (channels, _, _) = Image.Of("group norm layer", inputs[0]);
        if (!Affine) return inputs[0];
        wiring.Parameter("weight", ParameterRole.NormWeight, Initializer.Ones, 1, channels);
        wiring.Parameter("bias", ParameterRole.NormBias, Initializer.Zeros, 1, channels);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        nn.functional.group_norm(inputs[0], Groups, Affine ? parameters[0] : null, Affine ? parameters[1] : null, Epsilon);
}
