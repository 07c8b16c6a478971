using System.Buffers.Binary;
using System.Text;

namespace LmcDsl.Core.Runtime;

/// <summary>
/// Marks one symbol version that an ELF library needs as weak, so that the loader does not refuse the library where the
/// system's copy of the needed one is older. Sound only where no relocation uses a symbol of that version, as in
/// libLibTorchSharp 0.107: its one symbol of GLIBCXX_3.4.32 is a marker that GCC 13 emits for &lt;iostream&gt;.
/// Layout: System V gABI, section headers; LSB 5.0, 10.7 (Elf64_Verneed, Elf64_Vernaux).
/// </summary>
internal static class WeakVersionNeed
{
    private const uint VersionNeedSection = 0x6ffffffe; // SHT_GNU_verneed
    private const ushort WeakFlag = 0x2; // VER_FLG_WEAK

    /// <summary>Sets the weak flag in place.</summary>
    /// <param name="elf">The whole file: 64-bit, little-endian.</param>
    /// <param name="version">The version's name, for example <c>GLIBCXX_3.4.32</c>.</param>
    /// <returns>How many entries were marked; 0 where the file does not need that version.</returns>
    /// <exception cref="LmcException">Not a 64-bit little-endian ELF file.</exception>
    public static int Mark(Span<byte> elf, string version)
    {
        if (elf.Length < 64 || !elf[..6].SequenceEqual<byte>([0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1]))
            throw new LmcException("the native Torch library is not a 64-bit little-endian ELF file");

        var sections = (int)BinaryPrimitives.ReadUInt64LittleEndian(elf[0x28..]);
        var size = BinaryPrimitives.ReadUInt16LittleEndian(elf[0x3a..]);
        var count = BinaryPrimitives.ReadUInt16LittleEndian(elf[0x3c..]);
        var marked = 0;
        for (var section = 0; section < count; section++)
        {
            var header = elf.Slice(sections + section * size, size);
            if (BinaryPrimitives.ReadUInt32LittleEndian(header[0x04..]) != VersionNeedSection) continue;
            var strings = elf.Slice(sections + (int)BinaryPrimitives.ReadUInt32LittleEndian(header[0x28..]) * size, size);
            var names = (int)BinaryPrimitives.ReadUInt64LittleEndian(strings[0x18..]);
            marked += MarkIn(elf, (int)BinaryPrimitives.ReadUInt64LittleEndian(header[0x18..]), names, version);
        }

        return marked;
    }

    private static int MarkIn(Span<byte> elf, int need, int names, string version)
    {
        var marked = 0;
        while (true)
        {
            var entries = BinaryPrimitives.ReadUInt16LittleEndian(elf[(need + 2)..]);
            var entry = need + (int)BinaryPrimitives.ReadUInt32LittleEndian(elf[(need + 8)..]);
            for (var k = 0; k < entries; k++)
            {
                var name = names + (int)BinaryPrimitives.ReadUInt32LittleEndian(elf[(entry + 8)..]);
                if (NameAt(elf, name) == version)
                {
                    var flags = BinaryPrimitives.ReadUInt16LittleEndian(elf[(entry + 4)..]);
                    BinaryPrimitives.WriteUInt16LittleEndian(elf[(entry + 4)..], (ushort)(flags | WeakFlag));
                    marked++;
                }

                entry += (int)BinaryPrimitives.ReadUInt32LittleEndian(elf[(entry + 12)..]);
            }

            var next = (int)BinaryPrimitives.ReadUInt32LittleEndian(elf[(need + 12)..]);
            if (next == 0) return marked;
            need += next;
        }
    }

    private static string NameAt(ReadOnlySpan<byte> elf, int offset)
    {
        var text = elf[offset..];
        return Encoding.ASCII.GetString(text[..text.IndexOf((byte)0)]);
    }
}
