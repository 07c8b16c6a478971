using Google.Protobuf;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Checkpoints;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>
/// A network read from an ONNX file (opset 7 to 28) into the language of layers, with its numbers. Layers are called by the names that
/// their weights have in the file, which are the checkpoint's where the export kept them; in PyTorch by
/// <c>training=TrainingMode.PRESERVE, do_constant_folding=False</c>.
/// </summary>
public sealed class OnnxModel
{
    private static readonly int[] UsualSizes = [16, 64, 224, 256, 512]; // of tokens and of images

    private const long MostConstant = 1 << 22; // numbers of a mask, beside as many as the file has bytes

    private readonly string path;
    private readonly string? output;
    private readonly IReadOnlyList<int>? open;
    private string[] others = []; // outputs of the graph that are none of the network's
    private readonly Dictionary<string, (OnnxTensor Tensor, bool Transposed)> stored;
    private readonly Dictionary<string, OnnxTensor> constants;

    private OnnxModel(
        string path, string? output, IReadOnlyList<int>? open, Architecture architecture, OnnxGraph graph)
    {
        (this.path, this.output, this.open, stored, constants) = (path, output, open, graph.Stored, graph.Fixed);
        Architecture = architecture;
    }

    /// <summary>The network.</summary>
    public Architecture Architecture { get; }

    /// <summary>Whether the export gave weights numbers in the place of their names.</summary>
    public bool LostNames => stored.Values.Any(tensor => LayerNames.IsLost(tensor.Tensor.Name));

    /// <summary>What was found again of names that the export lost, in words; empty where nothing was looked for.</summary>
    public string Found { get; private init; } = "";

    /// <summary>The sizes that were taken where the file leaves them open and none were given; null where nothing was taken.</summary>
    public IReadOnlyList<int>? TakenSizes { get; private init; }

    /// <summary>The names of the graph's outputs, all of which are the network's and stay what they are; the first one is what it gives.</summary>
    public IReadOnlyList<string> Outputs { get; private init; } = [];

    /// <summary>The two lines by which an export keeps the names of the state dict.</summary>
    public static string ExportLines =>
        "model.eval(); torch.onnx.export(model, example, \"model.onnx\", training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False) (with dynamo=True: optimize=False in place of both)";

    // Where a file beside it may hold numbers.
    private string Folder => Path.GetDirectoryName(Path.GetFullPath(path))!;

    /// <summary>The file.</summary>
    public string File => path;

    /// <summary>The tensor of each parameter, by the parameter's name, and whether it lies the other way round there.</summary>
    internal IReadOnlyDictionary<string, (OnnxTensor Tensor, bool Transposed)> Stored => stored;

    /// <summary>Reads a file's graph. Numbers are read when they are asked for.</summary>
    /// <param name="path">The file.</param>
    /// <param name="output">
    /// Which of its outputs is the network's, where the others may change; where none is named, all are, and the first is what it gives.
    /// </param>
    /// <param name="open">
    /// Sizes after the batch that the file leaves open, such as a sequence's length, in their order; the last of them for all that follow.
    /// Where none are given, usual ones by which the graph can be read: symmetries do not depend on them.
    /// </param>
    /// <returns>The model.</returns>
    /// <exception cref="LmcException">
    /// There is no such file, it is no ONNX model, or an operator in it has no rule: the line names the node.
    /// </exception>
    public static OnnxModel Read(string path, string? output = null, IReadOnlyList<int>? open = null) => Of(path, output, open, null, null);

    /// <summary>
    /// The same file's network under the names of a checkpoint that it was exported from, where the export lost them: weights are found by
    /// their numbers, norms that were folded into weights stand by themselves again.
    /// </summary>
    /// <param name="checkpoint">The checkpoint; it must stay open while the model's numbers are loaded, which are the checkpoint's then.</param>
    /// <param name="rename">How its names become the network's; where none is given, without wrappers.</param>
    /// <returns>The model.</returns>
    /// <exception cref="LmcException">
    /// The graph has numbers that are not the checkpoint's, or numbers leave several ways: the line names the node.
    /// </exception>
    public OnnxModel Named(TensorSource checkpoint, Func<string, string>? rename = null) => Of(path, output, open, checkpoint, rename);

