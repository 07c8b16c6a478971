using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Data;

/// <summary>Labelled examples as plain arrays, before they are scaled.</summary>
/// <param name="Shape">Shape of one example: <c>[channels, height, width]</c>.</param>
/// <param name="Values">All examples one after another.</param>
/// <param name="Labels">One label for each example, from 0 on.</param>
/// <param name="Unit">What means and deviations count in: 255 where the values are the bytes of images, else 1.</param>
public sealed record Examples(int[] Shape, float[] Values, long[] Labels, int Unit = 1)
{
    /// <summary>Makes tensors of training and test examples: (value / unit - mean) / deviation, for each channel.</summary>
    /// <param name="name">The data set's name, for messages.</param>
    /// <param name="train">Training examples.</param>
    /// <param name="test">Test examples, of the same shape.</param>
    /// <param name="classes">Number of classes; every label is below it.</param>
    /// <param name="scale">Means and deviations; null for those of the training examples (of a constant channel, deviation 1).</param>
    /// <returns>The data set, on the CPU.</returns>
    /// <exception cref="LmcException">There are no examples, sizes do not fit each other, a value is not finite, or a label is out of range.</exception>
    public static ImageData ToData(string name, Examples train, Examples test, int classes, Scale? scale)
    {
        train.Require(name, "training", train.Shape, classes);
        test.Require(name, "test", train.Shape, classes);
        var scales = Enumerable.Range(0, train.Shape[0]).Select(c => scale?.Of(c) ?? train.Measured(c)).ToArray();
        return new ImageData(train.Tensors(scales), test.Tensors(scales), classes);
    }

    private void Require(string name, string part, int[] shape, int classes)
    {
        Guard.Require(Labels.Length > 0, $"{name}: expected {part} examples, found none");
        Guard.Require(
            Shape.SequenceEqual(shape), $"{name}: expected {part} examples of shape [{string.Join(", ", shape)}], found [{string.Join(", ", Shape)}]");
        var size = Shape.Aggregate(1L, (product, side) => product * side);
        Guard.Require(
            Values.LongLength == size * Labels.Length,
            $"{name}: expected {size} values for each of {Labels.Length} {part} labels, found {Values.LongLength} in all");
        var wild = Array.FindIndex(Values, value => !float.IsFinite(value));
        Guard.Require(wild < 0, $"{name}: expected finite values, found {(wild < 0 ? 0 : Values[wild])} in {part} example {wild / size}");
        var stray = Array.FindIndex(Labels, label => label < 0 || label >= classes);
        Guard.Require(
            stray < 0, $"{name}: expected labels from 0 to {classes - 1}, found {(stray < 0 ? 0 : Labels[stray])} of {part} example {stray}");
    }

    private (double Mean, double Deviation) Measured(int channel)
    {
        var (plane, size) = (Shape[1] * Shape[2], Shape[0] * Shape[1] * Shape[2]);
        double sum = 0, squares = 0;
        for (var i = 0; i < Labels.Length; i++)
            foreach (var value in Values.AsSpan(i * size + channel * plane, plane)) sum += value;
        var mean = sum / ((double)plane * Labels.Length);
        for (var i = 0; i < Labels.Length; i++)
            foreach (var value in Values.AsSpan(i * size + channel * plane, plane)) squares += (value - mean) * (value - mean);
        var deviation = Math.Sqrt(squares / ((double)plane * Labels.Length));
        return (mean / Unit, deviation > 0 ? deviation / Unit : 1);
    }

    private DataSplit Tensors((double Mean, double Deviation)[] scales)
    {
        using var scope = NewDisposeScope();
        var values = tensor(Values).view([Labels.Length, .. Shape.Select(side => (long)side)]);
        for (var c = 0; c < scales.Length; c++) values.select(1, c).div_(Unit * scales[c].Deviation).sub_(scales[c].Mean / scales[c].Deviation);
        return new DataSplit(values, tensor(Labels));
    }
}
