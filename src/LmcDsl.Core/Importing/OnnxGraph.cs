using System.Collections.Immutable;
using System.Globalization;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>
/// One graph on its way into the language of layers, for one example. What has no rule becomes a layer that fixes all that goes through it, where
/// the file says what shape it gives.
/// </summary>
/// <param name="proto">The file's content.</param>
/// <param name="folder">The file's folder.</param>
/// <param name="most">The largest number of entries of a constant.</param>
/// <param name="open">Sizes after the batch that the file leaves open, in their order; the last of them for all that follow.</param>
internal sealed class OnnxGraph(OnnxProto proto, string folder, long most, IReadOnlyList<int>? open = null)
{
    private readonly Dictionary<string, GraphValue> values = [];
    private readonly Dictionary<string, OnnxValue> shapes = [];
    private readonly GraphBuilder graph = new(folder, most);
    private int opened; // sizes that were left open and are taken from what was given

    /// <summary>The tensor of each parameter, and whether it lies the other way round there.</summary>
    public Dictionary<string, (OnnxTensor Tensor, bool Transposed)> Stored => graph.Stored;

    /// <summary>The file's tensors whose numbers became a part of what the network is, by name.</summary>
    public Dictionary<string, OnnxTensor> Fixed => graph.Fixed;

    /// <summary>Whether the file leaves sizes of a graph's inputs open, after the batch.</summary>
    public static bool IsOpen(OnnxProto proto)
    {
        var known = proto.Initializers.Select(tensor => tensor.Name).ToHashSet();
        return proto.Inputs.Any(input => !known.Contains(input.Name) && input.Shape.Where((size, d) => size == -1 && d != Batch(input.Shape)).Any());
    }

    /// <summary>Whether the export gave weights numbers in the place of their names.</summary>
    public bool LostNames => graph.Stored.Values.Any(stored => LayerNames.IsLost(stored.Tensor.Name));

    /// <summary>Reads the graph.</summary>
    /// <param name="name">The network's name.</param>
    /// <param name="output">Which output is the network's; all where none is named, of which the first is given.</param>
    public Architecture Import(string name, string? output = null)
    {
        Guard.Require(
            proto.Version is >= 7 and <= 28,
            $"expected an ONNX model of opset 7 to 28, found {(proto.Version == 0 ? "none" : proto.Version.ToString(CultureInfo.InvariantCulture))}");
        Begin();
        GraphValue[] inputs = [.. proto.Inputs.Where(input => !graph.Tensors.ContainsKey(input.Name)).Select(Described)];
        Guard.Require(
            inputs.Length >= 1 && proto.Outputs.Count >= 1, $"expected an input and an output, found {inputs.Length} and {proto.Outputs.Count}");
        Guard.Require(
            open is null || open.Count <= opened,
            $"expected a size for each that the file leaves open after the batch, {opened} of them, found {open?.Count}: {string.Join(" ", open ?? [])}");
        Read(inputs);
        Run();
        var asked = output ?? proto.Outputs[0].Name;
        Guard.Require(
            proto.Outputs.Any(known => known.Name == asked), $"expected an output among {Listing.Of(proto.Outputs.Select(known => known.Name))}, found '{asked}'");
        var first = Value(asked, "output");
        // An output that is a constant says nothing of the weights.
        GraphValue[] others = output is null
            ? [.. proto.Outputs.Skip(1).Select(other => Value(other.Name, "output")).Where(other => other.Constant is null && other.Node != Architecture.InputName)]
            : [];
        return Finish(name, first, others);
    }

