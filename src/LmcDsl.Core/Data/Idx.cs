using System.Buffers.Binary;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Data;

/// <summary>
/// The IDX format of the MNIST family: two zero bytes, the type (8: bytes), the number of dimensions, each dimension's
/// size as a big-endian 32-bit number, then the bytes (LeCun, "The MNIST database", file format).
/// </summary>
public static class Idx
{
    private const int LargestArray = 1 << 30;

    /// <summary>Reads one array.</summary>
    /// <param name="content">The uncompressed content.</param>
    /// <param name="name">The file's name, for messages.</param>
    /// <param name="dimensions">How many dimensions are wanted: 3 for images, 1 for labels.</param>
    /// <returns>The sizes and the bytes.</returns>
    /// <exception cref="LmcException">
    /// Wrong magic number, another number of dimensions, fewer or more bytes than the header says; the line names the file.
    /// </exception>
    public static (int[] Sizes, byte[] Bytes) Read(ReadOnlySpan<byte> content, string name, int dimensions)
    {
        Guard.Require(content.Length >= 4, $"{name}: expected an IDX file, found {content.Length} bytes");
        var magic = BinaryPrimitives.ReadInt32BigEndian(content);
        var wanted = 0x800 + dimensions;
        Guard.Require(
            magic == wanted,
            $"{name}: expected the IDX magic number {wanted} (bytes in {dimensions} dimensions), found {magic}");
        var header = 4 + 4 * dimensions;
        Guard.Require(content.Length >= header, $"{name}: expected a header of {header} bytes, found {content.Length}");

        var sizes = new int[dimensions];
        var total = 1L;
        for (var d = 0; d < dimensions; d++)
        {
            sizes[d] = BinaryPrimitives.ReadInt32BigEndian(content[(4 + 4 * d)..]);
            Guard.Require(
                sizes[d] > 0 && total <= LargestArray / sizes[d],
                $"{name}: expected sizes of 1 or more that multiply to {LargestArray} at most, found {sizes[d]} for dimension {d}");
            total *= sizes[d];
        }

        Guard.Require(
            content.Length - header == total,
            $"{name}: expected {total} bytes after the header ({string.Join(" x ", sizes)}), found {content.Length - header}");
        return (sizes, content[header..].ToArray());
    }

    /// <summary>Reads images and their labels.</summary>
    /// <param name="images">Content of the file of images.</param>
    /// <param name="imagesName">Its name.</param>
    /// <param name="labels">Content of the file of labels.</param>
    /// <param name="labelsName">Its name.</param>
    /// <returns>Grey images of shape <c>[1, height, width]</c>.</returns>
    /// <exception cref="LmcException">As <see cref="Read"/>, or the two differ in number.</exception>
    public static RawImages ReadImages(
        ReadOnlySpan<byte> images, string imagesName, ReadOnlySpan<byte> labels, string labelsName)
    {
        var (sizes, pixels) = Read(images, imagesName, 3);
        var (counts, values) = Read(labels, labelsName, 1);
        Guard.Require(
            sizes[0] == counts[0],
            $"{labelsName}: expected {sizes[0]} labels, one for each image of {imagesName}, found {counts[0]}");
        return new RawImages([1, sizes[1], sizes[2]], pixels, values);
    }
}
