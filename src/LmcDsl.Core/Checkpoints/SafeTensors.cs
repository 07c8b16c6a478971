using System.Buffers.Binary;
using System.Text;
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
/// each tensor, then the bytes, without gaps.
/// </summary>
public static class SafeTensors
{
    /// <summary>Writes tensors. The same input gives the same bytes.</summary>
    /// <param name="stream">Where to write.</param>
    /// <param name="tensors">Names and tensors, written in this order.</param>
    /// <param name="metadata">Text to keep beside them, written in order of its keys.</param>
    /// <exception cref="LmcException">A tensor has another type.</exception>
    public static void Write(
        Stream stream, IReadOnlyList<(string Name, Tensor Tensor)> tensors, IReadOnlyDictionary<string, string>? metadata = null) =>
        Write(
            stream,
            [.. tensors.Select(t => (
                new TensorEntry(t.Name, StoredType.Of(t.Tensor.dtype, $"tensor '{t.Name}'"), [.. t.Tensor.shape]),
                (Func<Tensor>)(() => t.Tensor.detach())))],
            metadata);

    /// <summary>Writes tensors that are made one after another, each when it is its turn, so that one of them is in memory at a time.</summary>
    /// <param name="stream">Where to write.</param>
    /// <param name="tensors">What each is, and what makes it: a tensor as its type is carried, which is freed after it was written.</param>
    /// <param name="metadata">Text to keep beside them, written in order of its keys.</param>
    public static void Write(
        Stream stream, IReadOnlyList<(TensorEntry Entry, Func<Tensor> Make)> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var text = Header(tensors.Select(t => t.Entry), metadata);
        var padded = (text.Length + 7) / 8 * 8;
        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, padded);
        stream.Write(length);
        stream.Write(text);
        stream.Write(Encoding.ASCII.GetBytes(new string(' ', padded - text.Length)));
        foreach (var (entry, make) in tensors)
        {
            using var scope = NewDisposeScope();
            var made = make();
            Guard.Shape($"tensor '{entry.Name}'", made, entry.Type.CarrierShape(entry.Shape.AsSpan()));
            Guard.Require(made.dtype == entry.Type.Carrier, $"tensor '{entry.Name}': expected {entry.Type.Carrier}, found {made.dtype}");
            var flat = made.cpu().contiguous().view(-1);
            const long block = 1 << 27; // a span addresses at most 2 GB
            for (var start = 0L; start < flat.numel(); start += block)
                stream.Write(flat.narrow(0, start, Math.Min(block, flat.numel() - start)).bytes);
        }
    }

    /// <summary>Reads tensors.</summary>
    /// <param name="content">The whole file.</param>
    /// <param name="name">The file's name, for messages.</param>
    /// <returns>The tensors, on the CPU, and the text beside them.</returns>
    /// <exception cref="LmcException">The file is not well formed; the line names it, what was expected and what was found.</exception>
    public static TensorFile Read(ReadOnlySpan<byte> content, string name)
    {
        Guard.Require(content.Length >= 8, $"{name}: expected a safetensors file, found {content.Length} bytes");
        var length = SafeTensorsHeader.RequireLength(BinaryPrimitives.ReadInt64LittleEndian(content), content.Length, name);
        var body = content[(8 + length)..];
        var header = SafeTensorsHeader.Parse(content.Slice(8, length), body.Length, name);
        var tensors = new Dictionary<string, Tensor>();
        foreach (var (entry, start) in header.Entries.Zip(header.Starts))
        {
            var tensor = empty(entry.Type.CarrierShape(entry.Shape.AsSpan()), entry.Type.Carrier).DetachFromDisposeScope();
            tensors.Add(entry.Name, tensor);
            body.Slice((int)start, (int)entry.Type.BytesOf(entry.Count, name)).CopyTo(tensor.bytes);
        }

        return new TensorFile(tensors, header.Metadata);
    }

    private static byte[] Header(IEnumerable<TensorEntry> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        var header = new JsonObject();
        if (metadata is { Count: > 0 })
            header[SafeTensorsHeader.MetadataKey] = new JsonObject(metadata.OrderBy(m => m.Key, StringComparer.Ordinal)
                .Select(m => KeyValuePair.Create(m.Key, (JsonNode?)m.Value)));
        var offset = 0L;
        foreach (var entry in tensors)
        {
            Guard.Require(
                entry.Name != SafeTensorsHeader.MetadataKey, $"tensor '{entry.Name}': expected another name, since safetensors files keep text under this one");
            var end = offset + entry.Type.BytesOf(entry.Count, $"tensor '{entry.Name}'");
            header[entry.Name] = new JsonObject
            {
                ["dtype"] = entry.Type.Name,
                ["shape"] = new JsonArray([.. entry.Shape.Select(s => (JsonNode)s)]),
                ["data_offsets"] = new JsonArray(offset, end),
            };
            offset = end;
        }

        return Encoding.UTF8.GetBytes(header.ToJsonString());
    }
}
