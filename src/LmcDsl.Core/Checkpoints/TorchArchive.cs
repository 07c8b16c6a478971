using System.IO.Compression;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Checkpoints;

/// <summary>A zip archive as PyTorch's <c>torch.save</c> writes it (version 1.6 and later): a pickle, and a file for each storage.</summary>
internal sealed class TorchArchive : IDisposable
{
    private const string PickleName = "data.pkl";
    private const long LargestPickle = 1L << 28;

    private readonly string path;
    private readonly ZipArchive archive;
    private readonly ZipArchiveEntry pickle;
    private readonly string folder;

    /// <summary>Opens an archive.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="LmcException">It is damaged, of another tool, or of a machine with another order of bytes.</exception>
    public TorchArchive(string path)
    {
        this.path = path;
        var file = File.OpenRead(path);
        try
        {
            archive = new ZipArchive(file, ZipArchiveMode.Read);
            var pickles = archive.Entries.Where(entry => entry.FullName.EndsWith($"/{PickleName}", StringComparison.Ordinal)).ToArray();
            string[] names = [.. archive.Entries.Select(entry => entry.FullName)];
            var isScript = names.Any(name => name.EndsWith("/constants.pkl", StringComparison.Ordinal));
            Guard.Require(
                pickles.Length == 1 && !isScript, $"{path}: expected a PyTorch archive with one {PickleName}, found {FileKind.OfZip(names)}");
            pickle = pickles[0];
            folder = pickle.FullName[..^PickleName.Length];
            RequireLittleEndian();
        }
        catch (Exception error)
        {
            file.Dispose();
            throw Told(error);
        }
    }

    /// <summary>The pickle.</summary>
    /// <returns>Its bytes.</returns>
    public byte[] Pickle() => Bytes(pickle, LargestPickle);

    /// <summary>Finds a storage.</summary>
    /// <param name="key">Its key in the pickle.</param>
    /// <param name="where">File and tensor, for the message.</param>
    /// <returns>The entry that holds it.</returns>
    /// <exception cref="LmcException">There is none of that key, or it is compressed.</exception>
    public ZipArchiveEntry Storage(string key, string where)
    {
        var entry = archive.GetEntry($"{folder}data/{key}")
            ?? throw new LmcException($"{where}: expected the storage 'data/{Excerpt.Of(key)}', found no such entry");
        RequireStored(entry);
        return entry;
    }

    /// <summary>Opens an entry at a place in it.</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="at">The place, in bytes.</param>
    /// <returns>A stream from there.</returns>
    public static Stream OpenAt(ZipArchiveEntry entry, long at)
    {
        var stream = entry.Open();
        if (stream.CanSeek)
        {
            stream.Seek(at, SeekOrigin.Begin);
            return stream;
        }

        var passed = new byte[Math.Min(1 << 16, at)];
        while (at > 0)
        {
            var count = (int)Math.Min(passed.Length, at);
            stream.ReadExactly(passed, 0, count);
            at -= count;
        }

        return stream;
    }

    /// <summary>What an error while reading an archive says of it.</summary>
    /// <param name="error">The error.</param>
    /// <returns>One that names the file, where the archive is what is wrong.</returns>
    public Exception Told(Exception error) => error is InvalidDataException or EndOfStreamException or NotSupportedException
        ? new LmcException($"{path}: expected a PyTorch archive, found a damaged zip file: {Excerpt.Of(error.Message.ReplaceLineEndings(" "))}", error)
        : error;

    /// <summary>Closes the file.</summary>
    public void Dispose() => archive.Dispose();

    private void RequireLittleEndian()
    {
        if (archive.GetEntry($"{folder}byteorder") is not { } entry) return;
        var order = System.Text.Encoding.ASCII.GetString(Bytes(entry, 64));
        Guard.Require(order == "little", $"{path}: expected numbers in little-endian order, found '{order}'");
    }

    // PyTorch stores without compression, so that an entry is never larger than the file: nothing is made of a few bytes.
    private void RequireStored(ZipArchiveEntry entry) =>
        Guard.Require(
            entry.Length == entry.CompressedLength,
            $"{path}: {Excerpt.Of(entry.FullName)}: expected an entry without compression, as torch.save writes it, found {entry.CompressedLength} bytes for {entry.Length} (save it again in PyTorch)");

    private byte[] Bytes(ZipArchiveEntry entry, long limit)
    {
        RequireStored(entry);
        Guard.Require(entry.Length <= limit, $"{path}: {Excerpt.Of(entry.FullName)}: expected at most {limit} bytes, found {entry.Length}");
        // Read as far as there is something: the length in the archive's folder may be a damaged one.
        using var content = new MemoryStream();
        using var stream = entry.Open();
        stream.CopyTo(content);
        Guard.Require(content.Length == entry.Length, $"{path}: {Excerpt.Of(entry.FullName)}: expected {entry.Length} bytes, found {content.Length}");
        return content.ToArray();
    }
}
