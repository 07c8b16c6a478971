using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Takes an image's places as positions: <c>[channels, height, width]</c> to <c>[height * width, channels]</c>, row by row. After a
/// convolution whose stride is its kernel the positions are patches (2010.11929).
/// </summary>
public sealed class Sequence : Layer
{
    /// <inheritdoc/>
    public override SymmetryClass Commutes => SymmetryClass.Invertible;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        var axes = inputs[0].Axes;
        Guard.Require(axes.Length == 3, $"sequence layer: expected channels, height and width, found a shape of {Guard.Show(inputs[0].Shape)}");
        return Signal.Of(wiring.Product(axes[1], axes[2]), axes[0]);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        inputs[0].flatten(2).transpose(1, 2);
}
