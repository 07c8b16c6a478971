using LmcDsl.Core.Architectures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>
/// A value of a graph, for one example: a constant, a tensor of the file that the network has as a parameter, or what a layer gives.
/// </summary>
/// <param name="Name">What the graph calls it.</param>
/// <param name="Shape">Its shape in the graph, the batch being 1.</param>
internal sealed record GraphValue(string Name, long[] Shape)
{
    /// <summary>The numbers of a constant.</summary>
    public Tensor? Constant { get; init; }

    /// <summary>The tensor that is a parameter.</summary>
    public OnnxTensor? Parameter { get; init; }

    /// <summary>The layer that gives it.</summary>
    public string? Node { get; init; }

    /// <summary>
    /// Whether the graph's first axis is the batch and so no axis of the signal. Where it is not, as after a batch and windows were joined,
    /// the signal has all of the graph's axes.
    /// </summary>
    public bool Lead { get; init; }

    /// <summary>Where the batch stands among the graph's axes, as far as it is known.</summary>
    public BatchPlace? Batch { get; init; }

    /// <summary>What made it, where a layer did.</summary>
    public (Layer Layer, GraphValue[] Inputs)? From { get; init; }

    /// <summary>Its numbers' type, as far as it is known.</summary>
    public ScalarType Type { get; init; } = ScalarType.Float32;

    /// <summary>Number of the graph's axes.</summary>
    public int Rank => Shape.Length;

    /// <summary>The shape of the signal.</summary>
    public long[] SignalShape => Lead ? Shape[1..] : Shape;

    /// <summary>Whether examples differ in it.</summary>
    public bool IsSignal => Node is not null;

    /// <summary>Number of entries.</summary>
    public long Count => Shape.Aggregate(1L, (product, size) => product * size);
}