    /// <summary>Reads the graph without a batch: each input as it is said, all outputs one after the other, each flattened.</summary>
    /// <param name="given">Inputs that are constants.</param>
    /// <param name="signals">The shapes of the others.</param>
    /// <param name="constants">The outputs that are constant, in their places.</param>
    /// <returns>The network; null where all outputs are constant.</returns>
    internal Architecture? ImportPlain(IReadOnlyDictionary<string, Tensor> given, IReadOnlyList<(string Name, long[] Shape, ScalarType Type)> signals, out Tensor[] constants)
    {
        Begin();
        foreach (var (input, tensor) in given) values[input] = graph.Constant(input, tensor);
        if (signals.Count > 0)
        {
            Read([.. signals.Select(signal => new GraphValue(signal.Name, signal.Shape) { Type = signal.Type })], plain: true);
        }
        else graph.Input(1);
        Run();
        GraphValue[] outputs = [.. proto.Outputs.Select(output => Value(output.Name, "output"))];
        constants = [.. outputs.Select(output => output.Constant!)];
        if (outputs.All(output => output.Constant is not null)) return null;
        var at = new GraphNode(new OnnxNode(), graph, [], proto.Version);
        var flat = outputs.Select(output => at.Reshape(graph.Unled(at.Proto, output), output.Count)).ToArray();
        var last = flat.Length == 1 ? flat[0] : graph.Emit(at.Proto, new Concatenation(), lead: false, flat);
        return Finish("graph", last with { Shape = [1, last.Count], Lead = true });
    }

    private void Begin()
    {
        foreach (var tensor in proto.Initializers) graph.Tensors[tensor.Name] = tensor;
        foreach (var value in proto.Values.Concat(proto.Outputs)) shapes[value.Name] = value;
    }

    // The axis of the batch: the first; where that has a fixed size and the second none, or one entry, the second.
    private static int Batch(IReadOnlyList<long> shape) => shape.Count >= 2 && shape[0] > 1 && shape[1] is -1 or 1 && shape.Count >= 3 ? 1 : 0;

    // A graph's input with its shape for one example.
    private GraphValue Described(OnnxValue input)
    {
        long[] shape = [.. input.Shape];
        var batch = Batch(shape);
        for (var d = 0; d < shape.Length; d++)
            if (d != batch && shape[d] == -1 && open is { Count: > 0 }) shape[d] = open[Math.Min(opened++, open.Count - 1)];
        Guard.Require(
            shape.Length >= 1 && shape.Where((_, d) => d != batch).All(size => size is >= 1 and <= int.MaxValue),
            $"input '{input.Name}': expected fixed sizes after the batch, found {Guard.Show(shape)}; export it without dynamic axes, at the size that it was trained on");
        if (shape[batch] > 1) graph.Batch = Math.Max(graph.Batch, shape[batch]);
        shape[batch] = 1;
        // Tokens and masks come as numbers like all examples, and are whole numbers, or true and false, from there on.
        var type = input.Type switch { 9 => ScalarType.Bool, 6 or 7 => ScalarType.Int64, _ => ScalarType.Float32 };
        return new GraphValue(input.Name, shape) { Type = type };
    }

    // Several inputs lie one after the other in an example, each flattened.
    private void Read(GraphValue[] inputs, bool plain = false)
    {
        bool Leads(GraphValue input) => !plain && input.Rank >= 2 && input.Shape[0] == 1;
        if (inputs is [var only])
        {
            var lead = Leads(only);
            var shape = lead ? only.Shape[1..] : only.Shape;
            if (shape.Length > 0)
            {
                graph.Input([.. GraphBuilder.Ints(shape)]);
                var given = graph.Given(only.Name, lead);
                values[only.Name] = plain ? given with { Type = only.Type } : ElementwiseRules.Convert(new GraphNode(new OnnxNode(), graph, [], proto.Version), given, only.Type);
                return;
            }
        }

        var total = inputs.Sum(input => input.Count);
        Guard.Require(total <= int.MaxValue, $"expected inputs of at most {int.MaxValue} numbers, found {total}");
        graph.Input((int)total);
        var at = new GraphNode(new OnnxNode(), graph, [], proto.Version);
        var start = 0L;
        foreach (var input in inputs)
        {
            var part = at.Slice(graph.Given("input", lead: false), 0, start, input.Count);
            part = at.Reshape(part, input.Shape) with { Name = input.Name };
            part = ElementwiseRules.Convert(at, part, input.Type);
            values[input.Name] = Leads(input) ? graph.Led(at.Proto, part) : part;
            start += input.Count;
        }
    }

