using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Data;

/// <summary>Labelled examples, all in memory: images or other numbers with a label each, or text with a label at each position.</summary>
public sealed class DataSplit : IDisposable
{
    /// <summary>Takes the tensors.</summary>
    /// <param name="images">float32 <c>[count, channels, height, width]</c>, normalised, or tokens, int64 <c>[count, positions]</c>; owned from now on.</param>
    /// <param name="labels">int64 <c>[count]</c>, or <c>[count, positions]</c>; owned from now on.</param>
    /// <exception cref="LmcException">The two differ in number.</exception>
    public DataSplit(Tensor images, Tensor labels)
    {
        Guard.Require(
            images.shape[0] == labels.shape[0],
            $"data: expected a label for each image, found {images.shape[0]} images and {labels.shape[0]} labels");
        Images = images.DetachFromDisposeScope();
        Labels = labels.DetachFromDisposeScope();
    }

    /// <summary>float32 <c>[count, channels, height, width]</c>, normalised; or tokens, int64 <c>[count, positions]</c>.</summary>
    public Tensor Images { get; }

    /// <summary>int64 <c>[count]</c>, 0 to classes - 1; or the next token at each position, <c>[count, positions]</c>.</summary>
    public Tensor Labels { get; }

    /// <summary>Number of examples.</summary>
    public long Count => Labels.shape[0];

    /// <summary>A copy on another device, or on the same.</summary>
    /// <param name="device">The device.</param>
    /// <returns>The copy.</returns>
    public DataSplit To(Device device) => new(Images.to(device, copy: true), Labels.to(device, copy: true));

    /// <summary>A copy of the first so many examples.</summary>
    /// <param name="count">How many, 0 to <see cref="Count"/>.</param>
    /// <returns>The copy.</returns>
    public DataSplit First(long count)
    {
        using var scope = NewDisposeScope();
        return new DataSplit(Images.narrow(0, 0, count).clone(), Labels.narrow(0, 0, count).clone());
    }

    /// <summary>Frees the tensors.</summary>
    public void Dispose()
    {
        Images.Dispose();
        Labels.Dispose();
    }
}
