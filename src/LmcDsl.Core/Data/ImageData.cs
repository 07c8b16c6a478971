using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Data;

/// <summary>Images as bytes, before normalisation.</summary>
/// <param name="Shape">Shape of one image: <c>[channels, height, width]</c>.</param>
/// <param name="Pixels">All images one after another, 0 to 255.</param>
/// <param name="Labels">One label for each image.</param>
public sealed record RawImages(int[] Shape, byte[] Pixels, byte[] Labels)
{
    /// <summary>Number of images.</summary>
    public int Count => Labels.Length;
}

/// <summary>Inputs less a mean, over a deviation: <c>(value - mean) / deviation</c>.</summary>
/// <param name="Means">One for each channel, or one for all; of images in units of 255.</param>
/// <param name="Deviations">As many, above 0.</param>
public sealed record Scale(IReadOnlyList<double> Means, IReadOnlyList<double> Deviations)
{
    internal (double Mean, double Deviation) Of(int channel) =>
        (Means[Means.Count == 1 ? 0 : channel], Deviations[Deviations.Count == 1 ? 0 : channel]);
}

/// <summary>A data set for classification: training and test examples, normalised alike.</summary>
/// <param name="Train">The training examples.</param>
/// <param name="Test">The test examples.</param>
/// <param name="Classes">Number of classes.</param>
public sealed record ImageData(DataSplit Train, DataSplit Test, int Classes) : IDisposable
{
    /// <summary>
    /// Makes tensors of bytes: (pixel/255 - mean) / deviation, both given, or taken for each channel over all training images
    /// (from the histogram of the bytes, so exact and the same everywhere).
    /// </summary>
    /// <param name="train">Training images.</param>
    /// <param name="test">Test images, of the same shape.</param>
    /// <param name="classes">Number of classes; every label is below it.</param>
    /// <param name="scale">Means and deviations; null for those of the training images.</param>
    /// <returns>The data set, on the CPU.</returns>
    /// <exception cref="LmcException">The two differ in shape, a label is out of range, or a channel is constant.</exception>
    public static ImageData Normalise(RawImages train, RawImages test, int classes, Scale? scale = null)
    {
        Guard.Require(
            train.Shape.SequenceEqual(test.Shape),
            $"data: expected test images of the training images' shape [{string.Join(", ", train.Shape)}], found [{string.Join(", ", test.Shape)}]");
        var scales = Enumerable.Range(0, train.Shape[0]).Select(c => scale?.Of(c) ?? Measured(train, c)).ToArray();
        return new ImageData(Tensors(train, scales, classes), Tensors(test, scales, classes), classes);
    }

    /// <summary>A copy of the first so many examples of each split.</summary>
    /// <param name="train">Training examples, 1 or more.</param>
    /// <param name="test">Test examples, 1 or more.</param>
    /// <returns>The copy; normalised by the statistics of the whole.</returns>
    /// <exception cref="LmcException">Fewer than 1 is asked for, or more than there are.</exception>
    public ImageData First(int train, int test)
    {
        Guard.Require(
            train >= 1 && train <= Train.Count && test >= 1 && test <= Test.Count,
            $"data: expected a part of 1 to {Train.Count} training and 1 to {Test.Count} test images, found {train} and {test}");
        return new ImageData(Train.First(train), Test.First(test), Classes);
    }

    /// <summary>A copy on another device.</summary>
    /// <param name="device">The device.</param>
    /// <returns>The copy.</returns>
    public ImageData To(Device device) => new(Train.To(device), Test.To(device), Classes);

    /// <summary>Frees the tensors.</summary>
    public void Dispose()
    {
        Train.Dispose();
        Test.Dispose();
    }

    private static (double Mean, double Deviation) Measured(RawImages images, int channel)
    {
        var plane = images.Shape[1] * images.Shape[2];
        var histogram = new long[256];
        for (var i = 0; i < images.Count; i++)
            foreach (var pixel in images.Pixels.AsSpan((i * images.Shape[0] + channel) * plane, plane)) histogram[pixel]++;
        var count = (double)images.Count * plane;
        var mean = histogram.Select((times, value) => times * (value / 255.0)).Sum() / count;
        var variance = histogram.Select((times, value) => times * Math.Pow(value / 255.0 - mean, 2)).Sum() / count;
        Guard.Require(variance > 0, $"data: expected images that vary, found channel {channel} constant");
        return (mean, Math.Sqrt(variance));
    }

    private static DataSplit Tensors(RawImages images, (double Mean, double Deviation)[] scales, int classes)
    {
        foreach (var label in images.Labels)
            Guard.Require(label < classes, $"data: expected labels below {classes}, found {label}");
        using var scope = NewDisposeScope();
        var pixels = tensor(images.Pixels, ScalarType.Byte).to(ScalarType.Float32)
            .view([images.Count, .. images.Shape.Select(s => (long)s)]);
        for (var c = 0; c < scales.Length; c++)
            pixels.select(1, c).div_(255 * scales[c].Deviation).sub_(scales[c].Mean / scales[c].Deviation);
        return new DataSplit(pixels, tensor(images.Labels, ScalarType.Byte).to(ScalarType.Int64));
    }
}
