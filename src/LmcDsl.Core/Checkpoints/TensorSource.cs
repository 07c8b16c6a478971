using System.Collections.Immutable;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Checkpoints;

/// <summary>What a checkpoint says of one tensor.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">The type of its numbers.</param>
/// <param name="Shape">Its shape.</param>
public sealed record TensorEntry(string Name, StoredType Type, ImmutableArray<long> Shape)
{
    private const int MostAxes = 64; // Torch's own limit

    /// <summary>How many numbers it has.</summary>
    public long Count => CountOf(Shape.AsSpan());

    /// <summary>How many numbers a shape has.</summary>
    /// <param name="shape">A shape that <see cref="RequireShape"/> let pass.</param>
    /// <returns>The product of its sizes.</returns>
    public static long CountOf(ReadOnlySpan<long> shape)
    {
        var product = 1L;
        foreach (var size in shape) product *= size;
        return product;
    }

    /// <summary>Requires a shape from a file to be one that a tensor can have: sizes of 0 or more whose product, zeros left out, fits 64 bits.</summary>
    /// <param name="shape">The shape.</param>
    /// <param name="where">File and tensor, for the message.</param>
    /// <exception cref="LmcException">It is not; the line shows it.</exception>
    internal static void RequireShape(ReadOnlySpan<long> shape, string where)
    {
        Int128 product = 1;
        var holds = shape.Length <= MostAxes;
        for (var k = 0; holds && k < shape.Length; k++)
        {
            product *= Math.Max(1, shape[k]);
            holds = shape[k] >= 0 && product <= long.MaxValue / 8;
        }

        Guard.Require(holds, $"{where}: expected at most {MostAxes} sizes of 0 or more whose product does not overflow, found {Excerpt.Of(shape)}");
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Excerpt.Of(Name)} {Excerpt.Of(Shape.AsSpan())}";
}

/// <summary>
/// A checkpoint file, open for reading: names, types and shapes at once, numbers when asked for, so that a large file is not read to
/// list what it holds.
/// </summary>
public abstract class TensorSource : IDisposable
{
    private Dictionary<string, int>? places;

    /// <summary>The file, for messages.</summary>
    public abstract string Path { get; }

    /// <summary>Where in the file the tensors lie: the keys of dicts around them, joined by dots; empty where nothing is around them.</summary>
    public virtual string Key => "";

    /// <summary>What the file holds, in its order.</summary>
    public abstract ImmutableArray<TensorEntry> Entries { get; }

    /// <summary>What else lies among the tensors, by its name, with what it is: objects that are no tensors, which are passed over.</summary>
    public virtual IReadOnlyDictionary<string, string> Others => ImmutableDictionary<string, string>.Empty;

    /// <summary>The text beside the tensors.</summary>
    public abstract IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>The names of the files that hold the tensors, without their folder; one where the checkpoint is no set of shards.</summary>
    public virtual IReadOnlyList<string> Parts => [System.IO.Path.GetFileName(Path)];

    /// <summary>Which of <see cref="Parts"/> holds a tensor.</summary>
    /// <param name="name">One of <see cref="Entries"/>.</param>
    /// <returns>The file's name.</returns>
    public virtual string PartOf(string name) => Parts[0];

    /// <summary>Opens a checkpoint; what it is follows from its first bytes.</summary>
    /// <param name="path">
    /// A <c>.safetensors</c> file, the index of several (<c>.index.json</c>), a zip archive that PyTorch's <c>torch.save</c> wrote of a state
    /// dict, of a dict that holds one, or of a module; an ONNX model (<c>.onnx</c>); or a folder with one of these under its usual name.
    /// </param>
    /// <param name="choice">Which of several state dicts; where none is given, <see cref="StateDictChoice.Largest"/>.</param>
    /// <returns>The open file.</returns>
    /// <exception cref="LmcException">There is no such file, or it is none of these; the line says which and what was found.</exception>
    public static TensorSource Open(string path, StateDictChoice.Rule? choice = null)
    {
        try
        {
            var file = CheckpointFolder.FileIn(path);
            InputFile.Require(file, "a checkpoint");
            if (IsOnnx(file)) return new Importing.OnnxSource(file);
            var kind = FileKind.Of(file);
            return kind.Format switch
            {
                FileFormat.SafeTensors => new SafeTensorsSource(file),
                FileFormat.Zip => new TorchSource(file, choice ?? StateDictChoice.Largest),
                FileFormat.Index => new ShardedSource(file),
                _ => throw new LmcException($"{Excerpt.Of(file)}: expected a safetensors file or a PyTorch archive, found {kind.Description}"),
            };
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new LmcException($"{Excerpt.Of(path)}: cannot be read: {error.Message.ReplaceLineEndings(" ")}", error);
        }
    }

    /// <summary>Whether a file is named as an ONNX model, which is its graph and its numbers in one.</summary>
    /// <param name="path">The file.</param>
    /// <returns>True where it is.</returns>
    public static bool IsOnnx(string path) => path.EndsWith(".onnx", StringComparison.OrdinalIgnoreCase);

    /// <summary>Reads one tensor.</summary>
    /// <param name="name">One of <see cref="Entries"/>.</param>
    /// <returns>The tensor as its type is carried (<see cref="StoredType"/>), on the CPU, in the caller's dispose scope.</returns>
    /// <exception cref="LmcException">The file holds no such tensor, or is cut.</exception>
    public Tensor Read(string name)
    {
        places ??= Entries.Select((entry, index) => (entry.Name, index)).ToDictionary(e => e.Name, e => e.index);
        return places.TryGetValue(name, out var index)
            ? Read(index)
            : throw new LmcException($"{Path}: expected a tensor '{Excerpt.Of(name)}', found none of that name");
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
