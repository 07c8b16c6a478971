using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>Reading and making signals of the shape <c>[channels, height, width]</c>.</summary>
internal static class Image
{
    public static (Axis Channels, int Height, int Width) Of(string layer, Signal signal)
    {
        Guard.Require(
            signal.Axes.Length == 3,
            $"{layer}: expected an image [channels, height, width], found a shape of {Guard.Show(signal.Shape)}");
        return (signal.Axes[0], signal.Axes[1].Size, signal.Axes[2].Size);
    }

    public static Signal Signal(Wiring wiring, string layer, Axis channels, int height, int width)
    {
        Guard.Require(
            height >= 1 && width >= 1, $"{layer}: expected an image that is large enough, found one that shrinks to {height} x {width}");
        Sizes.Product($"{layer}: numbers of one image", channels.Size, height, width);
        return new Signal([channels, wiring.Fixed(height), wiring.Fixed(width)]);
    }
}
