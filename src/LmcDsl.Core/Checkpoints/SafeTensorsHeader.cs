using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Checkpoints;

/// <summary>
/// The header of a safetensors file, checked: every tensor's bytes lie within the file, one after another, without gaps.
/// </summary>
/// <param name="Entries">The tensors in the order of their bytes.</param>
/// <param name="Starts">Where the bytes of each begin, after the header.</param>
/// <param name="Metadata">The text under <c>__metadata__</c>.</param>
internal sealed record SafeTensorsHeader(
    ImmutableArray<TensorEntry> Entries, ImmutableArray<long> Starts, IReadOnlyDictionary<string, string> Metadata)
{
    /// <summary>The key of the text beside the tensors.</summary>
    public const string MetadataKey = "__metadata__";

    private const int LargestHeader = 100_000_000; // the limit of the reference implementation
    private const int DeepestHeader = 8;

    /// <summary>Requires the header's length to fit a file.</summary>
    /// <param name="length">The first 8 bytes as a number.</param>
    /// <param name="fileLength">The file's length.</param>
    /// <param name="name">The file's name, for messages.</param>
    /// <returns>The length.</returns>
    public static int RequireLength(long length, long fileLength, string name)
    {
        Guard.Require(
            length is > 0 and <= LargestHeader && length <= fileLength - 8,
            $"{name}: expected a header within the file's {fileLength} bytes, found a length of {length}");
        return (int)length;
    }

    /// <summary>Reads the header.</summary>
    /// <param name="json">Its bytes.</param>
    /// <param name="body">How many bytes follow it.</param>
    /// <param name="name">The file's name, for messages.</param>
    /// <returns>The header.</returns>
    /// <exception cref="LmcException">It is not well formed; the line says what was expected and what was found.</exception>
    public static SafeTensorsHeader Parse(ReadOnlySpan<byte> json, long body, string name)
    {
        try
        {
            var node = JsonNode.Parse(json.TrimEnd((byte)0), // some writers pad with NUL where the format has blanks
                documentOptions: new JsonDocumentOptions { MaxDepth = DeepestHeader });
            return node is JsonObject header
                ? Parse(header, body, name)
                : throw new LmcException($"{name}: expected a JSON object as header, found {node?.GetValueKind()}");
        }
        catch (Exception error)
            // JsonNode finds some mistakes (a name twice, text that is no Unicode) only when it is looked at.
            when (error is JsonException or ArgumentException or InvalidOperationException or FormatException or OverflowException)
        {
            throw new LmcException(
                $"{name}: expected a safetensors header, found one that cannot be read: {Excerpt.Of(error.Message.ReplaceLineEndings(" "))}", error);
        }
    }

    private static SafeTensorsHeader Parse(JsonObject header, long body, string name)
    {
        var entries = header.Where(e => e.Key != MetadataKey).Select(e => Entry(e.Key, e.Value, name))
            .OrderBy(e => e.Start).ThenBy(e => e.End).ToArray();
        var expected = 0L;
        for (var k = 0; k < entries.Length; k++)
        {
            var (entry, start, end) = entries[k];
            if (k > 0 && start < expected && start == entries[k - 1].Start)
                throw new LmcException(
                    $"{name}: tensors '{Excerpt.Of(entries[k - 1].Entry.Name)}' and '{Excerpt.Of(entry.Name)}': expected bytes of their own, the second's from {expected}, found both at {start} to {end} (the format has no shared tensors: store one of them, or a copy)");
            Guard.Require(
                start == expected && end <= body,
                $"{name}: tensor '{Excerpt.Of(entry.Name)}': expected bytes from {expected} within {body}, found {start} to {end}{(end > body ? " (the file is cut)" : "")}");
            expected = end;
        }

        Guard.Require(expected == body, $"{name}: expected {expected} bytes of tensors, found {body}");
        var text = header[MetadataKey] is JsonObject metadata
            ? metadata.ToDictionary(entry => entry.Key, entry => entry.Value?.GetValue<string>() ?? "")
            : [];
        return new SafeTensorsHeader([.. entries.Select(e => e.Entry)], [.. entries.Select(e => e.Start)], text);
    }

    private static (TensorEntry Entry, long Start, long End) Entry(string key, JsonNode? node, string name)
    {
        var where = $"{name}: tensor '{Excerpt.Of(key)}'";
        if (node is not JsonObject || node["dtype"] is not JsonValue dtype || node["shape"] is not JsonArray sizes || node["data_offsets"] is not JsonArray offsets)
            throw new LmcException($"{where}: expected dtype, shape and data_offsets, found {Excerpt.Of(node?.ToJsonString() ?? "null")}");
        var type = StoredType.Parse(dtype.GetValue<string>(), where);
        var (shape, range) = (Numbers(sizes), Numbers(offsets));
        TensorEntry.RequireShape(shape, where);
        var size = type.BytesOf(TensorEntry.CountOf(shape), where);
        Guard.Require(
            range.Length == 2 && range[0] >= 0 && range[1] >= range[0] && range[1] - range[0] == size,
            $"{where}: expected {size} bytes for shape {Guard.Show(shape)}, found data_offsets {Excerpt.Of(range)}");
        return (new TensorEntry(key, type, [.. shape]), range[0], range[1]);
    }

    private static long[] Numbers(JsonArray array) =>
        [.. array.Select(item => item?.GetValue<long>() ?? throw new FormatException("null where a number belongs"))];
}
