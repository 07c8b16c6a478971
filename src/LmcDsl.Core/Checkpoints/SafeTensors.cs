using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Checkpoints;

/// <summary>Named tensors and text, as a safetensors file holds them.</summary>
/// <param name="Tensors">Tensors by name, on the CPU; owned by this object.</param>
/// <param name="Metadata">The header's <c>__metadata__</c>.</param>
public sealed record TensorFile(IReadOnlyDictionary<string, Tensor> Tensors, IReadOnlyDictionary<string, string> Metadata)
    : IDisposable
{
    /// <summary>Frees the tensors.</summary>
    public void Dispose()
    {
        foreach (var tensor in Tensors.Values) tensor.Dispose();
    }
}

/// <summary>
/// The safetensors format: the header's length (8 bytes, little-endian), a JSON header with type, shape and byte range of
/// each tensor, then the bytes, without gaps. Float32 and int64 here.
/// </summary>
public static class SafeTensors
{
    private const string MetadataKey = "__metadata__";
    private const int LargestHeader = 100_000_000; // the limit of the reference implementation

    /// <summary>Writes tensors. The same input gives the same bytes.</summary>
    /// <param name="stream">Where to write.</param>
    /// <param name="tensors">Names and tensors, float32 or int64, written in this order.</param>
    /// <param name="metadata">Text to keep beside them, written in order of its keys.</param>
    /// <exception cref="LmcException">A tensor has another type.</exception>
    public static void Write(
        Stream stream, IReadOnlyList<(string Name, Tensor Tensor)> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var header = new JsonObject();
        if (metadata is { Count: > 0 })
            header[MetadataKey] = new JsonObject(metadata.OrderBy(m => m.Key, StringComparer.Ordinal)
                .Select(m => KeyValuePair.Create(m.Key, (JsonNode?)m.Value)));
        var offset = 0L;
        foreach (var (name, tensor) in tensors)
        {
            var type = tensor.dtype switch
            {
                ScalarType.Float32 => "F32",
                ScalarType.Int64 => "I64",
                _ => throw new LmcException($"tensor '{name}': expected Float32 or Int64, found {tensor.dtype}"),
            };
            var end = offset + tensor.numel() * tensor.element_size();
            header[name] = new JsonObject
            {
                ["dtype"] = type,
                ["shape"] = new JsonArray([.. tensor.shape.Select(s => (JsonNode)s)]),
                ["data_offsets"] = new JsonArray(offset, end),
            };
            offset = end;
        }

        var text = Encoding.UTF8.GetBytes(header.ToJsonString());
        var padded = (text.Length + 7) / 8 * 8;
        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, padded);
        stream.Write(length);
        stream.Write(text);
        stream.Write(Encoding.ASCII.GetBytes(new string(' ', padded - text.Length)));
        foreach (var (_, tensor) in tensors)
        {
            using var dense = tensor.cpu().contiguous();
            stream.Write(dense.bytes);
        }
    }

    /// <summary>Reads tensors.</summary>
    /// <param name="content">The whole file.</param>
    /// <param name="name">The file's name, for messages.</param>
    /// <returns>The tensors, on the CPU, and the text beside them.</returns>
    /// <exception cref="LmcException">The file is not well formed; the line names it, what was expected and what was found.</exception>
    public static TensorFile Read(ReadOnlySpan<byte> content, string name)
    {
        var tensors = new Dictionary<string, Tensor>();
        try
        {
            var (header, start) = Header(content, name);
            ReadTensors(header, content[start..], name, tensors);
            return new TensorFile(tensors, Metadata(header));
        }
        catch (Exception error)
        {
            foreach (var tensor in tensors.Values) tensor.Dispose();
            // JsonNode finds some mistakes (a name twice, text that is no Unicode) only when it is looked at.
            if (error is JsonException or ArgumentException or InvalidOperationException or FormatException or OverflowException)
                throw new LmcException($"{name}: expected a safetensors header, found one that cannot be read: {error.Message.ReplaceLineEndings(" ")}", error);
            throw;
        }
    }

    private static (JsonObject Header, int BodyStart) Header(ReadOnlySpan<byte> content, string name)
    {
        Guard.Require(content.Length >= 8, $"{name}: expected a safetensors file, found {content.Length} bytes");
        var length = BinaryPrimitives.ReadInt64LittleEndian(content);
        Guard.Require(
            length is > 0 and <= LargestHeader && length <= content.Length - 8,
            $"{name}: expected a header within the file's {content.Length} bytes, found a length of {length}");
        var node = JsonNode.Parse(content.Slice(8, (int)length), documentOptions: new JsonDocumentOptions { MaxDepth = 8 });
        return node is JsonObject header
            ? (header, 8 + (int)length)
            : throw new LmcException($"{name}: expected a JSON object as header, found {node?.GetValueKind()}");
    }

    private static void ReadTensors(
        JsonObject header, ReadOnlySpan<byte> body, string name, Dictionary<string, Tensor> tensors)
    {
        var expected = 0L;
        var entries = header.Where(e => e.Key != MetadataKey)
            .Select(e => (e.Key, Entry: Entry(e.Key, e.Value, name))).OrderBy(e => e.Entry.Start).ThenBy(e => e.Entry.End);
        foreach (var (key, entry) in entries)
        {
            Guard.Require(
                entry.Start == expected && entry.End <= body.Length,
                $"{name}: tensor '{key}': expected bytes from {expected} within {body.Length}, found {entry.Start} to {entry.End}");
            tensors[key] = empty(entry.Shape, entry.Type).DetachFromDisposeScope();
            body[(int)entry.Start..(int)entry.End].CopyTo(tensors[key].bytes);
            expected = entry.End;
        }

        Guard.Require(expected == body.Length, $"{name}: expected {expected} bytes of tensors, found {body.Length}");
    }

    private static Dictionary<string, string> Metadata(JsonObject header) =>
        header[MetadataKey] is JsonObject text
            ? text.ToDictionary(entry => entry.Key, entry => entry.Value?.GetValue<string>() ?? "")
            : [];

    private static (ScalarType Type, long[] Shape, long Start, long End) Entry(string key, JsonNode? node, string name)
    {
        if (node?["dtype"] is not JsonValue dtype || node["shape"] is not JsonArray sizes || node["data_offsets"] is not JsonArray offsets)
            throw new LmcException($"{name}: tensor '{key}': expected dtype, shape and data_offsets, found {node?.ToJsonString() ?? "null"}");
        var type = dtype.GetValue<string>() switch
        {
            "F32" => ScalarType.Float32,
            "I64" => ScalarType.Int64,
            var other => throw new LmcException($"{name}: tensor '{key}': expected type F32 or I64, found {other}"),
        };
        var (shape, range) = (Numbers(sizes), Numbers(offsets));
        var size = shape.Aggregate(type == ScalarType.Float32 ? 4L : 8L, (product, s) => checked(product * s));
        Guard.Require(
            range.Length == 2 && shape.All(s => s >= 0) && range[0] >= 0 && range[1] - range[0] == size,
            $"{name}: tensor '{key}': expected {size} bytes for shape {Guard.Show(shape)}, found data_offsets {Guard.Show(range)}");
        return (type, shape, range[0], range[1]);
    }

    private static long[] Numbers(JsonArray array) =>
        [.. array.Select(item => item?.GetValue<long>() ?? throw new FormatException("null where a number belongs"))];
}
