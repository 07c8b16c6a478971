using System.Collections.Immutable;
using System.Globalization;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Importing;

/// <summary>One graph on its way into the language of layers.</summary>
/// <param name="proto">The file's content.</param>
/// <param name="folder">The file's folder.</param>
internal sealed class OnnxGraph(OnnxProto proto, string folder)
{
    private readonly Dictionary<string, (OnnxTensor Tensor, string Name)> constants = [];
    private readonly Dictionary<string, string> names = []; // the layer that gives a value
    private readonly Dictionary<string, string> readers = []; // the node that has a tensor as its parameter
    private readonly List<LayerNode> nodes = [];

    /// <summary>The tensor of each parameter, and whether it lies the other way round there.</summary>
    public Dictionary<string, (OnnxTensor Tensor, bool Transposed)> Stored { get; } = [];

    public Architecture Import(string name)
    {
        Guard.Require(proto.Version is >= 9 and <= 23, $"expected an ONNX model of opset 9 to 23, found {(proto.Version == 0 ? "none" : proto.Version.ToString(CultureInfo.InvariantCulture))}");
        foreach (var tensor in proto.Initializers) constants[tensor.Name] = (tensor, tensor.Name);
        var inputs = proto.Inputs.Where(input => !constants.ContainsKey(input.Name)).ToArray();
        Guard.Require(inputs.Length == 1 && proto.Outputs.Count >= 1, $"expected one input and an output, found {inputs.Length} and {proto.Outputs.Count}");
        var shape = inputs[0].Shape.Skip(1).ToArray();
        Guard.Require(
            shape.Length >= 1 && shape.All(size => size is >= 1 and <= int.MaxValue),
            $"input '{inputs[0].Name}': expected fixed sizes after the batch, found {Guard.Show([.. inputs[0].Shape])}");
        names[inputs[0].Name] = Architecture.InputName;
        var rules = new OnnxOperators(Integers, Numbers, value => constants.TryGetValue(value, out var found) ? found.Tensor.Shape : null);
        foreach (var node in proto.Nodes) Import(node, rules);
        Guard.Require(nodes.Count > 0, $"expected operators, found none");
        var last = Source(proto.Outputs[0].Name, "output");
        // What the output does not need, such as a classifier beside it, would be taken for the output.
        return new Architecture(name, [.. shape.Select(size => (int)size)], Needed(last));
    }

    private void Import(OnnxNode node, OnnxOperators rules)
    {
        if (node.Outputs.Count == 0) return;
        if (node.Operator == "Constant" && node.Attributes.TryGetValue("value", out var value) && value.Tensor is { } tensor)
        {
            constants[node.Outputs[0]] = (tensor, node.Outputs[0]);
            return;
        }

        // Tensors of equal numbers are stored once: an identity gives the name back.
        // Limits are turned into the type that they limit, which changes none of them.
        var passes = node.Operator == "Identity"
            || (node.Operator == "Cast" && node.Attributes.GetValueOrDefault("to")?.Int is 1 or 10 or 11);
        if (passes && node.Inputs.Count == 1 && constants.TryGetValue(node.Inputs[0], out var same))
        {
            constants[node.Outputs[0]] = (same.Tensor, node.Outputs[0]);
            return;
        }

        if (node.Operator == "Split")
        {
            Split(node, rules);
            return;
        }

        if (node.Operator == "Add" && node.Inputs.Count == 2 && AddBias(node)) return;
        if (node.Operator == "Mul" && node.Inputs.Count == 2 && Gate(node)) return;
        var rule = rules.Of(node);
        if (rule.Layer is null)
        {
            names[node.Outputs[0]] = Source(Input(node, 0), OnnxOperators.Place(node));
            return;
        }

        Add(node, node.Outputs[0], rule);
        // A mean that drops height and width is pooled and flattened.
        if (node.Operator == "ReduceMean" && node.Attributes.TryGetValue("keepdims", out var keep) && keep.Int == 0)
            Add(node, node.Outputs[0], new OnnxRule(new Flatten(), [], []), nodes[^1].Name);
    }

    private void Add(OnnxNode node, string output, OnnxRule rule, params string[] from)
    {
        var reads = from.Length > 0 ? from : [.. rule.Data.Select(input => Source(Input(node, input), OnnxOperators.Place(node)))];
        var name = Unique(Name(node, rule));
        foreach (var (local, input) in rule.Parameters)
        {
            var read = Input(node, input);
            Guard.Require(constants.TryGetValue(read, out var found), $"{OnnxOperators.Place(node)}: expected '{read}' in the file, found none");
            Guard.Require(
                readers.TryAdd(read, name), $"{OnnxOperators.Place(node)}: expected tensors that one node has, found '{read}' in {readers.GetValueOrDefault(read)} too");
            Stored[$"{name}.{local}"] = (found.Tensor, rule.Transposed);
        }

        nodes.Add(new LayerNode(name, rule.Layer!, [.. reads]));
        names[output] = name;
    }

