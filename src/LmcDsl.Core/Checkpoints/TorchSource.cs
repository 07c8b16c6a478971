using System.Collections.Immutable;
using System.IO.Compression;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Checkpoints;

/// <summary>
/// A zip archive that PyTorch's <c>torch.save</c> wrote (version 1.6 and later) of a state dict, or of a dict that holds one under
/// <c>state_dict</c>, <c>model_state_dict</c> or <c>model</c>. Nothing in the file is executed: its pickle may hold dicts, lists, numbers,
/// texts and tensors, and whatever else it names is refused.
/// </summary>
internal sealed class TorchSource : TensorSource
{
    private const long LargestPickle = 1L << 28;

    private static readonly Dictionary<string, ScalarType> Storages = new()
    {
        ["DoubleStorage"] = ScalarType.Float64,
        ["FloatStorage"] = ScalarType.Float32,
        ["HalfStorage"] = ScalarType.Float16,
        ["BFloat16Storage"] = ScalarType.BFloat16,
        ["LongStorage"] = ScalarType.Int64,
        ["IntStorage"] = ScalarType.Int32,
        ["ShortStorage"] = ScalarType.Int16,
        ["CharStorage"] = ScalarType.Int8,
        ["ByteStorage"] = ScalarType.Byte,
        ["BoolStorage"] = ScalarType.Bool,
    };

    private static readonly string[] Nested = ["state_dict", "model_state_dict", "model"];

    private readonly ZipArchive archive;
    private readonly string folder;
    private readonly StoredTensor[] tensors;

    public TorchSource(string path)
    {
        Path = path;
        var file = File.OpenRead(path);
        try
        {
            archive = new ZipArchive(file, ZipArchiveMode.Read);
            var pickles = archive.Entries.Where(e => e.FullName.EndsWith("/data.pkl", StringComparison.Ordinal)).ToArray();
            Guard.Require(
                pickles.Length == 1, $"{path}: expected a PyTorch archive with one data.pkl, found {pickles.Length} among {archive.Entries.Count} entries");
            folder = pickles[0].FullName[..^"data.pkl".Length];
            RequireLittleEndian();
            var read = new RestrictedPickle(Bytes(pickles[0], LargestPickle), path, RequireKnown, Build).Read();
            (Entries, tensors) = Entry(StateDict(read));
        }
        catch (Exception error)
        {
            file.Dispose();
            throw Told(error);
        }
    }

    public override string Path { get; }

    public override ImmutableArray<TensorEntry> Entries { get; }

    public override IReadOnlyDictionary<string, string> Metadata { get; } = new Dictionary<string, string>();

    public override void Dispose() => archive.Dispose();

    protected override Tensor Read(int index)
    {
        var (storage, offset, shape, stride) = tensors[index];
        using var scope = NewDisposeScope();
        var whole = empty(storage.Count, storage.Type);
        try
        {
            using var stream = storage.Entry.Open();
            Fill(whole, (bytes, _) => stream.ReadExactly(bytes.Span));
        }
        catch (Exception error)
        {
            throw Told(error);
        }

        return whole.as_strided(shape, stride, offset).contiguous().clone().MoveToOuterDisposeScope();
    }

    private Exception Told(Exception error) => error is InvalidDataException or EndOfStreamException
        ? new LmcException($"{Path}: expected a PyTorch archive, found a damaged zip file: {error.Message.ReplaceLineEndings(" ")}", error)
        : error;

    // A tensor that the pickle describes.
    private sealed record StoredTensor(Storage Storage, long Offset, long[] Shape, long[] Stride);

    private sealed record Storage(ZipArchiveEntry Entry, ScalarType Type, long Count);

    private void RequireKnown(PickleGlobal global)
    {
        var isKnown = (global.Module, global.Name) is ("collections", "OrderedDict") or ("torch._utils", "_rebuild_parameter" or "_rebuild_tensor_v2")
            || (global.Module == "torch" && Storages.ContainsKey(global.Name));
        Guard.Require(
            isKnown, $"{Path}: expected dicts, tensors and numbers only, found the global '{global.Module}.{global.Name}', which is refused (save a state dict)");
    }

    private object? Build(PickleGlobal global, object?[] arguments) => global.Name switch
    {
        "OrderedDict" => new Dictionary<object, object?>(),
        "_rebuild_tensor_v2" => Rebuild(arguments),
        "_rebuild_parameter" when arguments.Length > 0 => arguments[0],
        _ => throw new LmcException($"{Path}: expected a tensor or a dict, found a call of {global.Module}.{global.Name}"),
    };

