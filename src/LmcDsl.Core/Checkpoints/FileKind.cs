using System.Buffers.Binary;
using System.Text;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Checkpoints;

/// <summary>How a checkpoint is opened.</summary>
internal enum FileFormat
{
    /// <summary>The safetensors format.</summary>
    SafeTensors,

    /// <summary>A zip archive, as <c>torch.save</c> writes them.</summary>
    Zip,

    /// <summary>The index of a checkpoint in several files.</summary>
    Index,

    /// <summary>Something else.</summary>
    Other,
}

/// <summary>What a file looks like by its first bytes, with what to do where it is of another tool.</summary>
/// <param name="Format">How to open it.</param>
/// <param name="Description">What it is, for a message.</param>
internal sealed record FileKind(FileFormat Format, string Description)
{
    private const int Looked = 1024;
    private const string Decompress = "decompress it first";
    private const string SaveStateDict = "load it there and save the tensors as safetensors or by torch.save(model.state_dict(), ...)";

    // Where the bytes stand, what they are, what the file is.
    private static readonly (int At, byte[] Bytes, string Description)[] Marks =
    [
        (0, [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19],
            "a file in the format of PyTorch before 1.6 (or of _use_new_zipfile_serialization=False): load it in PyTorch and save it again by torch.save"),
        (0, "PK\x05\x06"u8.ToArray(), "an empty zip archive"),
        (257, "ustar"u8.ToArray(), "a tar archive: unpack it and name the checkpoint in it (PyTorch's own of before 0.2: save it again in a later one)"),
        (0, [0x1f, 0x8b], $"a file compressed by gzip: {Decompress}"),
        (0, "BZh"u8.ToArray(), $"a file compressed by bzip2: {Decompress}"),
        (0, [0xfd, .. "7zXZ"u8], $"a file compressed by xz: {Decompress}"),
        (0, [0x28, 0xb5, 0x2f, 0xfd], $"a file compressed by zstd: {Decompress}"),
        (0, [0x04, 0x22, 0x4d, 0x18], $"a file compressed by lz4: {Decompress}"),
        (0, [.. "7z"u8, 0xbc, 0xaf], $"a 7-zip archive: {Decompress}"),
        (0, "Rar!"u8.ToArray(), $"a RAR archive: {Decompress}"),
        (0, [0x89, .. "HDF\r\n\x1a\n"u8], $"an HDF5 file (Keras, TensorFlow): {SaveStateDict}; kernels there are [in, out]"),
        (0, "GGUF"u8.ToArray(), "a GGUF file (llama.cpp), whose numbers mostly are quantised: name the checkpoint that it was made from"),
        (0, "ggjt"u8.ToArray(), "a GGML file (llama.cpp): name the checkpoint that it was made from"),
        (0, "tjgg"u8.ToArray(), "a GGML file (llama.cpp): name the checkpoint that it was made from"),
        (0, [0x93, .. "NUMPY"u8], "a NumPy array: save the tensors as safetensors, each under its name"),
        (0, "MATLAB"u8.ToArray(), $"a MATLAB file: {SaveStateDict}"),
        (0, "%PDF"u8.ToArray(), "a PDF document"),
        (0, [0x89, .. "PNG"u8], "a PNG image"),
        (0, [0xff, 0xd8, 0xff], "a JPEG image"),
        (0, [0x7f, .. "ELF"u8], "a program"),
        (0, "SQLite format 3"u8.ToArray(), "an SQLite data base"),
        (4, "TFL3"u8.ToArray(), "a TensorFlow Lite model"),
        (0, "version https://git-lfs"u8.ToArray(), "a Git LFS pointer, a few lines in the place of the file: fetch the file by `git lfs pull`"),
        (0, "/annex/objects/"u8.ToArray(), "a git-annex pointer: fetch the file by `git annex get`"),
    ];

