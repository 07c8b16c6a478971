namespace LmcDsl.Core.Importing;

/// <summary>Tensors and nodes that are put before a graph, made of a checkpoint's tensors.</summary>
/// <param name="proto">The graph.</param>
internal sealed class GraphEdit(OnnxProto proto)
{
    private readonly Dictionary<string, OnnxTensor> tensors = [];
    private readonly List<OnnxNode> nodes = [];
    private int named;

    /// <summary>A tensor of the checkpoint as one of the graph. Gives its name.</summary>
    public string Known(KnownTensor tensor)
    {
        if (!tensors.ContainsKey(tensor.Name)) tensors[tensor.Name] = tensor.Stored();
        return tensor.Name;
    }

    /// <summary>A tensor that is a part of what the network is. Gives its name.</summary>
    public string Fixed(string name, long count, Func<TorchSharp.torch.Tensor> numbers)
    {
        tensors[name] = OnnxTensor.From(name, "F32", [count], numbers);
        tensors[name].IsFixed = true;
        return name;
    }

    /// <summary>A list of whole numbers. Gives its name.</summary>
    public string Whole(params long[] values)
    {
        var name = Fresh();
        tensors[name] = OnnxTensor.From(name, values);
        return name;
    }

    /// <summary>A node of one output. Gives the output's name.</summary>
    public string Node(string operation, IEnumerable<string> inputs, params OnnxAttribute[] attributes)
    {
        var output = Fresh();
        nodes.Add(OnnxNode.Of(operation, inputs, output, attributes));
        return output;
    }

    public string Reshaped(string value, params long[] shape) => Node("Reshape", [value, Whole(shape)]);

    /// <summary>Neighbouring entries of an axis.</summary>
    public string Part(string value, int axis, long start, long length) => proto.Version < 10
        ? Node("Slice", [value], OnnxAttribute.Of("starts", start), OnnxAttribute.Of("ends", start + length), OnnxAttribute.Of("axes", axis))
        : Node("Slice", [value, Whole(start), Whole(start + length), Whole(axis)]);

    public string Joined(IReadOnlyList<string> values, int axis) => values is [var only] ? only : Node("Concat", values, OnnxAttribute.Of("axis", axis));

    /// <summary>Puts all of it before the graph's nodes; tensors of the graph that have such a name give way.</summary>
    public void Write()
    {
        proto.Initializers.RemoveAll(tensor => tensors.ContainsKey(tensor.Name));
        proto.Initializers.AddRange(tensors.Values);
        proto.Nodes.InsertRange(0, nodes);
    }

    private string Fresh() => $"restored:{++named}";
}
