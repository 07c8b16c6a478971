using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LmcDsl.Core.Checkpoints;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Importing;

/// <summary>
/// The files of a model's folder: which of them go with other numbers (descriptions, tokenizers, texts), which do not (numbers of any tool, what a
/// training left, the card, whatever is large), and what files of numbers are called.
/// </summary>
internal static class FolderFiles
{
    public const string IndexEnding = ".index.json";

    private const long Largest = 1 << 26; // a tokenizer's vocabulary of some hundred thousand tokens has 20 MB
    private const int Deepest = 2;
    private const int Most = 10_000;

    private static readonly string[] Numbers =
    [
        ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".hdf5", ".msgpack", ".ot", ".onnx", ".onnx_data", ".gguf", ".ggml", ".npz", ".npy", ".pkl", ".tflite",
        ".mlmodel", ".pb", ".zip", ".tmp", ".lock",
    ];

    private static readonly string[] OfTraining = ["README.md", "trainer_state.json", "all_results.json", "train_results.json", "eval_results.json", "modeling.log"];

    /// <summary>The files that are copied, and those that are not.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="LmcException">It cannot be listed.</exception>
    public static (IReadOnlyList<string> Kept, IReadOnlyList<string> LeftOut) Of(string folder)
    {
        List<string> kept = [], leftOut = [];
        try
        {
            Look("", 0);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new LmcException($"{Excerpt.Of(folder)}: cannot be listed: {error.Message.ReplaceLineEndings(" ")}", error);
        }

        return (kept, leftOut);

        void Look(string within, int depth)
        {
            foreach (var path in Directory.EnumerateFileSystemEntries(Path.Combine(folder, within)).Order(StringComparer.Ordinal))
            {
                var name = Path.GetFileName(path);
                var relative = within.Length == 0 ? name : $"{within}/{name}";
                if (name.StartsWith('.')) continue;
                Guard.Require(kept.Count + leftOut.Count < Most, $"{Excerpt.Of(folder)}: expected a folder of at most {Most} files, found more");
                var kind = UnixFile.Kind(path);
                if (kind == Runtime.FileKind.Folder)
                {
                    var isModule = depth < Deepest && !name.StartsWith("checkpoint-", StringComparison.Ordinal) && name != "runs"
                        && UnixFile.Look(path, follow: false).Kind != Runtime.FileKind.Link;
                    if (isModule) Look(relative, depth + 1);
                    else leftOut.Add(relative);
                }
                else if (IsKept(name) && IsSmall(path)) kept.Add(relative);
                else if (!name.EndsWith(IndexEnding, StringComparison.Ordinal) && name != "README.md")
                    leftOut.Add(relative);
            }
        }
    }

    /// <summary>Whether two small files are there and have other content.</summary>
    public static bool Differ(string one, string other)
    {
        if (!IsSmall(one) || !IsSmall(other)) return false;
        try
        {
            return !File.ReadAllBytes(one).AsSpan().SequenceEqual(File.ReadAllBytes(other));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new LmcException($"{Excerpt.Of(one)} and {Excerpt.Of(other)}: cannot be compared: {error.Message.ReplaceLineEndings(" ")}", error);
        }
    }

    /// <summary>The name of a file of numbers in safetensors.</summary>
    public static string Written(string part)
    {
        var name = part.EndsWith(".safetensors", StringComparison.Ordinal) ? part : $"{Path.GetFileNameWithoutExtension(part)}.safetensors";
        return name.StartsWith("pytorch_model", StringComparison.Ordinal) ? name["pytorch_".Length..] : name;
    }

    /// <summary>What the index of several files is called.</summary>
    public static string IndexName(TensorSource source) => Written(Path.GetFileName(source.Path)[..^IndexEnding.Length]) + IndexEnding;

    /// <summary>The index of several files: the bytes of all tensors, and which file holds each.</summary>
    public static string Index(TensorSource source)
    {
        var total = source.Entries.Sum(entry => entry.Type.BytesOf(entry.Count, entry.Name));
        var map = new JsonObject(source.Entries.OrderBy(entry => entry.Name, StringComparer.Ordinal)
            .Select(entry => KeyValuePair.Create(entry.Name, (JsonNode?)Written(source.PartOf(entry.Name)))));
        var index = new JsonObject { ["metadata"] = new JsonObject { ["total_size"] = total }, ["weight_map"] = map };
        return index.ToJsonString(new JsonSerializerOptions { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }) + "\n";
    }

    // A regular file, or a link to one, of no more than a tokenizer's size.
    private static bool IsSmall(string path)
    {
        if (UnixFile.Kind(path) != Runtime.FileKind.Regular) return false;
        var file = new FileInfo(path);
        return (file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file).Length <= Largest;
    }

    private static bool IsKept(string name) =>
        !name.EndsWith(IndexEnding, StringComparison.Ordinal) && !OfTraining.Contains(name)
        && !Numbers.Contains(Path.GetExtension(name).ToLower(CultureInfo.InvariantCulture));
}
