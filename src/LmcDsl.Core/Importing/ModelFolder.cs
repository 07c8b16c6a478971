using System.Collections.Immutable;
using System.Text.RegularExpressions;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Checkpoints;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>
/// A folder as Hugging Face's libraries write it, open for reading: <c>config.json</c> says which network it is, and safetensors files or
/// PyTorch archives hold its numbers. The network follows from a template for its <c>model_type</c>; parameters have the names of the
/// folder's tensors, but for the prefix under which a model with a head keeps its body.
/// </summary>
public sealed partial class ModelFolder : IDisposable
{
    private static readonly FolderTemplate[] Templates =
    [
        new GptTemplate(), new BertTemplate(), new VitTemplate(), new LlamaTemplate(), new ConvNextTemplate(), new ResNetTemplate(), new T5Template(),
    ];

    private static readonly string[] Tokenizers =
        ["tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model", "added_tokens.json"];

    private readonly FolderConfig config;
    private readonly FolderTemplate template;
    private readonly Dictionary<string, string> copies; // names of tensors that hold a parameter once more, with the parameter's

    private ModelFolder(string path, FolderConfig config, FolderTemplate template, TensorSource source, IReadOnlyList<int> input)
    {
        (Path, this.config, this.template, Source) = (path, config, template, source);
        (Architecture, copies) = Written(input, isFeature: false);
        var network = new Network(Architecture);
        string[] beside = [.. Beside(network)];
        Notes = [];
        if (beside.Length > 0)
        {
            // Whatever reads the features must find them where they are.
            (Architecture, copies) = Written(input, isFeature: true);
            Notes = Notes.Add($"{path}: the features are not permuted, since tensors that {template.Types[0]}'s template does not know may read them: {Excerpt.Of(beside, 5)}");
        }

        if (config.Unknown() is { Count: > 0 } unknown)
            Notes = Notes.Add($"{config.Path}: fields that are not known, and taken to change nothing: {Excerpt.Of(unknown)}");
    }

    /// <summary>The values of <c>model_type</c> that are known.</summary>
    public static IReadOnlyList<string> Types { get; } = [.. Templates.SelectMany(template => template.Types)];

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>The network.</summary>
    public Architecture Architecture { get; }

    /// <summary>Its numbers, and what lies beside them.</summary>
    public TensorSource Source { get; }

    /// <summary>The name under which the folder's model is published, <c>owner/name</c>, where its description says so; else empty.</summary>
    public string Origin => config.Plain("_name_or_path") is { } name && Published().IsMatch(name) ? name : "";

    /// <summary>What was decided in reading the folder, in words.</summary>
    public ImmutableArray<string> Notes { get; }

    /// <summary>Whether a path leads to a folder with a <c>config.json</c>.</summary>
    /// <param name="path">The path.</param>
    /// <returns>Whether.</returns>
    public static bool Is(string path) => InputFile.IsFolder(path) && File.Exists(System.IO.Path.Combine(path, FolderConfig.FileName));

