using Google.Protobuf;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>
/// Writes an ONNX file again with other numbers in some of its tensors. Every other field is copied as it is, what this library does not
/// know of included; a tensor whose numbers were in a file beside the model has them within it then.
/// </summary>
internal static class OnnxWriter
{
    private const int Graph = 7, Initializer = 5, Raw = 9;

    // Where a tensor says its numbers otherwise than as bytes, and that they are elsewhere.
    private static readonly int[] Numbers = [4, 5, 6, 7, 9, 10, 11, 13, 14];

    /// <summary>Writes the model.</summary>
    /// <param name="stream">Where to write.</param>
    /// <param name="path">The model to copy.</param>
    /// <param name="numbers">New numbers of tensors, by the tensors' names, contiguous and of their types.</param>
    public static void Write(Stream stream, string path, IReadOnlyDictionary<string, Func<Tensor>> numbers)
    {
        using var file = File.OpenRead(path);
        var model = ByteString.FromStream(file);
        using var output = new CodedOutputStream(stream, leaveOpen: true);
        Copy(model, output, (field, content) => field == Graph ? Rewritten(content, (inner, tensor) => inner == Initializer ? Tensor(tensor, numbers) : null) : null);
        output.Flush();
    }

    private static ByteString? Tensor(ByteString content, IReadOnlyDictionary<string, Func<Tensor>> numbers)
    {
        var name = OnnxTensor.Read(content.CreateCodedInput()).Name;
        if (!numbers.TryGetValue(name, out var make)) return null;
        using var scope = NewDisposeScope();
        using var memory = new MemoryStream();
        using (var output = new CodedOutputStream(memory, leaveOpen: true))
        {
            Copy(content, output, (_, _) => null, Numbers);
            output.WriteTag(Raw, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(ByteString.CopyFrom(make().bytes));
        }

        return UnsafeByteOperations.UnsafeWrap(memory.ToArray());
    }

    private static ByteString Rewritten(ByteString message, Func<int, ByteString, ByteString?> change)
    {
        using var memory = new MemoryStream();
        using (var output = new CodedOutputStream(memory, leaveOpen: true)) Copy(message, output, change);
        Guard.Require(memory.Length <= int.MaxValue, $"expected a graph of at most {int.MaxValue} bytes, found {memory.Length}");
        return UnsafeByteOperations.UnsafeWrap(memory.GetBuffer().AsMemory(0, (int)memory.Length));
    }

    // Field by field; what the change gives takes the place of a message, and fields that are left out are not written.
    private static void Copy(ByteString message, CodedOutputStream output, Func<int, ByteString, ByteString?> change, int[]? without = null)
    {
        var input = message.CreateCodedInput();
        while (input.ReadTag() is var tag and not 0)
        {
            var (field, kind) = (WireFormat.GetTagFieldNumber(tag), WireFormat.GetTagWireType(tag));
            if (without?.Contains(field) == true)
            {
                input.SkipLastField();
                continue;
            }

            output.WriteTag(tag);
            switch (kind)
            {
                case WireFormat.WireType.Varint: output.WriteUInt64(input.ReadUInt64()); break;
                case WireFormat.WireType.Fixed64: output.WriteFixed64(input.ReadFixed64()); break;
                case WireFormat.WireType.Fixed32: output.WriteFixed32(input.ReadFixed32()); break;
                case WireFormat.WireType.LengthDelimited:
                    var content = input.ReadBytes();
                    output.WriteBytes(change(field, content) ?? content);
                    break;
                default: throw new LmcException($"expected an ONNX model, found a field {field} of a kind that none has");
            }
        }
    }
}
