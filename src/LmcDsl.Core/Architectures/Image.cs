using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>Reading and making signals of the shape <c>[channels, height, width]</c>.</summary>
internal static class Image
{
    /// <summary>An image whose places stay where they are, as whatever reads windows of them needs.</summary>
    public static (Axis Channels, int Height, int Width) Placed(Wiring wiring, string layer, Signal signal)
    {
        var image = Of(layer, signal);
        foreach (var axis in signal.Axes.Skip(1)) wiring.Fix(axis);
        return image;
    }

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
