using System.Collections.Immutable;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Checkpoints;

/// <summary>What a checkpoint says of one tensor.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">The type of its numbers.</param>
/// <param name="Shape">Its shape.</param>
public sealed record TensorEntry(string Name, ScalarType Type, ImmutableArray<long> Shape)
{
    /// <summary>How many numbers it has.</summary>
    public long Count => Shape.Aggregate(1L, (product, size) => product * size);
}

/// <summary>
/// A checkpoint file, open for reading: names, types and shapes at once, numbers when asked for, so that a large file is not read to
/// list what it holds.
/// </summary>
public abstract class TensorSource : IDisposable
{
    /// <summary>The file, for messages.</summary>
    public abstract string Path { get; }

    /// <summary>What the file holds, in its order.</summary>
    public abstract ImmutableArray<TensorEntry> Entries { get; }

    /// <summary>The text beside the tensors.</summary>
    public abstract IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens a checkpoint; what it is follows from its first bytes.</summary>
    /// <param name="path">A <c>.safetensors</c> file, or a zip archive that PyTorch's <c>torch.save</c> wrote of a state dict.</param>
    /// <returns>The open file.</returns>
    /// <exception cref="LmcException">There is no such file, or it is neither; the line says which and what was found.</exception>
    public static TensorSource Open(string path)
    {
        try
        {
            Guard.Require(File.Exists(path), $"{path}: expected a checkpoint, found no such file");
            Span<byte> start = stackalloc byte[4];
            using (var file = File.OpenRead(path)) file.ReadAtLeast(start, 4, throwOnEndOfStream: false);
            return start.SequenceEqual("PK\x03\x04"u8) ? new TorchSource(path) : new SafeTensorsSource(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new LmcException($"{path}: cannot be read: {error.Message.ReplaceLineEndings(" ")}", error);
        }
    }

    /// <summary>Reads one tensor.</summary>
    /// <param name="name">One of <see cref="Entries"/>.</param>
    /// <returns>The tensor, of its own type, on the CPU, in the caller's dispose scope.</returns>
    /// <exception cref="LmcException">The file holds no such tensor, or is cut.</exception>
    public Tensor Read(string name)
    {
        var index = Entries.IndexOf(Entries.FirstOrDefault(entry => entry.Name == name)!);
        Guard.Require(index >= 0, $"{Path}: expected a tensor '{name}', found none of that name");
        return Read(index);
    }

    /// <summary>Reads the tensor of an entry.</summary>
    /// <param name="index">Index into <see cref="Entries"/>.</param>
    /// <returns>The tensor.</returns>
    protected abstract Tensor Read(int index);

    /// <summary>Closes the file.</summary>
    public abstract void Dispose();

    /// <summary>Fills a contiguous tensor with bytes, in blocks that a span can address.</summary>
    private protected static void Fill(Tensor target, Action<Memory<byte>, long> read)
    {
        const int block = 1 << 28;
        if (target.numel() == 0) return;
        var size = target.element_size();
        using var flat = target.view(-1);
        var buffer = new byte[Math.Min(block, flat.numel() * size)];
        for (var start = 0L; start < flat.numel(); start += block / size)
        {
            var count = Math.Min(block / size, flat.numel() - start);
            var bytes = buffer.AsMemory(0, (int)(count * size));
            read(bytes, start * size);
            using var part = flat.narrow(0, start, count);
            bytes.Span.CopyTo(part.bytes);
        }
    }
}
