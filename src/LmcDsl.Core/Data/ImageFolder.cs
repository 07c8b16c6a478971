using LmcDsl.Core.Runtime;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;

namespace LmcDsl.Core.Data;

/// <summary>Pictures in folders, one folder for each class: PNG, JPEG, BMP, GIF, TGA, TIFF and WebP, by ImageSharp.</summary>
public static class ImageFolder
{
    private static readonly string[] Endings = [".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tga", ".tif", ".tiff", ".webp"];

    /// <summary>The classes of a folder: the names of its folders, in ordinal order.</summary>
    /// <param name="folder">The folder.</param>
    /// <returns>Their names.</returns>
    public static string[] Classes(string folder) =>
        [.. Directory.GetDirectories(folder).Select(path => Path.GetFileName(path)!).Where(name => !name.StartsWith('.')).Order(StringComparer.Ordinal)];

    /// <summary>The pictures of a class, in ordinal order of their names.</summary>
    /// <param name="folder">The folder of all classes.</param>
    /// <param name="name">The class.</param>
    /// <returns>Their paths.</returns>
    public static string[] Pictures(string folder, string name) =>
    [
        .. Directory.GetFiles(Path.Combine(folder, name))
            .Where(path => Endings.Contains(Path.GetExtension(path).ToLowerInvariant()))
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>Reads pictures, all of one size.</summary>
    /// <param name="pictures">The path and the label of each.</param>
    /// <param name="channels">1 for grey, 3 for colour.</param>
    /// <returns>Their bytes, counted in units of 255.</returns>
    /// <exception cref="LmcException">A file is no picture, or differs in size from the first; the line names it.</exception>
    public static Examples Read(IReadOnlyList<(string Path, long Label)> pictures, int channels)
    {
        int[] shape = [];
        float[] values = [];
        for (var i = 0; i < pictures.Count; i++)
        {
            using var image = Load(pictures[i].Path);
            if (i == 0)
            {
                shape = [channels, image.Height, image.Width];
                var total = (long)pictures.Count * channels * image.Height * image.Width;
                Guard.Require(total <= Array.MaxLength, $"{pictures[0].Path}: expected pictures of at most {Array.MaxLength} values in all, found {total}");
                values = new float[total];
            }

            Guard.Require(
                image.Height == shape[1] && image.Width == shape[2],
                $"{pictures[i].Path}: expected a picture of {shape[2]} x {shape[1]} as the others, found {image.Width} x {image.Height}");
            Write(image, values.AsSpan(i * channels * shape[1] * shape[2], channels * shape[1] * shape[2]), channels);
        }

        return new Examples(shape, values, [.. pictures.Select(p => p.Label)], Unit: 255);
    }

    /// <summary>Shape of a picture as it would be read: <c>[channels, height, width]</c>.</summary>
    /// <param name="path">The file.</param>
    /// <param name="channels">1 for grey, 3 for colour.</param>
    /// <returns>The shape.</returns>
    public static int[] ShapeOf(string path, int channels)
    {
        using var image = Load(path);
        return [channels, image.Height, image.Width];
    }

    private static void Write(Image<Rgb24> image, Span<float> target, int channels)
    {
        var plane = image.Width * image.Height;
        for (var y = 0; y < image.Height; y++)
            for (var x = 0; x < image.Width; x++)
            {
                var (pixel, at) = (image[x, y], y * image.Width + x);
                if (channels == 1)
                {
                    // Luma of ITU-R BT.601, as PIL's conversion to grey: the same for a picture that is grey already.
                    target[at] = 19595 * pixel.R + 38470 * pixel.G + 7471 * pixel.B + 0x8000 >> 16;
                    continue;
                }

                (target[at], target[plane + at], target[2 * plane + at]) = (pixel.R, pixel.G, pixel.B);
            }
    }

    private static Image<Rgb24> Load(string path)
    {
        try
        {
            return Image.Load<Rgb24>(path);
        }
        catch (Exception error) when (error is ImageFormatException or InvalidImageContentException or NotSupportedException)
        {
            throw new LmcException($"{path}: expected a picture, found a damaged file or something else: {error.Message.Split('\n')[0].Trim()}", error);
        }
    }
}
