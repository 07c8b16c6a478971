using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Checkpoints;

/// <summary>
/// A type of numbers that checkpoints hold. Torch computes with some of them; the others are carried as whole numbers of the same width,
/// which can be moved and written back bit for bit.
/// </summary>
/// <param name="Name">Its name in safetensors, for example <c>F32</c>.</param>
/// <param name="Bits">Bits of one number: 4 to 64.</param>
/// <param name="Carrier">The type of the tensors that hold such numbers here.</param>
/// <param name="IsComputed">Whether the carrier is the type itself, so that numbers can be computed with.</param>
public sealed record StoredType(string Name, int Bits, ScalarType Carrier, bool IsComputed)
{
    private static readonly StoredType[] Known =
    [
        new("F64", 64, ScalarType.Float64, true),
        new("F32", 32, ScalarType.Float32, true),
        new("F16", 16, ScalarType.Float16, true),
        new("BF16", 16, ScalarType.BFloat16, true),
        new("I64", 64, ScalarType.Int64, true),
        new("I32", 32, ScalarType.Int32, true),
        new("I16", 16, ScalarType.Int16, true),
        new("I8", 8, ScalarType.Int8, true),
        new("U8", 8, ScalarType.Byte, true),
        new("BOOL", 8, ScalarType.Bool, true),
        new("U64", 64, ScalarType.Int64, false),
        new("U32", 32, ScalarType.Int32, false),
        new("U16", 16, ScalarType.Int16, false),
        new("C64", 64, ScalarType.Int64, false),
        new("F8_E4M3", 8, ScalarType.Byte, false),
        new("F8_E5M2", 8, ScalarType.Byte, false),
        new("F8_E8M0", 8, ScalarType.Byte, false),
        new("F8_E4M3FNUZ", 8, ScalarType.Byte, false),
        new("F8_E5M2FNUZ", 8, ScalarType.Byte, false),
        new("F6_E2M3", 6, ScalarType.Byte, false),
        new("F6_E3M2", 6, ScalarType.Byte, false),
        new("F4", 4, ScalarType.Byte, false),
    ];

    private static readonly Dictionary<string, StoredType> ByName = Known.ToDictionary(type => type.Name);

    /// <summary>Whether a number has bytes of its own; where not, several share one, and a tensor is carried as its bytes in a row.</summary>
    public bool HasWholeBytes => Bits % 8 == 0;

    /// <summary>Whether whole numbers or truth values, which hold no mean.</summary>
    public bool IsWhole => Name[0] is 'I' or 'U' || Name == "BOOL";

    /// <summary>The type of that name.</summary>
    /// <param name="name">For example <c>F32</c>.</param>
    /// <param name="where">File and tensor, for the message.</param>
    /// <returns>The type.</returns>
    /// <exception cref="LmcException">No type has that name.</exception>
    public static StoredType Parse(string name, string where) =>
        ByName.TryGetValue(name, out var type)
            ? type
            : throw new LmcException($"{where}: expected a type among {string.Join(", ", Known.Select(k => k.Name))}, found {Excerpt.Of(name)}");

    /// <summary>The type whose numbers Torch holds so.</summary>
    /// <param name="type">Torch's type.</param>
    /// <param name="where">File and tensor, for the message.</param>
    /// <returns>For example that of the name <c>F32</c>.</returns>
    /// <exception cref="LmcException">Checkpoints hold no such type.</exception>
    public static StoredType Of(ScalarType type, string where) =>
        Known.FirstOrDefault(k => k.IsComputed && k.Carrier == type)
        ?? throw new LmcException($"{where}: expected a type among {string.Join(", ", Known.Where(k => k.IsComputed).Select(k => k.Carrier))}, found {type}");

    /// <summary>Bytes that so many numbers take.</summary>
    /// <param name="count">How many.</param>
    /// <param name="where">File and tensor, for the message.</param>
    /// <returns>The bytes.</returns>
    /// <exception cref="LmcException">They do not fill whole bytes, or are more than a file can hold.</exception>
    public long BytesOf(long count, string where)
    {
        var bits = (Int128)count * Bits;
        Guard.Require(bits % 8 == 0 && bits / 8 <= long.MaxValue, $"{where}: expected numbers that fill whole bytes, found {count} of {Bits} bits");
        return (long)(bits / 8);
    }

    /// <summary>Shape of the tensor that carries numbers of this type.</summary>
    /// <param name="shape">Shape of the numbers.</param>
    /// <returns>The same, or the bytes in a row.</returns>
    public long[] CarrierShape(ReadOnlySpan<long> shape) =>
        HasWholeBytes ? shape.ToArray() : [BytesOf(TensorEntry.CountOf(shape), Name)];

    /// <inheritdoc/>
    public override string ToString() => Name;
}
