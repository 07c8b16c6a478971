using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Data;

/// <summary>
/// The binary layout of CIFAR-10 (Krizhevsky, 2009): records of a label byte and 3,072 pixel bytes, first all red, then
/// all green, then all blue, each 32x32 by rows.
/// </summary>
public static class CifarBinary
{
    /// <summary>Number of classes.</summary>
    public const int Classes = 10;

    private const int Pixels = 3 * 32 * 32;
    private const int Record = Pixels + 1;

    /// <summary>Reads the records of several files as one set.</summary>
    /// <param name="files">Each file's name, for messages, and its content.</param>
    /// <returns>Images of shape <c>[3, 32, 32]</c>.</returns>
    /// <exception cref="LmcException">A file is empty or no whole number of records, or a label is out of range.</exception>
    public static RawImages Read(IReadOnlyList<(string Name, byte[] Content)> files)
    {
        foreach (var (name, content) in files)
            Guard.Require(
                content.Length > 0 && content.Length % Record == 0,
                $"{name}: expected records of {Record} bytes, found {content.Length} bytes");
        var count = files.Sum(f => f.Content.Length / Record);
        var (pixels, labels) = (new byte[count * Pixels], new byte[count]);
        var next = 0;
        foreach (var (name, content) in files)
            for (var at = 0; at < content.Length; at += Record, next++)
            {
                Guard.Require(
                    content[at] < Classes, $"{name}: expected labels below {Classes}, found {content[at]} in record {at / Record}");
                labels[next] = content[at];
                content.AsSpan(at + 1, Pixels).CopyTo(pixels.AsSpan(next * Pixels));
            }

        return new RawImages([3, 32, 32], pixels, labels);
    }
}
