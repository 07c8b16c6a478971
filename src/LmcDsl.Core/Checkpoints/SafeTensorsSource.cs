using System.Buffers.Binary;
using System.Collections.Immutable;
using LmcDsl.Core.Runtime;
using Microsoft.Win32.SafeHandles;
using static TorchSharp.torch;

namespace LmcDsl.Core.Checkpoints;

/// <summary>
/// A safetensors file, open for reading. Bytes are read at their place in the file when a tensor is asked for, and not through a memory
/// map: a mapped file that another process cuts would end this one.
/// </summary>
internal sealed class SafeTensorsSource : TensorSource
{
    private readonly SafeFileHandle file;
    private readonly SafeTensorsHeader header;
    private readonly long bodyStart;

    public SafeTensorsSource(string path)
    {
        Path = path;
        file = File.OpenHandle(path);
        try
        {
            var length = RandomAccess.GetLength(file);
            Guard.Require(length >= 8, $"{path}: expected a safetensors file or a PyTorch archive, found {length} bytes");
            var start = new byte[8];
            ReadExactly(start, 0);
            var json = new byte[SafeTensorsHeader.RequireLength(BinaryPrimitives.ReadInt64LittleEndian(start), length, path)];
            ReadExactly(json, 8);
            bodyStart = 8 + json.Length;
            header = SafeTensorsHeader.Parse(json, length - bodyStart, path);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public override string Path { get; }

    public override ImmutableArray<TensorEntry> Entries => header.Entries;

    public override IReadOnlyDictionary<string, string> Metadata => header.Metadata;

    public override void Dispose() => file.Dispose();

    protected override Tensor Read(int index)
    {
        var entry = header.Entries[index];
        var tensor = empty(entry.Type.CarrierShape(entry.Shape.AsSpan()), entry.Type.Carrier);
        Fill(tensor, (bytes, at) => ReadExactly(bytes.Span, bodyStart + header.Starts[index] + at));
        return tensor;
    }

    private void ReadExactly(Span<byte> target, long at)
    {
        while (target.Length > 0)
        {
            var count = RandomAccess.Read(file, target, at);
            Guard.Require(count > 0, $"{Path}: expected {target.Length} more bytes at {at}, found the file's end");
            target = target[count..];
            at += count;
        }
    }
}
