using System.Runtime.InteropServices;
using Google.Protobuf;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>A tensor in a model's file, or beside it.</summary>
internal sealed class OnnxTensor
{
    private readonly List<float> floats = [];
    private readonly List<long> integers = [];
    private readonly List<double> doubles = [];
    private readonly Dictionary<string, string> external = [];
    private ByteString? raw;
    private Func<Tensor>? elsewhere; // where the numbers are, of a tensor that is not the file's
    private long type;

    public string Name { get; private set; } = "";

    /// <summary>What the graph calls it where it reads it through a node that gives the name back, as tensors of equal numbers are stored once.</summary>
    public string? Alias { get; private set; }

    public List<long> Shape { get; } = [];

    // The types that ONNX numbers so, as Torch has them.
    private ScalarType Type => type switch
    {
        1 => ScalarType.Float32,
        2 => ScalarType.Byte,
        3 => ScalarType.Int8,
        5 => ScalarType.Int16,
        6 => ScalarType.Int32,
        9 => ScalarType.Bool,
        7 => ScalarType.Int64,
        10 => ScalarType.Float16,
        11 => ScalarType.Float64,
        16 => ScalarType.BFloat16,
        _ => throw new LmcException($"tensor '{Name}': expected float64, 32, 16, bfloat16, bool or whole numbers of 8 to 64 bits, found ONNX's type {type}"),
    };

    /// <summary>A tensor of real numbers that are not in the file.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="stored">Its type, as safetensors calls it: one of those that <see cref="Stored"/> gives.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="numbers">Its numbers, in the caller's dispose scope.</param>
    public static OnnxTensor From(string name, string stored, IEnumerable<long> shape, Func<Tensor> numbers)
    {
        var result = new OnnxTensor { Name = name, elsewhere = numbers, type = stored switch { "F32" => 1, "F16" => 10, "F64" => 11, "BF16" => 16, _ => 0 } };
        result.Shape.AddRange(shape);
        return result;
    }

    /// <summary>A list of whole numbers that no file holds.</summary>
    public static OnnxTensor From(string name, params long[] values)
    {
        var result = new OnnxTensor { Name = name, type = 7 };
        result.Shape.Add(values.Length);
        result.integers.AddRange(values);
        return result;
    }

    /// <summary>Whether it is a part of what the network is, such as a mask, and not what it learned, though its numbers are real.</summary>
    public bool IsFixed { get; set; }

    /// <summary>The same tensor under a name that the graph gives back.</summary>
    public OnnxTensor Called(string alias)
    {
        var result = (OnnxTensor)MemberwiseClone();
        result.Alias = alias;
        return result;
    }

    public static OnnxTensor Read(CodedInputStream input)
    {
        var result = new OnnxTensor();
        OnnxProto.Fields(input, (field, kind) =>
        {
            switch (field, kind)
            {
                case (1, _): OnnxProto.Integers(input, kind, result.Shape); break;
                case (2, OnnxProto.Varint): result.type = input.ReadInt64(); break;
                case (4, _): OnnxProto.Floats(input, kind, result.floats); break;
                case (5 or 7, _): OnnxProto.Integers(input, kind, result.integers); break;
                case (8, OnnxProto.Bytes): result.Name = input.ReadString(); break;
                case (9, OnnxProto.Bytes): result.raw = input.ReadBytes(); break;
                case (10, OnnxProto.Bytes): OnnxProto.Doubles(input.ReadBytes(), result.doubles); break;
                case (10, OnnxProto.Fixed64): result.doubles.Add(input.ReadDouble()); break;
                case (13, OnnxProto.Bytes): result.ReadExternal(input.ReadBytes().CreateCodedInput()); break;
                default: return false;
            }

            return true;
        });
        return result;
    }

    /// <summary>Whether its numbers are in a file beside the model.</summary>
    public bool IsBeside => external.Count > 0;

    /// <summary>The type of its numbers, as safetensors calls it.</summary>
    public string Stored => type switch { 1 => "F32", 10 => "F16", 11 => "F64", 16 => "BF16", _ => throw new LmcException($"tensor '{Name}': expected real numbers, found ONNX's type {type}") };

    /// <summary>Whether its numbers are real ones: what a network learns.</summary>
    public bool IsReal => type is 1 or 10 or 11 or 16;

    /// <summary>Requires a shape, and that the file holds as many numbers, before anything of that size is made.</summary>
    /// <param name="shape">The shape.</param>
    /// <exception cref="LmcException">It has another shape, or is cut.</exception>
    public void Require(ReadOnlySpan<long> shape)
    {
        Guard.Require(
            shape.SequenceEqual([.. Shape]), $"tensor '{Name}': expected a shape {Guard.Show(shape)}, found {Guard.Show([.. Shape])}");
        RequireHeld();
    }

