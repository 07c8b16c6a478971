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
        using var quiet = no_grad();
        var written = new Dictionary<string, Func<Tensor>>(); // by the names of the file's tensors
        var split = new Dictionary<string, (string Of, Func<Tensor> Numbers)>(); // by the names that the graph gives back
        foreach (var same in Entries.GroupBy(entry => model.Stored[entry.Name].Tensor.Name))
        {
            TensorEntry[] entries = [.. same.OrderBy(entry => model.Stored[entry.Name].Tensor.Alias is null ? 0 : 1)];
            written[same.Key] = Of(entries[0]);
            // Equal numbers are stored once, and called by several names; what became of them may differ.
            foreach (var entry in entries.Skip(1).Where(entry => !AreEqual(Of(entries[0]), Of(entry))))
            {
                var alias = model.Stored[entry.Name].Tensor.Alias;
                Guard.Require(
                    alias is not null,
                    $"{Path}: tensor '{same.Key}': expected one order of its units, found '{entries[0].Name}' and '{entry.Name}', which read it and whose units are permuted apart; save the two under names of their own");
                split[alias!] = (same.Key, Of(entry));
            }
        }

        OnnxWriter.Write(stream, Path, written, split);

        Func<Tensor> Of(TensorEntry entry) =>
            () => model.Stored[entry.Name].Transposed ? numbers(entry).t().contiguous() : numbers(entry).contiguous();
    }

    private static bool AreEqual(Func<Tensor> left, Func<Tensor> right)
    {
        using var scope = NewDisposeScope();
        return left().bytes.SequenceEqual(right().bytes);
    }

    protected override Tensor Read(int index)
    {
        var (tensor, transposed) = model.Stored[Entries[index].Name];
        var numbers = tensor.Load(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(Path))!);
        return (transposed ? numbers.t() : numbers).contiguous();
    }
}