    // Parts of a split are slices of what it reads, one after the other.
    private void Split(OnnxNode node, OnnxOperators rules)
    {
        var source = Source(Input(node, 0), OnnxOperators.Place(node));
        var start = 0L;
        Guard.Require(
            node.Inputs.Count > 1 || node.Attributes.ContainsKey("split"), $"{OnnxOperators.Place(node)}: expected the lengths of its parts, found none");
        foreach (var (output, length) in node.Outputs.Zip(rules.Parts(node, 0)))
        {
            Guard.Require(length is >= 1 and <= int.MaxValue && start + length <= int.MaxValue, $"{OnnxOperators.Place(node)}: expected parts of 1 or more channels, found {length}");
            Add(node, output, new OnnxRule(new Slice((int)start, (int)length), [], []), source);
            start += length;
        }
    }

    // x W + b, written as two nodes.
    private bool AddBias(OnnxNode node)
    {
        var bias = Enumerable.Range(0, 2).FirstOrDefault(k => constants.ContainsKey(node.Inputs[k]), -1);
        if (bias < 0 || !names.TryGetValue(node.Inputs[1 - bias], out var before)) return false;
        if (nodes[^1].Name != before || nodes[^1].Layer is not Dense { Bias: false } dense) return false;
        if (!constants[node.Inputs[bias]].Tensor.Shape.SequenceEqual([dense.Units])) return false;
        nodes[^1] = nodes[^1] with { Layer = new Dense(dense.Units) };
        Stored[$"{before}.bias"] = (constants[node.Inputs[bias]].Tensor, false);
        names[node.Outputs[0]] = before;
        return true;
    }

    // x times the sigmoid of x, or the hard one.
    private bool Gate(OnnxNode node)
    {
        for (var k = 0; k < 2; k++)
        {
            if (!names.TryGetValue(node.Inputs[k], out var gate) || !names.TryGetValue(node.Inputs[1 - k], out var source)) continue;
            if (nodes.LastOrDefault(other => other.Name == gate) is not { Layer: Activation activation } gating || gating.Inputs[0] != source) continue;
            ActivationFunction? whole = activation.Function switch
            {
                ActivationFunction.Sigmoid => ActivationFunction.Silu,
                ActivationFunction.HardSigmoid => ActivationFunction.HardSwish,
                _ => null,
            };
            if (whole is not { } function) continue;
            Add(node, node.Outputs[0], new OnnxRule(new Activation(function), [], []), source);
            return true;
        }

        return false;
    }

    private ImmutableArray<LayerNode> Needed(string last)
    {
        var needed = new HashSet<string> { last };
        var kept = new List<LayerNode>();
        foreach (var node in Enumerable.Reverse(nodes).Where(node => needed.Contains(node.Name)))
        {
            needed.UnionWith(node.Inputs);
            kept.Add(node);
        }

        kept.Reverse();
        return [.. kept];
    }

    // By the weight's name, without its last word; else the node's own, whose slashes tell where it stands.
    private string Name(OnnxNode node, OnnxRule rule)
    {
        if (rule.Parameters.Length > 0 && constants.TryGetValue(Input(node, rule.Parameters[0].Input), out var weight))
        {
            var cut = weight.Name.LastIndexOf('.');
            if (cut > 0 && weight.Name[(cut + 1)..] == rule.Parameters[0].Local) return weight.Name[..cut];
            return weight.Name.Length > 0 ? weight.Name : node.Operator;
        }

        return node.Name.Length > 0 ? node.Name.Trim('/').Replace('/', '.') : $"{node.Operator.ToLowerInvariant()}{nodes.Count + 1}";
    }

    private string Unique(string name)
    {
        var bare = name is "" or Architecture.InputName ? $"{name}_" : name;
        var found = bare;
        for (var k = 2; nodes.Any(node => node.Name == found); k++) found = $"{bare}_{k}";
        return found;
    }

    private static string Input(OnnxNode node, int input) => input < node.Inputs.Count
        ? node.Inputs[input]
        : throw new LmcException($"{OnnxOperators.Place(node)}: expected an input {input}, found {node.Inputs.Count}");

    private string Source(string value, string what) => names.TryGetValue(value, out var name)
        ? name
        : throw new LmcException($"{what}: expected a value that an earlier node gives, found '{value}'");

    private long[]? Integers(string value) => constants.TryGetValue(value, out var found) && Few(found.Tensor) ? found.Tensor.Integers(folder) : null;

    private double[]? Numbers(string value) => constants.TryGetValue(value, out var found) && Few(found.Tensor) ? found.Tensor.Numbers(folder) : null;

    private static bool Few(OnnxTensor tensor) => tensor.Shape.Count <= 1 && tensor.Shape.All(size => size is >= 0 and <= 64);
}
