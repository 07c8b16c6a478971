using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Checkpoints;

/// <summary>Types of numbers that checkpoints hold, by the names that safetensors gives them.</summary>
internal static class TensorType
{
    private static readonly (string Name, ScalarType Type, int Bytes)[] Known =
    [
        ("F64", ScalarType.Float64, 8),
        ("F32", ScalarType.Float32, 4),
        ("F16", ScalarType.Float16, 2),
        ("BF16", ScalarType.BFloat16, 2),
        ("I64", ScalarType.Int64, 8),
        ("I32", ScalarType.Int32, 4),
        ("I16", ScalarType.Int16, 2),
        ("I8", ScalarType.Int8, 1),
        ("U8", ScalarType.Byte, 1),
        ("BOOL", ScalarType.Bool, 1),
    ];

    /// <summary>The type of that name.</summary>
    /// <param name="name">For example <c>F32</c>.</param>
    /// <param name="where">File and tensor, for the message.</param>
    /// <returns>The type.</returns>
    /// <exception cref="LmcException">No type has that name.</exception>
    public static ScalarType Parse(string name, string where)
    {
        foreach (var known in Known)
            if (known.Name == name) return known.Type;
        throw new LmcException($"{where}: expected a type among {string.Join(", ", Known.Select(k => k.Name))}, found {name}");
    }

    /// <summary>The name of a type.</summary>
    /// <param name="type">The type.</param>
    /// <param name="where">File and tensor, for the message.</param>
    /// <returns>For example <c>F32</c>.</returns>
    /// <exception cref="LmcException">Checkpoints hold no such type.</exception>
    public static string NameOf(ScalarType type, string where) => Find(type, where).Name;

    /// <summary>Bytes of one number.</summary>
    /// <param name="type">A type that <see cref="Parse"/> gave.</param>
    /// <returns>1 to 8.</returns>
    public static int BytesOf(ScalarType type) => Find(type, "").Bytes;

    private static (string Name, ScalarType Type, int Bytes) Find(ScalarType type, string where)
    {
        foreach (var known in Known)
            if (known.Type == type) return known;
        throw new LmcException($"{where}: expected a type among {string.Join(", ", Known.Select(k => k.Type))}, found {type}");
    }
}
