using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Group normalisation with one group (Wu and He, 1803.08494; layer normalisation of images, as LMC papers use it in
/// place of batch norm): mean and variance over channels and positions, learned scale and shift for each channel. More
/// groups would let only permutations within a group pass, and are refused.
/// </summary>
/// <param name="Groups">Must be 1.</param>
/// <param name="Epsilon">Added to the variance.</param>
public sealed record GroupNorm(int Groups = 1, double Epsilon = 1e-5) : Layer
{
    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(Groups == 1, $"group norm layer: expected 1 group (others are not supported), found {Groups}");
        var (channels, _, _) = Image.Of("group norm layer", inputs[0]);
        wiring.Parameter("weight", ParameterRole.NormWeight, Initializer.Ones, 1, channels);
        wiring.Parameter("bias", ParameterRole.NormBias, Initializer.Zeros, 1, channels);
        return inputs[0];
    }

    /// <inheritdoc/>
    public override Tensor Forward(ReadOnlySpan<Tensor> parameters, ReadOnlySpan<Tensor> inputs, Mode mode) =>
        nn.functional.group_norm(inputs[0], Groups, parameters[0], parameters[1], Epsilon);
}