    /// <summary>Opens a folder: reads the description and the names and shapes of tensors.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="input">
    /// The sizes of an example: the number of tokens, or channels, height and width. Where none are given, a few tokens of those that the
    /// model can read, or images as the description has them: parameters and symmetries do not depend on it.
    /// </param>
    /// <returns>The open folder.</returns>
    /// <exception cref="LmcException">
    /// There is no description, its <c>model_type</c> has no template, a field has a value that the template does not compute, or there is no
    /// checkpoint; the line names the file and the field.
    /// </exception>
    public static ModelFolder Open(string path, IReadOnlyList<int>? input = null)
    {
        Guard.Require(InputFile.IsFolder(path), $"{Excerpt.Of(path)}: expected a folder with {FolderConfig.FileName}, found none");
        var config = FolderConfig.Read(path);
        var type = config.Text(FolderConfig.TypeField, "");
        var template = Array.Find(Templates, template => template.Types.Contains(type)) ?? throw new LmcException(
            $"{config.Path}: model_type: expected one of {string.Join(", ", Types)}, found {(type.Length == 0 ? "none" : $"'{Excerpt.Of(type, 60)}'")}{Nearest.Hint(type, Types)}; {FolderConfig.Elsewhere}");
        var source = TensorSource.Open(path);
        try
        {
            return new ModelFolder(path, config, template, source, input ?? []);
        }
        catch (LmcException error) when (!error.Message.StartsWith(path, StringComparison.Ordinal) && !error.Message.StartsWith("--", StringComparison.Ordinal))
        {
            source.Dispose();
            throw new LmcException($"{config.Path}: {error.Message}", error);
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }

    /// <summary>Requires another folder to be of the same network.</summary>
    /// <param name="other">The other folder.</param>
    /// <exception cref="LmcException">A field differs that changes what is computed, or the heads do; the line names it.</exception>
    public void RequireSame(ModelFolder other)
    {
        // Of another type every field would differ.
        foreach (var (name, value) in config.Asked.OrderBy(field => field.Key == FolderConfig.TypeField ? 0 : 1))
        {
            var found = other.config.Asked.GetValueOrDefault(name, "none");
            Guard.Require(
                found == value, $"{other.config.Path}: {name}: expected {Excerpt.Of(value, 60)}, as {config.Path} has it, found {Excerpt.Of(found, 60)}");
        }

        var (here, there) = (Architecture.Nodes, other.Architecture.Nodes);
        string Layer(ImmutableArray<LayerNode> nodes, int k) => k < nodes.Length ? new Architecture("", [1], [nodes[k]]).ToJson() : "";
        for (var k = 0; k < Math.Max(here.Length, there.Length); k++)
            Guard.Require(
                Layer(here, k) == Layer(there, k),
                $"{other.Path}: expected the heads of {Path}, found {(k < there.Length ? $"'{there[k].Name}'" : "none")} where {(k < here.Length ? $"'{here[k].Name}'" : "none")} was expected");
    }

    /// <summary>The files of tokenizers that both folders have, with other content.</summary>
    /// <param name="other">The other folder.</param>
    /// <returns>Their names. Where vocabularies differ, rows of the two embeddings are not those of the same tokens.</returns>
    public IReadOnlyList<string> OtherTokenizer(ModelFolder other) =>
        [.. Tokenizers.Where(name => FolderFiles.Differ(System.IO.Path.Combine(Path, name), System.IO.Path.Combine(other.Path, name)))];

    /// <summary>Whether classes are called otherwise in another folder: those of one number may not be the same.</summary>
    /// <param name="other">The other folder.</param>
    /// <returns>True where both name them, and differ.</returns>
    public bool HasOtherLabels(ModelFolder other) =>
        config.LabelNames is { } here && other.config.LabelNames is { } there && !here.SequenceEqual(there);

    /// <summary>Finds the parameters of the network in the folder.</summary>
    /// <param name="network">The network of <see cref="Architecture"/>, or the same one of another folder.</param>
    /// <returns>The placement; its source is this folder's.</returns>
    /// <exception cref="LmcException">
    /// Tensors are missing, not expected or of another shape, or two that should be one hold different numbers; the line names them.
    /// </exception>
    public Placement Place(Network network)
    {
        var wanted = network.Parameters.Select((spec, k) => (spec.Name, k)).ToDictionary(pair => pair.Name, pair => pair.k);
        var found = new Dictionary<int, TensorEntry>();
        List<(TensorEntry Entry, int Parameter)> misshaped = [], again = [];
        var unexpected = new List<TensorEntry>();
        foreach (var entry in Source.Entries)
        {
            var name = template.NameOf(entry.Name);
            var isCopy = copies.TryGetValue(name, out var kept);
            if (!wanted.TryGetValue(kept ?? name, out var parameter))
            {
                if (IsMisplaced(entry, name)) unexpected.Add(entry);
            }
            else if (!entry.Shape.AsSpan().SequenceEqual(network.Parameters[parameter].Shape)) misshaped.Add((entry, parameter));
            else if (isCopy) again.Add((entry, parameter));
            else if (!found.TryAdd(parameter, entry)) unexpected.Add(entry);
        }

        // A copy alone is as good as what it is a copy of.
        foreach (var (entry, parameter) in again.ToArray())
            if (found.TryAdd(parameter, entry)) again.Remove((entry, parameter));
        int[] missing = [.. Enumerable.Range(0, network.Parameters.Length).Where(k => !found.ContainsKey(k) && misshaped.All(other => other.Parameter != k))];
        var fit = new Fit(
            new StateDict(Source.Key, Source.Entries, Source.Others), "", [.. found.Select(place => (place.Value, place.Key))], unexpected, misshaped, missing);
        if (!fit.IsExact) throw Misfit.Of(Source.Path, fit, network, NameMap.For(network));
        foreach (var (entry, parameter) in again) RequireCopy(entry, found[parameter]);
        return Placement.ByFit(Source, network, fit, again.Select(copy => (copy.Entry.Name, copy.Parameter)), name => template.IsBuffer(template.NameOf(name)));
    }

    /// <summary>The folder's files that are copied beside other numbers, by their paths in it, and those that are left out.</summary>
    /// <returns>Both, in the order of their names.</returns>
    /// <exception cref="LmcException">The folder cannot be listed.</exception>
    public (IReadOnlyList<string> Kept, IReadOnlyList<string> LeftOut) Files() => FolderFiles.Of(Path);

    /// <summary>The files that hold its numbers.</summary>
    /// <returns>Their paths.</returns>
    public IEnumerable<string> Weights()
    {
        var folder = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(Source.Path))!;
        return Source.Parts.Select(part => System.IO.Path.Combine(folder, part));
    }