    // TensorFlow's table of a checkpoint ends so.
    private static readonly byte[] TensorFlowEnd = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb];

    /// <summary>Looks at a file.</summary>
    /// <param name="path">A regular file.</param>
    /// <returns>What it looks like.</returns>
    public static FileKind Of(string path)
    {
        using var file = File.OpenHandle(path);
        var length = RandomAccess.GetLength(file);
        var buffer = new byte[Math.Min(Looked, length)];
        var start = buffer.AsSpan(0, Math.Max(0, RandomAccess.Read(file, buffer, 0)));
        var end = new byte[8];
        if (length >= 8) RandomAccess.Read(file, end, length - 8);
        return Of(start, length, path, end);
    }

    private static FileKind Of(ReadOnlySpan<byte> start, long length, string path, ReadOnlySpan<byte> end)
    {
        if (start.IsEmpty) return Other("an empty file");
        // The length of a header may begin like any other format's mark.
        if (HasHeader(start, length)) return new FileKind(FileFormat.SafeTensors, "a safetensors file");
        if (start.StartsWith("PK\x03\x04"u8)) return new FileKind(FileFormat.Zip, "a zip archive");
        foreach (var (at, bytes, description) in Marks)
            if (start.Length > at && start[at..].StartsWith(bytes)) return Other(description);
        if (start[0] == 0x80 && start.Length > 1 && start[1] is >= 2 and <= 5)
            return Other($"a pickle that torch.save did not write: {SaveStateDict}");
        if (IsFlax(start)) return Other($"what looks like Flax's msgpack: {SaveStateDict}; kernels there are [in, out]");
        if (IsSafeTensors(start, length)) return new FileKind(FileFormat.SafeTensors, "a safetensors file");
        if (Text(start) is { } text) return OfText(text, path);
        if (IsOnnx(start, path)) return Other("an ONNX model, where a checkpoint is expected: name the state dict that it was exported from");
        if (end.SequenceEqual(TensorFlowEnd) || path.Contains(".ckpt.data-", StringComparison.Ordinal))
            return Other($"a part of a TensorFlow checkpoint: {SaveStateDict}");
        return Other($"{length} bytes that begin {Convert.ToHexStringLower(start[..Math.Min(8, start.Length)])}, which no known format does");
    }

    /// <summary>What a zip archive is that PyTorch did not write.</summary>
    /// <param name="names">Names of its entries.</param>
    /// <returns>What it looks like.</returns>
    public static string OfZip(IReadOnlyCollection<string> names)
    {
        if (names.Any(name => name is "model.weights.h5")) return $"a Keras model: {SaveStateDict}; kernels there are [in, out]";
        if (names.Any(name => name.EndsWith("/constants.pkl", StringComparison.Ordinal)))
            return "a TorchScript archive: load it by torch.jit.load and save its state_dict()";
        if (names.Any(name => name.Contains("models/", StringComparison.Ordinal) && name.EndsWith(".json", StringComparison.Ordinal)))
            return "an exported program (.pt2): save the model's state_dict()";
        if (names.Count > 0 && names.All(name => name.EndsWith(".npy", StringComparison.Ordinal)))
            return "a NumPy archive (.npz): save the arrays as safetensors";
        if (names.FirstOrDefault(Holds) is { } inner) return $"a zip archive that holds '{Excerpt.Of(inner)}': unpack it and name that file";
        return $"a zip archive with {names.Count} entries ({Excerpt.Of(names, 5)})";

        static bool Holds(string name) => System.IO.Path.GetExtension(name) is ".pt" or ".pth" or ".ckpt" or ".bin" or ".safetensors";
    }

    private static FileKind Other(string description) => new(FileFormat.Other, description);

    private static bool HasHeader(ReadOnlySpan<byte> start, long length) =>
        start.Length > 9 && start[8] == '{' && start[9] is (byte)'"' or (byte)'}' or (byte)' '
            && BinaryPrimitives.ReadInt64LittleEndian(start) is > 1 and var header && header <= length - 8;

    private static bool IsSafeTensors(ReadOnlySpan<byte> start, long length)
    {
        if (start.Length < 8) return false;
        var header = BinaryPrimitives.ReadInt64LittleEndian(start);
        // A header begins with '{'; a file that is cut or whose length is damaged is told so by the reader.
        return start.Length > 8 ? start[8] == '{' && header > 0 : header > 0 && header < length;
    }

    private static FileKind OfText(string text, string path)
    {
        var trimmed = text.TrimStart();
        bool Begins(string with) => trimmed.StartsWith(with, StringComparison.OrdinalIgnoreCase);
        if (trimmed.Length == 0) return Other("blanks");
        if (Begins("<!doctype html") || Begins("<html")) return Other("an HTML page, as a server gives it in the place of a file: download it again");
        if (Begins("<?xml") || Begins("<")) return Other("XML or HTML, as a server gives it in the place of a file: download it again");
        if (trimmed[0] is '{' or '[')
            return path.EndsWith(".index.json", StringComparison.Ordinal) || trimmed.Contains("\"weight_map\"", StringComparison.Ordinal)
                ? new FileKind(FileFormat.Index, "the index of a checkpoint in several files")
                : Other("JSON");
        var line = trimmed.ReplaceLineEndings("\n").Split('\n')[0];
        return Other($"a text that begins '{Excerpt.Of(line, 60)}'");
    }

    // A text, where the bytes are one: UTF-8 without control characters.
    private static string? Text(ReadOnlySpan<byte> start)
    {
        if (start.StartsWith((ReadOnlySpan<byte>)[0xef, 0xbb, 0xbf])) start = start[3..];
        var text = Encoding.UTF8.GetString(start);
        var cut = text.AsSpan(0, Math.Max(0, text.Length - 4)); // the last character may be cut
        foreach (var c in cut)
            if (c == '\uFFFD' || (char.IsControl(c) && c is not ('\n' or '\r' or '\t'))) return null;
        return text.Length > 4 || !text.Any(c => char.IsControl(c) && c is not ('\n' or '\r' or '\t') || c == '\uFFFD') ? text : null;
    }

    // A map with few entries, whose first key is a short text.
    private static bool IsFlax(ReadOnlySpan<byte> start)
    {
        var at = start[0] switch { >= 0x81 and <= 0x8f => 1, 0xde => 3, 0xdf => 5, _ => 0 };
        if (at == 0 || start.Length < at + 2) return false;
        var (size, text) = start[at] == 0xd9 ? (start[at + 1], at + 2) : (start[at] & 0x1f, at + 1);
        if (start[at] is not (>= 0xa1 and <= 0xbf or 0xd9) || start.Length < text + size) return false;
        foreach (var letter in start.Slice(text, size))
            if (letter is < 0x20 or > 0x7e) return false;
        return true;
    }

    // Its first field is the version of its format; the next is text of who wrote it, or the graph.
    private static bool IsOnnx(ReadOnlySpan<byte> start, string path) =>
        path.EndsWith(".onnx", StringComparison.OrdinalIgnoreCase)
        || (start.Length > 3 && start[0] == 0x08 && start[1] < 32 && start[2] is 0x12 or 0x3a);
}