    private static OnnxModel Of(string path, string? output, IReadOnlyList<int>? open, TensorSource? checkpoint, Func<string, string>? rename)
    {
        try
        {
            InputFile.Require(path, "an ONNX model");
            using var file = System.IO.File.OpenRead(path);
            using var quiet = no_grad();
            using var scope = NewDisposeScope();
            var (proto, folder) = (OnnxProto.Read(file), Path.GetDirectoryName(Path.GetFullPath(path))!);
            using var search = checkpoint is null ? null : new NameSearch(proto, folder, checkpoint, rename);
            var found = search?.Run() ?? "";
            var (graph, architecture, sizes) = Import(proto, folder, MostConstant + file.Length, Path.GetFileNameWithoutExtension(path), output, open);
            var missing = search?.Required.Where(name => !graph.Stored.ContainsKey(name)).ToArray() ?? [];
            Guard.Require(
                missing.Length == 0, $"expected every tensor of {checkpoint?.Path} in the graph, found none that is {Excerpt.Of(missing, 5)} ({found})");
            string[] outputs = [.. proto.Outputs.Select(known => known.Name)];
            return new OnnxModel(path, output, sizes, architecture, graph)
            {
                Found = found,
                TakenSizes = open is null ? sizes : null,
                Outputs = output is null ? outputs : [output],
                others = output is null ? [] : [.. outputs.Where(other => other != output)],
            };
        }
        catch (InvalidProtocolBufferException error)
        {
            throw new LmcException($"{path}: expected an ONNX model, found something else: {error.Message.ReplaceLineEndings(" ")}", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new LmcException($"{path}: cannot be read: {error.Message.ReplaceLineEndings(" ")}", error);
        }
        catch (LmcException error) when (!error.Message.StartsWith(path, StringComparison.Ordinal))
        {
            throw new LmcException($"{path}: {error.Message}", error);
        }
    }

    /// <summary>
    /// An output of the file that is none of the network's and that a permutation of the network's units changes, since it reads units that the
    /// network's output lets move, or gives them: a file with its numbers moved would not be the same model.
    /// </summary>
    /// <param name="model">The file's numbers, as the network has them.</param>
    /// <param name="seed">Seed of the permutation and of the input.</param>
    /// <returns>The output's name; null where all stay.</returns>
    public string? ChangedOutput(ParameterSet model, long seed = 0)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        using var moved = PermutationSet.Random(model.Network, seed).Apply(model);
        var own = model.Network.Parameters.Select((spec, k) => (spec.Name, k)).ToDictionary(p => p.Name, p => p.k);
        foreach (var other in others)
        {
            var read = Read(path, other, open);
            var network = new Network(read.Architecture);
            using var generator = Seeds.Generator(seed, "other outputs");
            var input = randn([2, .. network.Architecture.Input.Select(size => (long)size)], generator: generator).mul(10).round();
            using var plain = read.Load(network);
            using var changed = plain.Clone();
            foreach (var (spec, view) in network.Parameters.Zip(changed.Views))
                if (own.TryGetValue(spec.Name, out var place)) view.copy_(moved.Views[place]);
            var (before, after) = (network.Forward(plain.Views, input), network.Forward(changed.Views, input));
            if (!((before - after).abs().max().ToDouble() <= SymmetryCheck.Tolerance * Math.Max(1e-2, before.abs().max().ToDouble()))) return other;
        }

        return null;
    }

    /// <summary>The names of the file's tensors whose numbers are a part of the network, such as masks and indices.</summary>
    public IEnumerable<string> Constants => constants.Keys;

    /// <summary>
    /// Requires a checkpoint to have the numbers that became constants of the network, such as masks and indices, where it has tensors of
    /// those names: with others it is a model of another network.
    /// </summary>
    /// <param name="placement">The open checkpoint.</param>
    /// <param name="names">How its names become the network's.</param>
    /// <exception cref="LmcException">A tensor has other numbers; the line names it.</exception>
    public void RequireConstants(Placement placement, NameMap names)
    {
        using var quiet = no_grad();
        var source = placement.Source;
        if (source is OnnxSource) return;
        foreach (var entry in source.Entries)
        {
            var name = entry.Name.StartsWith(placement.Prefix, StringComparison.Ordinal) ? entry.Name[placement.Prefix.Length..] : entry.Name;
            if (!constants.TryGetValue(names.Apply(name), out var constant) && !constants.TryGetValue(name, out constant)) continue;
            using var scope = NewDisposeScope();
            if (!AreEqual(constant.Load(Folder), source.Read(entry.Name))) throw OfAnother(source.Path, entry.Name);
        }
    }

    /// <summary>Requires another file's graph to have the same constants, where it has tensors of those names.</summary>
    /// <param name="other">The other file's model.</param>
    /// <exception cref="LmcException">A tensor has other numbers; the line names it.</exception>
    public void RequireConstants(OnnxModel other)
    {
        if (OtherConstant(other) is { } name) throw OfAnother(other.path, name);
    }

