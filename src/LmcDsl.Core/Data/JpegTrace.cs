using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Data;

/// <summary>
/// Whether images once went through JPEG, told from the images themselves. JPEG rounds the cosine transform of each 8x8 block of the
/// luminance, high frequencies most: within those blocks they then have less energy than within blocks displaced by half their side,
/// which the images' content does not tell apart.
/// </summary>
public static class JpegTrace
{
    /// <summary>The share of energy below which images are held to have gone through JPEG; untouched images are near 1.</summary>
    public const double Threshold = 0.7;

    private const int Side = 8;
    private const int HighFrom = 9; // frequencies u + v from here on, of 0 to 14
    private const int Most = 2_000;

    /// <summary>The energy of high frequencies within JPEG's blocks, as a share of that within displaced ones.</summary>
    /// <param name="images">Images of 1 or 3 channels; the first 2,000 are looked at.</param>
    /// <returns>About 1 where JPEG did nothing, near 0 where it did much; 1 where images have no such energy, or no room for a displaced block.</returns>
    public static double Share(RawImages images)
    {
        int channels = images.Shape[0], height = images.Shape[1], width = images.Shape[2];
        if (channels is not (1 or 3) || height < 2 * Side || width < 2 * Side) return 1;
        using var scope = NewDisposeScope();
        var count = Math.Min(Most, images.Count);
        var pixels = tensor(images.Pixels.AsSpan(0, count * channels * height * width).ToArray(), ScalarType.Byte)
            .to(ScalarType.Float32).view(count, channels, height, width);
        var luminance = channels == 1
            ? pixels.select(1, 0)
            : 0.299 * pixels.select(1, 0) + 0.587 * pixels.select(1, 1) + 0.114 * pixels.select(1, 2);
        var (inBlocks, displaced) = (HighEnergy(luminance, 0), HighEnergy(luminance, Side / 2));
        return displaced > 0 ? inBlocks / displaced : 1;
    }

    /// <summary>Whether they went through JPEG.</summary>
    /// <param name="images">The images.</param>
    /// <returns>Whether <see cref="Share"/> is below <see cref="Threshold"/>.</returns>
    public static bool IsIn(RawImages images) => Share(images) < Threshold;

    // Mean square of the high coefficients of all whole blocks from an offset on.
    private static double HighEnergy(Tensor luminance, int offset)
    {
        long rows = (luminance.shape[1] - offset) / Side * Side, columns = (luminance.shape[2] - offset) / Side * Side;
        var blocks = luminance.narrow(1, offset, rows).narrow(2, offset, columns).unfold(1, Side, Side).unfold(2, Side, Side);
        var transform = Cosines();
        var coefficients = transform.matmul(blocks.contiguous()).matmul(transform.t());
        var frequency = arange(Side);
        var isHigh = frequency.unsqueeze(1) + frequency >= HighFrom;
        return (coefficients.square() * isHigh).sum().ToDouble() / (coefficients.numel() / (Side * Side));
    }

    // The orthogonal matrix of the cosine transform, frequencies by rows.
    private static Tensor Cosines()
    {
        var frequency = arange(Side, ScalarType.Float32).unsqueeze(1);
        var place = arange(Side, ScalarType.Float32) + 0.5;
        var rows = (frequency * place * (Math.PI / Side)).cos() * Math.Sqrt(2.0 / Side);
        return where(frequency == 0, rows / Math.Sqrt(2), rows);
    }
}