    /// <summary>Requires that the file holds as many numbers as the shape says.</summary>
    /// <exception cref="LmcException">It is cut.</exception>
    public void RequireHeld()
    {
        if (external.Count == 0 && elsewhere is null) RequireStored(Count());
    }

    /// <summary>Its numbers.</summary>
    /// <param name="folder">The model's folder, where a file beside it may hold them.</param>
    /// <returns>The tensor, of its type and shape, on the CPU, in the caller's dispose scope.</returns>
    /// <exception cref="LmcException">There are not as many numbers as the shape says.</exception>
    public Tensor Load(string folder)
    {
        var count = Count();
        if (elsewhere is not null) return elsewhere();
        if (external.Count > 0) return FromBytes(ReadBeside(folder, count), count);
        RequireStored(count);
        if (raw is not null) return FromBytes(raw.ToByteArray(), count);
        // Half precision is stored as its bits in whole numbers.
        if (Type is ScalarType.Float16 or ScalarType.BFloat16)
            return FromBytes([.. integers.SelectMany(bits => BitConverter.GetBytes((ushort)bits))], count);
        var flat = floats.Count > 0 ? tensor(floats.ToArray()) : doubles.Count > 0 ? tensor(doubles.ToArray()) : tensor(integers.ToArray());
        return flat.to(Type).reshape([.. Shape]);
    }

    /// <summary>Its numbers, where they are whole ones in a list: shapes, axes, limits.</summary>
    public long[] Integers(string folder)
    {
        using var loaded = Load(folder);
        using var whole = loaded.to(ScalarType.Int64);
        return [.. MemoryMarshal.Cast<byte, long>(whole.contiguous().bytes)];
    }

    /// <summary>Its numbers, where they are few: limits.</summary>
    public double[] Numbers(string folder)
    {
        using var loaded = Load(folder);
        using var wide = loaded.to(ScalarType.Float64);
        return [.. MemoryMarshal.Cast<byte, double>(wide.contiguous().bytes)];
    }

    private Tensor FromBytes(byte[] bytes, long count)
    {
        using var scope = NewDisposeScope();
        RequireBytes(bytes.Length, count);
        var flat = zeros(count, Type);
        flat.bytes = bytes;
        return flat.reshape([.. Shape]).MoveToOuterDisposeScope();
    }

    private long Count()
    {
        var count = Shape.Aggregate(1L, (product, size) => product < 0 || size < 0 || (size > 0 && product > int.MaxValue / size) ? -1 : product * size);
        Guard.Require(count >= 0, $"tensor '{Name}': expected a shape of at most {int.MaxValue} numbers, found {Guard.Show([.. Shape])}");
        return count;
    }

    private void RequireStored(long count)
    {
        if (raw is not null)
        {
            RequireBytes(raw.Length, count);
            return;
        }

        var given = floats.Count > 0 ? floats.Count : doubles.Count > 0 ? doubles.Count : integers.Count;
        Guard.Require(given == count, $"tensor '{Name}': expected {count} numbers, found {given}");
    }

    private void RequireBytes(long bytes, long count)
    {
        var wanted = count * ElementSize();
        Guard.Require(bytes == wanted, $"tensor '{Name}': expected {wanted} bytes for {Guard.Show([.. Shape])}, found {bytes}");
    }

    private byte[] ReadBeside(string folder, long count)
    {
        var place = external.GetValueOrDefault("location", "");
        Guard.Require(
            place.Length > 0 && !Path.IsPathRooted(place) && !place.Split('/', '\\').Contains(".."),
            $"tensor '{Name}': expected a file in the model's folder, found '{place}'");
        var path = Path.Combine(folder, place);
        Guard.Require(File.Exists(path), $"tensor '{Name}': expected its numbers in {path}, found no such file");
        using var file = File.OpenRead(path);
        var offset = Number("offset", 0);
        var length = Number("length", count * ElementSize());
        Guard.Require(
            offset >= 0 && length >= 0 && offset <= file.Length - length && length <= int.MaxValue,
            $"tensor '{Name}': expected {length} bytes from {offset} on in {path}, found {file.Length} bytes");
        var bytes = new byte[length];
        file.Position = offset;
        file.ReadExactly(bytes);
        return bytes;
    }

    private long ElementSize()
    {
        using var one = zeros(1, Type);
        return one.bytes.Length;
    }

    private long Number(string key, long otherwise)
    {
        if (!external.TryGetValue(key, out var text)) return otherwise;
        Guard.Require(long.TryParse(text, out var value), $"tensor '{Name}': {key}: expected a number, found '{text}'");
        return value;
    }

    private void ReadExternal(CodedInputStream input)
    {
        var (key, value) = ("", "");
        OnnxProto.Fields(input, (field, type) =>
        {
            if (type != OnnxProto.Bytes) return false;
            if (field == 1) key = input.ReadString();
            else if (field == 2) value = input.ReadString();
            else return false;
            return true;
        });
        external[key] = value;
    }
}
