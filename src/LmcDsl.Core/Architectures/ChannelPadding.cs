using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// Adds channels of zeros before and after an image's own: the shortcut without parameters of residual networks (option A of He
/// et al., 1512.03385, section 3.3).
/// </summary>
public sealed class ChannelPadding(int before, int after) : Layer
{
    /// <summary>Channels of zeros before the image's own.</summary>
    public int Before { get; } = before;

    /// <summary>Channels of zeros after the image's own.</summary>
    public int After { get; } = after;

    /// <inheritdoc/>
    public override Signal Wire(Wiring wiring, IReadOnlyList<Signal> inputs)
    {
        Guard.Require(
            Before >= 0 && After >= 0, $"channel padding layer: expected 0 or more channels, found {Before} and {After}");
        var (channels, height, width) = Image.Placed(wiring, "channel padding layer", inputs[0]);
        // Zeros are the same in any order.
        Axis[] before = Before == 0 ? [] : [wiring.Fresh(Before)], after = After == 0 ? [] : [wiring.Fresh(After)];
        return Image.Signal(wiring, "channel padding layer", wiring.Concatenation([.. before, channels, .. after]), height, width);
    }

    /// <inheritdoc/>
    public override Tensor Forward(IReadOnlyList<Tensor> parameters, IReadOnlyList<Tensor> inputs, Mode mode) =>
        nn.functional.pad(inputs[0], [0L, 0, 0, 0, Before, After]);
}
