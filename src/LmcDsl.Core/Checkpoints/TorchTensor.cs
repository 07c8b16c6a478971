using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Checkpoints;

/// <summary>A tensor as a pickle of PyTorch describes it, not yet checked: a file may hold many that nobody asks for.</summary>
/// <param name="storage">A reference to the storage.</param>
/// <param name="offset">Index of the first number in it.</param>
/// <param name="sizes">The shape.</param>
/// <param name="strides">Steps in the storage along each axis.</param>
/// <param name="type">The type, where the storage does not say it.</param>
/// <param name="marks">What is said of a view whose numbers are not those of the storage, such as a negative one.</param>
internal sealed class TorchTensor(object? storage, object? offset, object? sizes, object? strides, object? type, object? marks)
{
    // Types of storages, and of tensors, by PyTorch's names.
    private static readonly Dictionary<string, string> Types = new()
    {
        ["DoubleStorage"] = "F64",
        ["FloatStorage"] = "F32",
        ["HalfStorage"] = "F16",
        ["BFloat16Storage"] = "BF16",
        ["LongStorage"] = "I64",
        ["IntStorage"] = "I32",
        ["ShortStorage"] = "I16",
        ["CharStorage"] = "I8",
        ["ByteStorage"] = "U8",
        ["BoolStorage"] = "BOOL",
        ["ComplexFloatStorage"] = "C64",
        ["float64"] = "F64",
        ["float32"] = "F32",
        ["float16"] = "F16",
        ["bfloat16"] = "BF16",
        ["int64"] = "I64",
        ["int32"] = "I32",
        ["int16"] = "I16",
        ["int8"] = "I8",
        ["uint8"] = "U8",
        ["bool"] = "BOOL",
        ["uint64"] = "U64",
        ["uint32"] = "U32",
        ["uint16"] = "U16",
        ["complex64"] = "C64",
        ["float8_e4m3fn"] = "F8_E4M3",
        ["float8_e5m2"] = "F8_E5M2",
        ["float8_e8m0fnu"] = "F8_E8M0",
        ["float8_e4m3fnuz"] = "F8_E4M3FNUZ",
        ["float8_e5m2fnuz"] = "F8_E5M2FNUZ",
    };

    /// <summary>Checks the description against the archive.</summary>
    /// <param name="archive">The archive that holds the storages.</param>
    /// <param name="where">File and name, for messages.</param>
    /// <returns>The tensor's place.</returns>
    /// <exception cref="LmcException">
    /// It is not one that lies within a storage of the file; a tensor of more numbers than its storage has (a stride of 0) is refused too, so
    /// that nothing large is made of a small file.
    /// </exception>
    public StoredTensor Resolve(TorchArchive archive, string where)
    {
        if (storage is not PickleReference { Id: object?[] and ["storage", PickleGlobal kind, string key, _, long count, ..] })
            throw new LmcException($"{where}: expected a tensor in a storage of the file, found {PickleValue.Describe(storage)}");
        if (marks is PickleDict { Items: { Count: > 0 } said })
            throw new LmcException($"{where}: expected numbers as they are stored, found a view marked '{Excerpt.Of(said[0].Key)}': save it after .resolve_neg().resolve_conj()");
        if (offset is not long start || sizes is not object?[] shapes || strides is not object?[] steps)
            throw new LmcException($"{where}: expected a tensor's offset, shape and strides, found {PickleValue.Describe(offset)}, {PickleValue.Describe(sizes)}, {PickleValue.Describe(strides)}");
        var stored = StoredType.Parse(TypeName(kind, where), where);
        var entry = archive.Storage(key, where);
        if (kind.Name == "UntypedStorage" || kind.Name == "_UntypedStorage") count = count < 0 ? -1 : (long)((Int128)count * 8 / stored.Bits);
        Guard.Require(
            count >= 0 && count <= (Int128)entry.Length * 8 / stored.Bits,
            $"{where}: expected {count} numbers in data/{Excerpt.Of(key)}, found {entry.Length} bytes");
        var (shape, stride) = (Numbers(shapes, where), Numbers(steps, where));
        TensorEntry.RequireShape(shape, where);
        Guard.Require(
            TensorEntry.CountOf(shape) <= count,
            $"{where}: expected at most the {count} numbers of its storage, found shape {Excerpt.Of(shape)} with strides {Excerpt.Of(stride)} (an expanded tensor: save it after .contiguous())");
        var inRange = start >= 0 && shape.Length == stride.Length && stride.All(s => s >= 0)
            && (shape.Contains(0) || Last(start, shape, stride) < count);
        Guard.Require(
            inRange, $"{where}: expected a tensor within {count} numbers, found shape {Excerpt.Of(shape)} with strides {Excerpt.Of(stride)} at {start}");
        return new StoredTensor(entry, stored, start, shape, stride);
    }

    private string TypeName(PickleGlobal kind, string where)
    {
        var isUntyped = kind.Name is "UntypedStorage" or "_UntypedStorage";
        var said = isUntyped ? type as PickleGlobal : kind;
        return said is { Module: "torch" or "torch.storage" or "torch.cuda" } && Types.TryGetValue(said.Name, out var name)
            ? name
            : throw new LmcException($"{where}: expected numbers of a known type, found {said?.ToString() ?? PickleValue.Describe(type)}");
    }

    private static long[] Numbers(object?[] items, string where) =>
        [.. items.Select(item => item is long number ? number : throw new LmcException($"{where}: expected whole numbers as a shape, found {PickleValue.Describe(item)}"))];

    // Index of the last number, in 128 bits: shapes come from the file. At most 64 axes of less than 2^60 numbers, strides below 2^63.
    private static Int128 Last(long offset, long[] shape, long[] stride) =>
        shape.Zip(stride, (size, step) => (Int128)(size - 1) * step).Aggregate((Int128)offset, (sum, x) => sum + x);
}

/// <summary>A tensor's place in an archive, checked.</summary>
/// <param name="Storage">The entry of its storage.</param>
/// <param name="Type">The type of its numbers.</param>
/// <param name="Offset">Index of the first number.</param>
/// <param name="Shape">The shape.</param>
/// <param name="Stride">Steps along each axis.</param>
internal sealed record StoredTensor(System.IO.Compression.ZipArchiveEntry Storage, StoredType Type, long Offset, long[] Shape, long[] Stride)
{
    /// <summary>How many numbers lie from its first to its last one in the storage.</summary>
    public long Extent => Shape.Contains(0) ? 0 : 1 + Shape.Zip(Stride, (size, step) => (size - 1) * step).Sum();
}