    private StoredTensor Rebuild(object?[] arguments)
    {
        if (arguments is not [PickleReference { Id: object?[] id }, long offset, object?[] sizes, object?[] strides, ..]
            || id is not ["storage", PickleGlobal type, string key, string, long count])
            throw new LmcException($"{Path}: expected a tensor's storage, offset, size and stride, found {arguments.Length} arguments of other kinds");
        Guard.Require(
            Storages.ContainsKey(type.Name), $"{Path}: expected a storage among {string.Join(", ", Storages.Keys)}, found {type.Module}.{type.Name}");
        var entry = archive.GetEntry($"{folder}data/{key}")
            ?? throw new LmcException($"{Path}: expected the storage 'data/{key}', found no such entry");
        var (kind, shape, stride) = (Storages[type.Name], Numbers(sizes), Numbers(strides));
        RequireStored(entry);
        Guard.Require(
            count >= 0 && count <= entry.Length / TensorType.BytesOf(kind),
            $"{Path}: data/{key}: expected {count} numbers, found {entry.Length} bytes");
        var inRange = offset >= 0 && shape.Length == stride.Length && shape.All(s => s >= 0) && stride.All(s => s >= 0)
            && (shape.Contains(0) || Last(offset, shape, stride) < count);
        Guard.Require(
            inRange, $"{Path}: data/{key}: expected a tensor within {count} numbers, found shape {Guard.Show(shape)} with strides {Guard.Show(stride)} at {offset}");
        return new StoredTensor(new Storage(entry, kind, count), offset, shape, stride);
    }

    // Index of the last number, saturating: shapes come from the file.
    private static Int128 Last(long offset, long[] shape, long[] stride) =>
        shape.Zip(stride, (size, step) => (Int128)(size - 1) * step).Aggregate((Int128)offset, (sum, x) => sum + x);

    private long[] Numbers(object?[] items) =>
        [.. items.Select(item => item is long number ? number : throw new LmcException($"{Path}: expected whole numbers as a shape, found {item ?? "None"}"))];

    private Dictionary<object, object?> StateDict(object? read)
    {
        if (read is Dictionary<object, object?> dict)
        {
            if (dict.Values.Any(value => value is StoredTensor)) return dict;
            foreach (var key in Nested)
                if (dict.TryGetValue(key, out var inner) && inner is Dictionary<object, object?> found) return found;
            throw new LmcException($"{Path}: expected a state dict, found a dict with the keys {string.Join(", ", dict.Keys.Take(20))}");
        }

        throw new LmcException($"{Path}: expected a state dict, found {(read is StoredTensor ? "one tensor" : read?.GetType().Name ?? "None")}");
    }

    private (ImmutableArray<TensorEntry>, StoredTensor[]) Entry(Dictionary<object, object?> dict)
    {
        foreach (var (key, value) in dict)
            Guard.Require(
                key is string && value is StoredTensor, $"{Path}: expected names and tensors, found '{key}' with {value?.GetType().Name ?? "None"}");
        return (
            [.. dict.Select(d => new TensorEntry((string)d.Key, ((StoredTensor)d.Value!).Storage.Type, [.. ((StoredTensor)d.Value!).Shape]))],
            [.. dict.Values.Select(value => (StoredTensor)value!)]);
    }

    private void RequireLittleEndian()
    {
        if (archive.GetEntry($"{folder}byteorder") is not { } entry) return;
        var order = System.Text.Encoding.ASCII.GetString(Bytes(entry, 64));
        Guard.Require(order == "little", $"{Path}: expected numbers in little-endian order, found '{order}'");
    }

    // PyTorch stores without compression, so that an entry is never larger than the file: nothing is made of a few bytes.
    private void RequireStored(ZipArchiveEntry entry) =>
        Guard.Require(
            entry.Length == entry.CompressedLength, $"{Path}: {entry.FullName}: expected an entry without compression, found {entry.CompressedLength} bytes for {entry.Length}");

    private byte[] Bytes(ZipArchiveEntry entry, long limit)
    {
        RequireStored(entry);
        Guard.Require(entry.Length <= limit, $"{Path}: {entry.FullName}: expected at most {limit} bytes, found {entry.Length}");
        var bytes = new byte[entry.Length];
        using var stream = entry.Open();
        stream.ReadExactly(bytes);
        return bytes;
    }
}
