using System.Collections.Immutable;
using System.Text.Json;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Checkpoints;

/// <summary>
/// A checkpoint in several files, as Hugging Face writes large ones: <c>model.safetensors.index.json</c> (or that of PyTorch archives) says
/// under <c>weight_map</c> in which file beside it each tensor lies. Tensors are those of the index, in its order.
/// </summary>
internal sealed class ShardedSource : TensorSource
{
    private const int MostShards = 4096;

    private readonly List<TensorSource> shards = [];
    private readonly TensorSource[] holders;
    private readonly Dictionary<string, string> parts; // the file that holds each tensor

    public ShardedSource(string path)
    {
        Path = path;
        try
        {
            var map = Map(path);
            var folder = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!;
            string[] files = [.. map.Select(item => item.File).Distinct()];
            Guard.Require(files.Length <= MostShards, $"{path}: expected at most {MostShards} files, found {files.Length}");
            var entries = new Dictionary<string, Dictionary<string, TensorEntry>>();
            var byFile = new Dictionary<string, TensorSource>();
            foreach (var file in files)
            {
                RequirePlainName(file);
                var shard = Shard(System.IO.Path.Combine(folder, file));
                shards.Add(shard);
                byFile.Add(file, shard);
                entries.Add(file, shard.Entries.ToDictionary(entry => entry.Name));
            }

            Entries =
            [
                .. map.Select(item => entries[item.File].TryGetValue(item.Name, out var entry)
                    ? entry
                    : throw new LmcException($"{path}: expected tensor '{Excerpt.Of(item.Name)}' in {item.File}, found none of that name there")),
            ];
            holders = [.. map.Select(item => byFile[item.File])];
            parts = map.ToDictionary(item => item.Name, item => item.File);
            Parts = [.. files.Order(StringComparer.Ordinal)];
            Metadata = shards.Count == 0 ? ImmutableDictionary<string, string>.Empty : shards[0].Metadata
                .Where(text => shards.All(shard => shard.Metadata.TryGetValue(text.Key, out var other) && other == text.Value))
                .ToImmutableDictionary();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public override string Path { get; }

    public override ImmutableArray<TensorEntry> Entries { get; }

    public override IReadOnlyDictionary<string, string> Metadata { get; }

    public override IReadOnlyList<string> Parts { get; }

    public override string PartOf(string name) => parts[name];

    public override void Dispose()
    {
        foreach (var shard in shards) shard.Dispose();
    }

    protected override Tensor Read(int index) => holders[index].Read(Entries[index].Name);

    private TensorSource Shard(string file)
    {
        InputFile.Require(file, $"a file that {Excerpt.Of(Path)} names");
        return FileKind.Of(file).Format is FileFormat.Index
            ? throw new LmcException($"{file}: expected a file of tensors, found another index")
            : Open(file);
    }

    // Names come from a file: none leads out of its folder.
    private void RequirePlainName(string file) =>
        Guard.Require(
            file.Length is > 0 and <= 255 && file is not ("." or "..") && !file.AsSpan().ContainsAny('/', '\\', '\0'),
            $"{Path}: expected names of files beside it, found '{Excerpt.Of(file)}'");

    private static List<(string Name, string File)> Map(string path)
    {
        try
        {
            using var json = JsonDocument.Parse(InputFile.ReadText(path, "the index of a checkpoint"), new JsonDocumentOptions { MaxDepth = 16 });
            if (json.RootElement.ValueKind != JsonValueKind.Object || !json.RootElement.TryGetProperty("weight_map", out var map)
                || map.ValueKind != JsonValueKind.Object)
                throw new LmcException($"{path}: expected an index with weight_map, an object of tensors and the files that hold them");
            var items = new Dictionary<string, string>();
            foreach (var item in map.EnumerateObject())
                Guard.Require(
                    item.Value.ValueKind == JsonValueKind.String && items.TryAdd(item.Name, item.Value.GetString()!),
                    $"{path}: weight_map: expected one file for each tensor, found {Excerpt.Of(item.Value.GetRawText())} for '{Excerpt.Of(item.Name)}'");
            return [.. items.Select(item => (item.Key, item.Value))];
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new LmcException($"{path}: expected the index of a checkpoint, found no JSON: {Excerpt.Of(error.Message.ReplaceLineEndings(" "))}", error);
        }
    }
}