    private LmcException OfAnother(string file, string tensor) =>
        new($"{file}: tensor '{Excerpt.Of(tensor)}': expected the numbers that {path} has, where they are a part of the network, found others: it is a model of another network");

    /// <summary>A tensor that is a part of the network and has other numbers in another file, which therefore is of another one.</summary>
    /// <param name="other">The other file's model.</param>
    /// <returns>The tensor's name; null where there is none.</returns>
    public string? OtherConstant(OnnxModel other)
    {
        using var scope = NewDisposeScope();
        return constants.Keys.Order(StringComparer.Ordinal).FirstOrDefault(
            name => other.constants.TryGetValue(name, out var theirs) && !AreEqual(constants[name].Load(Folder), theirs.Load(other.Folder)));
    }

    private static bool AreEqual(Tensor own, Tensor other) =>
        own.numel() == other.numel() && own.to(ScalarType.Float64).reshape([-1]).equal(other.to(ScalarType.Float64).reshape([-1])).all().item<bool>();

    /// <summary>
    /// A tensor without a name of its own that is not what its place says, though the export is of this checkpoint: the export has computed
    /// it, of several of the checkpoint's tensors or by a factor.
    /// </summary>
    /// <param name="placement">The open checkpoint.</param>
    /// <returns>The parameter's name; null where each tensor is the checkpoint's, or the export is of another one.</returns>
    public string? Computed(Placement placement)
    {
        using var quiet = no_grad();
        var network = placement.Network;
        var (same, computed) = (false, (string?)null);
        for (var k = 0; k < network.Parameters.Length; k++)
        {
            using var scope = NewDisposeScope();
            var numbers = Numbers(network.Parameters[k]);
            var own = placement.Source.Read(placement.NameOf(k)).to(ScalarType.Float32);
            var equal = numbers.shape.SequenceEqual(own.shape) && numbers.equal(own).all().item<bool>();
            if (equal) same |= !numbers.eq(numbers.flatten()[0]).all().item<bool>(); // zeros and ones are anybody's
            else if (!LayerNames.IsLost(stored[network.Parameters[k].Name].Tensor.Name)) return null;
            else computed ??= network.Parameters[k].Name;
        }

        return same ? computed : null;
    }

    // At the sizes that are given; where the file leaves some open and none are, at the first of the usual ones by which it can be read.
    private static (OnnxGraph Graph, Architecture Architecture, IReadOnlyList<int>? Sizes) Import(
        OnnxProto proto, string folder, long most, string name, string? output, IReadOnlyList<int>? open)
    {
        if (open is not null || !OnnxGraph.IsOpen(proto))
        {
            var graph = new OnnxGraph(proto, folder, most, open);
            return (graph, graph.Import(name, output), open);
        }

        LmcException? first = null;
        foreach (var size in UsualSizes)
        {
            try
            {
                var graph = new OnnxGraph(proto, folder, most, [size]);
                return (graph, graph.Import(name, output), [size]);
            }
            catch (LmcException error)
            {
                first ??= error;
            }
        }

        throw new LmcException($"expected sizes that fit where the file leaves them open, found none among {string.Join(", ", UsualSizes)}: {first!.Message}", first);
    }

    /// <summary>The file's numbers.</summary>
    /// <param name="network">The network of <see cref="Architecture"/>.</param>
    /// <returns>The parameters in float32, on the CPU.</returns>
    /// <exception cref="LmcException">A tensor is cut, or of another shape than its layer has.</exception>
    public ParameterSet Load(Network network)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        foreach (var spec in network.Parameters)
        {
            var (tensor, transposed) = stored[spec.Name];
            tensor.Require(transposed && spec.Role == ParameterRole.Weight ? [.. spec.Shape.Reverse()] : spec.Shape);
        }

        var model = ParameterSet.Zeros(network);
        foreach (var (spec, view) in network.Parameters.Zip(model.Views))
        {
            using var inner = NewDisposeScope();
            view.copy_(Numbers(spec));
        }

        return model;
    }

    // A parameter's numbers, the way round that the network has them.
    private Tensor Numbers(ParameterSpec spec)
    {
        var (tensor, transposed) = stored[spec.Name];
        var numbers = tensor.Load(Folder);
        if (transposed && spec.Role == ParameterRole.Weight) numbers = numbers.t();
        return numbers.to(ScalarType.Float32);
    }
}
