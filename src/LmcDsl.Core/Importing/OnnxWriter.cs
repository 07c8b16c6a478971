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
    private const int Graph = 7, Node = 1, Initializer = 5, TensorName = 8, Raw = 9;
    private const int Attribute = 5, TensorOfAttribute = 5, GraphOfAttribute = 6; // fields of a node, and of its attribute

    // Where a tensor says its numbers otherwise than as bytes, and that they are elsewhere.
    private static readonly int[] Numbers = [4, 5, 6, 7, 9, 10, 11, 13, 14];

    // Nothing of a branch is a weight.
    private static readonly Dictionary<string, Func<Tensor>> None = [];
    private static readonly Dictionary<string, (string Of, Func<Tensor> Numbers)> NoneSplit = [];

    /// <summary>Writes the model.</summary>
    /// <param name="stream">Where to write.</param>
    /// <param name="path">The model to copy.</param>
    /// <param name="numbers">New numbers of tensors, by the tensors' names, contiguous and of their types.</param>
    /// <param name="split">
    /// Tensors that take the place of nodes that give others back under another name: by that name, the other's and their own numbers.
    /// </param>
    public static void Write(
        Stream stream, string path, IReadOnlyDictionary<string, Func<Tensor>> numbers, IReadOnlyDictionary<string, (string Of, Func<Tensor> Numbers)> split)
    {
        using var file = File.OpenRead(path);
        var model = ByteString.FromStream(file);
        using var output = new CodedOutputStream(stream, leaveOpen: true);
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        Copy(model, output, (field, content) => field == Graph ? OfGraph(content, folder, numbers, split) : null);
        output.Flush();
    }

    private static ByteString OfGraph(
        ByteString graph, string folder, IReadOnlyDictionary<string, Func<Tensor>> numbers, IReadOnlyDictionary<string, (string Of, Func<Tensor> Numbers)> split)
    {
        var forms = new Dictionary<string, ByteString>(); // of tensors that others are split off
        return Rewritten(
            graph,
            (field, content) =>
            {
                if (field == Node)
                {
                    var node = OnnxNode.Read(content.CreateCodedInput());
                    return node.IsIdentity && split.ContainsKey(node.Outputs[0]) ? ByteString.Empty : Within(content, node, folder);
                }

                if (field != Initializer) return null;
                var own = OnnxTensor.Read(content.CreateCodedInput()).Name;
                if (split.Values.Any(other => other.Of == own)) forms[own] = content;
                return numbers.TryGetValue(own, out var make) ? Tensor(content, own, make) : Within(content, folder);
            },
            output =>
            {
                foreach (var (name, (of, make)) in split)
                {
                    output.WriteTag(Initializer, WireFormat.WireType.LengthDelimited);
                    output.WriteBytes(Tensor(forms[of], name, make));
                }
            });
    }

    // A tensor that no weight is, with its numbers within; null where they are.
    private static ByteString? Within(ByteString content, string folder)
    {
        var tensor = OnnxTensor.Read(content.CreateCodedInput());
        return tensor.IsBeside ? Tensor(content, tensor.Name, () => tensor.Load(folder)) : null;
    }

    // A node whose attributes have their numbers within, those of branches too; null where none could lie elsewhere.
    private static ByteString? Within(ByteString content, OnnxNode node, string folder)
    {
        if (node.Attributes.Values.All(attribute => attribute.Graph is null && attribute.Tensor is not { IsBeside: true })) return null;
        return Rewritten(content, (field, attribute) => field != Attribute ? null : Rewritten(attribute, (part, held) => part switch
        {
            TensorOfAttribute => Within(held, folder),
            GraphOfAttribute => OfGraph(held, folder, None, NoneSplit),
            _ => null,
        }));
    }

    private static ByteString Tensor(ByteString content, string name, Func<Tensor> make)
    {
        using var scope = NewDisposeScope();
        using var memory = new MemoryStream();
        using (var output = new CodedOutputStream(memory, leaveOpen: true))
        {
            Copy(content, output, (_, _) => null, [TensorName, .. Numbers]);
            output.WriteTag(TensorName, WireFormat.WireType.LengthDelimited);
            output.WriteString(name);
            output.WriteTag(Raw, WireFormat.WireType.LengthDelimited);
            output.WriteBytes(ByteString.CopyFrom(make().bytes));
        }

        return UnsafeByteOperations.UnsafeWrap(memory.ToArray());
    }

    private static ByteString Rewritten(ByteString message, Func<int, ByteString, ByteString?> change, Action<CodedOutputStream>? more = null)
    {
        using var memory = new MemoryStream();
        using (var output = new CodedOutputStream(memory, leaveOpen: true))
        {
            Copy(message, output, change);
            more?.Invoke(output);
        }

        Guard.Require(memory.Length <= int.MaxValue, $"expected a graph of at most {int.MaxValue} bytes, found {memory.Length}");
        return UnsafeByteOperations.UnsafeWrap(memory.GetBuffer().AsMemory(0, (int)memory.Length));
    }

    // Field by field; what the change gives takes the place of a message, or none where it is empty, and fields that are left out are not written.
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

            if (kind == WireFormat.WireType.LengthDelimited)
            {
                var content = input.ReadBytes();
                if (change(field, content) is not { } changed) changed = content;
                else if (changed.IsEmpty) continue;
                output.WriteTag(tag);
                output.WriteBytes(changed);
                continue;
            }

            output.WriteTag(tag);
            switch (kind)
            {
                case WireFormat.WireType.Varint: output.WriteUInt64(input.ReadUInt64()); break;
                case WireFormat.WireType.Fixed64: output.WriteFixed64(input.ReadFixed64()); break;
                case WireFormat.WireType.Fixed32: output.WriteFixed32(input.ReadFixed32()); break;
                default: throw new LmcException($"expected an ONNX model, found a field {field} of a kind that none has");
            }
        }
    }
}
