using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Checkpoints;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>
/// An ONNX file as a checkpoint: the parameters of the network that it is, under the network's names, the way round that the network has
/// them.
/// </summary>
internal sealed class OnnxSource : TensorSource
{
    private readonly OnnxModel model;

    public OnnxSource(string path, string? output = null, IReadOnlyList<int>? open = null)
    {
        model = OnnxModel.Read(path, output, open);
        var network = new Network(model.Architecture);
        Entries = [.. network.Parameters.Select(spec => new TensorEntry(spec.Name, StoredType.Parse(model.Stored[spec.Name].Tensor.Stored, spec.Name), [.. spec.Shape]))];
        foreach (var spec in network.Parameters)
        {
            var (tensor, transposed) = model.Stored[spec.Name];
            tensor.Require(transposed ? [.. spec.Shape.Reverse()] : spec.Shape);
        }
    }

    /// <summary>The network.</summary>
    public Architecture Architecture => model.Architecture;

    public override string Path => model.File;

    public override ImmutableArray<TensorEntry> Entries { get; }

    public override IReadOnlyDictionary<string, string> Metadata => ImmutableDictionary<string, string>.Empty;

    public override void Dispose()
    {
    }

    /// <summary>Writes the same graph with other numbers.</summary>
    /// <param name="stream">Where to write.</param>
    /// <param name="numbers">What each entry's numbers become, of its shape and type.</param>
    public void Write(Stream stream, Func<TensorEntry, Tensor> numbers)
    {
        // A tensor that the graph calls by several names is written once.
        var written = new Dictionary<string, Func<Tensor>>();
        foreach (var entry in Entries)
        {
            var (tensor, transposed) = model.Stored[entry.Name];
            written[tensor.Name] = () => transposed ? numbers(entry).t().contiguous() : numbers(entry).contiguous();
        }

        OnnxWriter.Write(stream, Path, written);
    }

    protected override Tensor Read(int index)
    {
        var (tensor, transposed) = model.Stored[Entries[index].Name];
        var numbers = tensor.Load(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(Path))!);
        return (transposed ? numbers.t() : numbers).contiguous();
    }
}