    private void Run()
    {
        var nodes = OnnxFunctions.Inline(proto.Nodes, proto.Functions);
        // What gives a tensor back under another name does not read it: those who read that name do.
        bool IsAlias(OnnxNode node) => node.IsIdentity && graph.Tensors.ContainsKey(node.Inputs[0]);
        foreach (var read in nodes.Where(node => !IsAlias(node)).SelectMany(node => node.Inputs.Concat(Captured(node)).Select(input => (Input: input, Node: node))))
        {
            graph.Readers[read.Input] = graph.Readers.GetValueOrDefault(read.Input) + 1;
            if (!graph.Reader.TryAdd(read.Input, read.Node)) graph.Reader.Remove(read.Input);
        }

        foreach (var output in proto.Outputs) graph.Readers[output.Name] = graph.Readers.GetValueOrDefault(output.Name) + 1;
        foreach (var node in nodes) Import(node);
    }

    // What the branches of a node read of the graph around it.
    private static IEnumerable<string> Captured(OnnxNode node) =>
        node.Attributes.Values.Where(attribute => attribute.Graph is not null)
            .SelectMany(attribute => attribute.Graph!.Nodes.SelectMany(inner => inner.Inputs.Concat(Captured(inner))));

    private void Import(OnnxNode node)
    {
        if (node.Outputs.Count == 0) return;
        try
        {
            if (node is { Operator: "If", Domain: "" or "ai.onnx" })
            {
                Branch(node);
                return;
            }

            GraphValue?[] inputs = [.. node.Inputs.Select(input => input.Length == 0 ? null : Value(input, node.Place))];
            var rule = node.Domain is "" or "ai.onnx" ? GraphRules.Find(node.Operator) : null;
            if (rule is null) throw new RefusedException($"{node.Place}: expected an operator among {string.Join(", ", GraphRules.Names)}, found {(node.Domain is "" or "ai.onnx" ? "" : $"{node.Domain}.")}{node.Operator}");
            Give(node, rule(new GraphNode(node, graph, inputs, proto.Version)));
        }
        catch (RefusedException refused)
        {
            Fix(node, refused);
        }
        catch (System.Runtime.InteropServices.ExternalException error)
        {
            throw new LmcException($"{node.Place}: cannot be computed: {error.Message.Split('\n')[0]}", error);
        }
        catch (Exception error) when (error is ArithmeticException or ArgumentException or IndexOutOfRangeException or InvalidOperationException or KeyNotFoundException)
        {
            throw new LmcException($"{node.Place}: expected inputs and attributes that fit the operator, found others", error);
        }
        catch (LmcException error) when (!error.Message.Contains(node.Place, StringComparison.Ordinal))
        {
            throw new LmcException($"{node.Place}: {error.Message}", error);
        }
    }

    private void Give(OnnxNode node, GraphValue[] outputs)
    {
        for (var k = 0; k < node.Outputs.Count; k++)
        {
            if (node.Outputs[k].Length == 0) continue;
            if (k >= outputs.Length) break; // such as the mask of a dropout, which nobody reads
            var value = outputs[k];
            // Tensors of equal numbers are stored once: an identity gives the name back.
            values[node.Outputs[k]] = value.Parameter is { } stored && node.IsIdentity
                ? value with { Name = node.Outputs[k], Parameter = stored.Called(node.Outputs[k]) }
                : value;
        }
    }

