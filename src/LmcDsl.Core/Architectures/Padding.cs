using System.Text.Json.Serialization;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>What stands beyond an image's edge.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<PaddingMode>))]
public enum PaddingMode
{
    /// <summary>Zeros.</summary>
    Zeros,

    /// <summary>The image mirrored at its outermost positions.</summary>
    Reflect,

    /// <summary>The outermost positions again.</summary>
    Replicate,

    /// <summary>The opposite side of the image.</summary>
    Circular,
}

/// <summary>Padding of images by anything but zeros.</summary>
internal static class Padding
{
    /// <summary>Requires an image to be large enough for a mode: it cannot mirror more than it has.</summary>
    /// <exception cref="LmcException">It is not.</exception>
    public static void Require(string layer, PaddingMode mode, int padding, params int[] sides)
    {
        var most = mode switch
        {
            PaddingMode.Reflect => sides.Min() - 1,
            PaddingMode.Circular => sides.Min(),
            _ => int.MaxValue,
        };
        Guard.Require(
            padding <= most, $"{layer}: expected {mode.ToString().ToLowerInvariant()} padding of at most {most}, found {padding}");
    }

    /// <summary>The images with their padding around them.</summary>
    public static Tensor Apply(Tensor images, PaddingMode mode, int padding)
    {
        long[] around = [.. Enumerable.Repeat((long)padding, 2 * ((int)images.dim() - 2))];
        return nn.functional.pad(images, around, mode switch
        {
            PaddingMode.Reflect => PaddingModes.Reflect,
            PaddingMode.Replicate => PaddingModes.Replicate,
            PaddingMode.Circular => PaddingModes.Circular,
            _ => PaddingModes.Zeros,
        });
    }
}
