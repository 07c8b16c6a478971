using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Data;

/// <summary>
/// An array of NumPy's <c>.npy</c> format, versions 1 to 3: a magic text, a header that is a Python dict of three literals, the numbers
/// (numpy.lib.format). Numbers and truth values in C order; nothing that would have to be unpickled.
/// </summary>
/// <param name="Name">Where it comes from, for messages.</param>
/// <param name="Type">NumPy's name of the type, without the byte order: <c>u1</c>, <c>i8</c>, <c>f4</c>, ...</param>
/// <param name="Shape">Its sizes.</param>
/// <param name="Numbers">Its numbers, in little-endian order.</param>
public sealed partial record NpyArray(string Name, string Type, int[] Shape, byte[] Numbers)
{
    private static readonly byte[] Magic = [0x93, .. "NUMPY"u8];

    /// <summary>Reads a file's content.</summary>
    /// <param name="content">The content.</param>
    /// <param name="name">The file's name, for messages.</param>
    /// <returns>The array.</returns>
    /// <exception cref="LmcException">It is no such file, of another type or order, or shorter or longer than its header says.</exception>
    public static NpyArray Read(ReadOnlySpan<byte> content, string name)
    {
        Guard.Require(content.Length >= 12 && content[..6].SequenceEqual(Magic), $"{name}: expected a .npy array, found something else");
        var wide = content[6] >= 2;
        var (at, length) = wide
            ? (12L, (long)BinaryPrimitives.ReadUInt32LittleEndian(content[8..]))
            : (10L, BinaryPrimitives.ReadUInt16LittleEndian(content[8..]));
        Guard.Require(content[6] is >= 1 and <= 3, $"{name}: expected version 1 to 3 of the .npy format, found {content[6]}");
        Guard.Require(at + length <= content.Length, $"{name}: expected a header of {length} bytes, found {content.Length - at}");
        var header = Encoding.UTF8.GetString(content.Slice((int)at, (int)length)).Trim();
        var (type, order, shape) = Parse(header, name);
        var numbers = content[(int)(at + length)..].ToArray();
        var size = type[^1] - '0';
        var expected = Count(shape, size, name);
        Guard.Require(numbers.LongLength == expected, $"{name}: expected {expected} bytes of numbers, found {numbers.LongLength}");
        if (order == '>')
            for (var i = 0; i < numbers.Length; i += size) Array.Reverse(numbers, i, size);
        return new NpyArray(name, type, shape, numbers);
    }

    /// <summary>Reads the arrays of a <c>.npz</c> archive, by their names.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The arrays.</returns>
    /// <exception cref="LmcException">It is no such archive, or one of its arrays cannot be read; the line names it.</exception>
    public static IReadOnlyDictionary<string, NpyArray> ReadArchive(string path)
    {
        try
        {
            using var archive = ZipFile.OpenRead(path);
            var arrays = new Dictionary<string, NpyArray>();
            foreach (var entry in archive.Entries)
            {
                Guard.Require(entry.Length <= int.MaxValue - 64, $"{path}: expected arrays below 2 GB, found '{entry.FullName}' of {entry.Length} bytes");
                var name = entry.FullName.EndsWith(".npy", StringComparison.Ordinal) ? entry.FullName[..^4] : entry.FullName;
                using var source = entry.Open();
                using var content = new MemoryStream();
                source.CopyTo(content);
                arrays[name] = Read(content.GetBuffer().AsSpan(0, (int)content.Length), $"{path}, {name}");
            }

            return arrays;
        }
        catch (InvalidDataException error)
        {
            throw new LmcException($"{path}: expected a .npz archive, found a damaged file or something else: {error.Message}", error);
        }
    }

    /// <summary>The numbers as float32.</summary>
    /// <returns>As many as the sizes say.</returns>
    public float[] ToFloats()
    {
        var (size, numbers) = (Type[^1] - '0', Numbers);
        var values = new float[numbers.Length / size];
        for (var i = 0; i < values.Length; i++)
        {
            var at = numbers.AsSpan(i * size, size);
            values[i] = Type switch
            {
                "f2" => (float)BinaryPrimitives.ReadHalfLittleEndian(at),
                "f4" => BinaryPrimitives.ReadSingleLittleEndian(at),
                "f8" => (float)BinaryPrimitives.ReadDoubleLittleEndian(at),
                _ => Whole(at),
            };
        }

        return values;
    }

    /// <summary>The numbers as whole ones.</summary>
    /// <returns>As many as the sizes say.</returns>
    /// <exception cref="LmcException">They are of a type with fractions.</exception>
    public long[] ToWhole()
    {
        Guard.Require(Type[0] is 'u' or 'i' or 'b', $"{Name}: expected whole numbers, found the type {Type}");
        var size = Type[^1] - '0';
        return [.. Enumerable.Range(0, Numbers.Length / size).Select(i => Whole(Numbers.AsSpan(i * size, size)))];
    }

    private long Whole(ReadOnlySpan<byte> at) => Type switch
    {
        "u1" or "b1" => at[0],
        "i1" => (sbyte)at[0],
        "u2" => BinaryPrimitives.ReadUInt16LittleEndian(at),
        "i2" => BinaryPrimitives.ReadInt16LittleEndian(at),
        "u4" => BinaryPrimitives.ReadUInt32LittleEndian(at),
        "i4" => BinaryPrimitives.ReadInt32LittleEndian(at),
        _ => BinaryPrimitives.ReadInt64LittleEndian(at),
    };

    private static (string Type, char Order, int[] Shape) Parse(string header, string name)
    {
        var found = Header().Match(header);
        Guard.Require(
            found.Success,
            $"{name}: expected numbers or truth values (descr, fortran_order, shape), found {(header.Length > 120 ? header[..120] : header)}");
        Guard.Require(found.Groups["fortran"].Value == "False", $"{name}: expected C order, found Fortran order; save numpy.ascontiguousarray of it");
        var shape = new List<int>();
        foreach (var text in found.Groups["shape"].Value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            Guard.Require(
                int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var side),
                $"{name}: expected sizes of 32 bits, found {text}");
            shape.Add(side);
        }

        return (found.Groups["type"].Value, found.Groups["order"].Value[0], [.. shape]);
    }

    private static long Count(int[] shape, int size, string name)
    {
        long count = size;
        foreach (var side in shape)
        {
            Guard.Require(side == 0 || count <= int.MaxValue / side, $"{name}: expected an array below 2 GB, found sizes {string.Join(" x ", shape)}");
            count *= side;
        }

        return count;
    }

    [GeneratedRegex(
        @"^\{\s*'descr':\s*'(?<order>[<>|=])(?<type>[fiu][1248]|b1)',\s*'fortran_order':\s*(?<fortran>True|False),\s*'shape':\s*\((?<shape>[\d,\s]*)\),?\s*\}$")]
    private static partial Regex Header();
}