    // All that goes through a node without a rule is fixed.
    private void Fix(OnnxNode node, RefusedException refused)
    {
        GraphValue[] inputs = [.. node.Inputs.Where(input => input.Length > 0).Select(input => Value(input, node.Place)).Where(input => input.Constant is null).DistinctBy(input => (input.Node, input.Name))];
        if (inputs.Length == 0) throw new LmcException(refused.Message);
        foreach (var output in node.Outputs.Where(output => output.Length > 0))
        {
            if (!shapes.TryGetValue(output, out var known) || !known.HasShape) throw new LmcException(refused.Message);
            long[] shape = [.. known.Shape];
            if (shape.Length > 0 && (shape[0] == -1 || shape[0] == graph.Batch)) shape[0] = 1;
            if (shape.Any(size => size is < 1 or > int.MaxValue)) throw new LmcException(refused.Message);
            var lead = shape.Length > 1 && shape[0] == 1;
            var at = new GraphNode(node, graph, [], proto.Version);
            values[output] = at.Emit(new Opaque($"node '{(node.Name.Length > 0 ? node.Name : output)}' ({node.Operator})", GraphBuilder.Ints(lead ? shape[1..] : shape)), lead, inputs);
        }
    }

    // A branch whose condition is known is the nodes of the branch.
    private void Branch(OnnxNode node)
    {
        var condition = Value(node.Inputs.FirstOrDefault(""), node.Place);
        if (graph.Whole(condition) is not [var chosen]) throw new RefusedException($"{node.Place}: expected a condition that is constant, found one that is computed");
        var branch = node.Attributes.GetValueOrDefault(chosen != 0 ? "then_branch" : "else_branch")?.Graph
            ?? throw new LmcException($"{node.Place}: expected two branches, found none");
        foreach (var tensor in branch.Initializers) graph.Tensors.TryAdd(tensor.Name, tensor);
        foreach (var inner in branch.Nodes) Import(inner);
        Guard.Require(branch.Outputs.Count >= node.Outputs.Count, $"{node.Place}: expected {node.Outputs.Count} outputs, found {branch.Outputs.Count}");
        Give(node, [.. branch.Outputs.Select(output => Value(output.Name, node.Place))]);
    }

    private GraphValue Value(string name, string what)
    {
        if (values.TryGetValue(name, out var known)) return known;
        if (!graph.Tensors.TryGetValue(name, out var tensor)) throw new LmcException($"{what}: expected a value that an earlier node gives, found '{name}'");
        // Whole numbers, and lone ones that no module calls its own, are what the network is; the rest is what it learned.
        Guard.Require(tensor.Shape.All(size => size >= 0), $"tensor '{name}': expected sizes of 0 or more, found {Guard.Show([.. tensor.Shape])}");
        var value = tensor.IsReal && !tensor.IsFixed && (tensor.Shape.Count > 0 || LayerNames.IsOfModule(name)) && tensor.Shape.All(size => size > 0)
            ? new GraphValue(name, [.. tensor.Shape]) { Parameter = tensor }
            : graph.Constant(name, graph.Fix(tensor));
        values[name] = value;
        return value;
    }

    private Architecture Finish(string name, GraphValue last, params GraphValue[] others)
    {
        Guard.Require(last.IsSignal, $"output: expected what the network computes, found a constant or a tensor of the file");
        var at = new GraphNode(new OnnxNode(), graph, [], proto.Version);
        last = graph.Led(at.Proto, last);
        if (!last.Lead || last.Rank != 2) last = graph.Emit(at.Proto, new Flatten(), lead: true, last);
        Guard.Require(graph.Nodes.Count > 0 && last.Node != Architecture.InputName, $"expected operators, found none");
        if (others.Length > 0) last = graph.Emit(at.Proto.Renamed("outputs", value => value, []), new Outputs(), lead: true, [last, .. others]);
        var input = graph.InputShape;
        return new Architecture(name, [.. input], Needed(last.Node!));
    }

    // What the output does not need, such as a classifier beside it, would be taken for the output.
    private ImmutableArray<LayerNode> Needed(string last)
    {
        var needed = new HashSet<string> { last };
        var kept = new List<LayerNode>();
        foreach (var node in graph.Nodes.Reverse().Where(node => needed.Contains(node.Name)))
        {
            needed.UnionWith(node.Inputs);
            kept.Add(node);
        }

        kept.Reverse();
        return [.. kept];
    }
}