    /// <summary>What a file of numbers is called when it is written: safetensors, as <c>from_pretrained</c> looks for it.</summary>
    /// <param name="part">One of the source's parts.</param>
    /// <returns>The name.</returns>
    public static string Written(string part) => FolderFiles.Written(part);

    /// <summary>The index of files that are written like the folder's, by its name, as JSON; nothing where there is one file of numbers, which needs none.</summary>
    /// <returns>One file or none.</returns>
    public IReadOnlyDictionary<string, string> Index() =>
        Source.Path.EndsWith(FolderFiles.IndexEnding, StringComparison.Ordinal)
            ? new Dictionary<string, string> { [FolderFiles.IndexName(Source)] = FolderFiles.Index(Source) }
            : new Dictionary<string, string>();

    /// <inheritdoc/>
    public void Dispose() => Source.Dispose();

    private (Architecture Architecture, Dictionary<string, string> Copies) Written(IReadOnlyList<int> input, bool isFeature)
    {
        var shapes = new Dictionary<string, ImmutableArray<long>>();
        foreach (var entry in Source.Entries) shapes.TryAdd(template.NameOf(entry.Name), entry.Shape);
        var to = new FolderBuilder(config, shapes, input, isFeature);
        template.Write(to);
        return (to.Build(config.Text(FolderConfig.TypeField, "")), to.Copies);
    }

    // Tensors that are no parameter, no constant and not of the body: those of a head that is not known.
    private IEnumerable<string> Beside(Network network)
    {
        var known = network.Parameters.Select(parameter => parameter.Name).ToHashSet();
        return Source.Entries.Where(entry => !entry.Type.IsWhole && !Prefix.IsCounter(entry.Name)).Select(entry => (entry.Name, Own: template.NameOf(entry.Name)))
            .Where(entry => !known.Contains(entry.Own) && !copies.ContainsKey(entry.Own) && !template.IsBuffer(entry.Own) && !template.IsOfBody(entry.Own))
            .Select(entry => entry.Name);
    }

    // A tensor among the body's that the body does not have.
    private bool IsMisplaced(TensorEntry entry, string name) =>
        template.IsOfBody(name) && !template.IsBuffer(name) && !entry.Type.IsWhole && !Prefix.IsCounter(name);

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9_.-]+$")]
    private static partial Regex Published();

    private void RequireCopy(TensorEntry copy, TensorEntry kept)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        Guard.Require(
            (Source.Read(copy.Name) == Source.Read(kept.Name)).all().item<bool>(),
            $"{Source.Path}: tensor '{Excerpt.Of(copy.Name)}': expected the numbers of '{Excerpt.Of(kept.Name)}', to which {config.Path} ties it (tie_word_embeddings), found others");
    }
}
