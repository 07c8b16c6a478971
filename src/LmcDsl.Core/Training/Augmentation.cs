using System.Text.Json.Serialization;
using static TorchSharp.torch;

namespace LmcDsl.Core.Training;

/// <summary>How training images are varied.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Augmentation>))]
public enum Augmentation
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>
    /// Mirrored left to right with probability 1/2, then moved by up to 4 pixels each way, zeros moving in: the crop of the
    /// image's own size out of the image padded by 4 (He et al., 1512.03385, section 4.2).
    /// </summary>
    FlipCrop,
}

/// <summary>Varies a batch of images.</summary>
internal static class Augmenter
{
    private const int Reach = 4;

    /// <summary>Flips and crops each image of a batch by draws of its own.</summary>
    /// <param name="images">float32 <c>[batch, channels, height, width]</c>; left as it is.</param>
    /// <param name="generator">The source of chance, on the CPU.</param>
    /// <returns>A new tensor of the same shape, in the caller's dispose scope.</returns>
    public static Tensor FlipCrop(Tensor images, Generator generator)
    {
        long batch = images.shape[0], height = images.shape[2], width = images.shape[3];
        var wide = width + 2 * Reach;
        var down = randint(2 * Reach + 1, [batch, 1, 1], generator: generator);
        var across = randint(2 * Reach + 1, [batch, 1, 1], generator: generator);
        var mirrored = randint(2, [batch, 1, 1], generator: generator);

        var x = arange(width).view(1, 1, width);
        var column = across + x + mirrored * (width - 1 - 2 * x);
        var row = down + arange(height).view(1, height, 1);
        var entry = (row * wide + column).view(batch, 1, height * width).to(images.device);
        var padded = nn.functional.pad(images, (Reach, Reach, Reach, Reach)).flatten(2);
        return padded.gather(2, entry.expand(batch, images.shape[1], height * width)).view(images.shape);
    }
}
