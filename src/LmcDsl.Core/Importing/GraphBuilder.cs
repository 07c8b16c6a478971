using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>
/// Writes layers one after the other and knows the shape of what each gives. A layer that reads constants only is computed at once, and
/// gives a constant.
/// </summary>
/// <param name="folder">The model's folder, where a file beside it may hold numbers.</param>
/// <param name="most">The largest number of entries of a constant.</param>
internal sealed class GraphBuilder(string folder, long most)
{
    private const int MostTogether = 16;

    private readonly Wiring wiring = new();
    private readonly List<LayerNode> nodes = [];
    private readonly Dictionary<string, Signal> signals = [];
    private readonly Dictionary<string, string> parameters = []; // the node of each parameter
    private readonly Dictionary<string, int> numbers = []; // how often a bare name was taken

    private long total; // numbers of all constants

    public IReadOnlyList<LayerNode> Nodes => nodes;

    /// <summary>The tensor of each parameter of the network, and whether it lies the other way round there.</summary>
    public Dictionary<string, (OnnxTensor Tensor, bool Transposed)> Stored { get; } = [];

    /// <summary>The file's tensors whose numbers became a part of what the network is, by name.</summary>
    public Dictionary<string, OnnxTensor> Fixed { get; } = [];

    /// <summary>How many nodes read a value; what several read must stay what it is.</summary>
    public Dictionary<string, int> Readers { get; } = [];

    /// <summary>The tensors of the file, by name.</summary>
    public Dictionary<string, OnnxTensor> Tensors { get; } = [];

    /// <summary>The node that reads a value, where one alone does.</summary>
    public Dictionary<string, OnnxNode> Reader { get; } = [];

    /// <summary>Examples of the batch that the graph was written for; 1 where sizes do not depend on it.</summary>
    public long Batch { get; set; } = 1;

    /// <summary>The model's folder.</summary>
    public string Folder => folder;

    /// <summary>Makes the network's input known.</summary>
    public void Input(params int[] shape) => signals[Architecture.InputName] = new Signal([.. shape.Select(wiring.Fixed)]);

    /// <summary>The shape of the network's input.</summary>
    public IEnumerable<int> InputShape => signals[Architecture.InputName].Axes.Select(axis => axis.Size);

    /// <summary>A value that the network reads as it is.</summary>
    public GraphValue Given(string name, bool lead) =>
        new(name, lead ? [1, .. signals[Architecture.InputName].Shape] : signals[Architecture.InputName].Shape) { Node = Architecture.InputName, Lead = lead, Batch = lead ? BatchPlace.First : null };

    /// <summary>A constant.</summary>
    /// <exception cref="LmcException">It has more entries than the file could mean.</exception>
    public GraphValue Constant(string name, Tensor value)
    {
        Guard.Require(value.numel() <= most, $"'{name}': expected a constant of at most {most} numbers, found {value.numel()}");
        total += value.numel();
        Guard.Require(total <= MostTogether * most, $"'{name}': expected constants of at most {MostTogether * most} numbers together, found more");
        // Half precision is how numbers are stored; what is computed is computed in float32.
        if (value.dtype is ScalarType.Float16 or ScalarType.BFloat16) value = value.to(ScalarType.Float32);
        return new GraphValue(name, value.shape) { Constant = value, Type = value.dtype };
    }

    /// <summary>The numbers of a tensor of the file, which become a part of what the network is.</summary>
    public Tensor Fix(OnnxTensor tensor)
    {
        Fixed[tensor.Name] = tensor;
        if (tensor.Alias is { } alias) Fixed[alias] = tensor;
        return tensor.Load(folder);
    }

    /// <summary>A constant of whole numbers.</summary>
    public GraphValue Whole(string name, params long[] values) => Constant(name, tensor(values));

    /// <summary>A number.</summary>
    public GraphValue Number(double value) => Constant($"{value}", tensor((float)value));

    /// <summary>The whole numbers of a constant; null where it is none.</summary>
    public long[]? Whole(GraphValue value)
    {
        var constant = value.Constant ?? (value.Parameter is { } stored && value.Count <= 1024 ? Fix(stored) : null);
        if (constant is null) return null;
        return [.. System.Runtime.InteropServices.MemoryMarshal.Cast<byte, long>(constant.to(ScalarType.Int64).contiguous().bytes)];
    }

    /// <summary>The number of a constant that has one; null where it is none.</summary>
    public double? Number(GraphValue value) => value.Count != 1 ? null
        : value.Constant is { } constant ? constant.to(ScalarType.Float64).reshape([1])[0].item<double>()
        : value.Parameter is { } stored ? Fix(stored).to(ScalarType.Float64).reshape([1])[0].item<double>()
        : null;

    /// <summary>Writes a layer, or computes it where all that it reads is constant.</summary>
    /// <param name="at">The node that it is for.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="lead">Whether what it gives has the batch as the graph's first axis.</param>
    /// <param name="inputs">What it reads, as signals.</param>
    public GraphValue Emit(OnnxNode at, Layer layer, bool lead, params GraphValue[] inputs) =>
        inputs.All(input => input.Constant is not null) ? Compute(at, layer, lead, inputs) : Write(Name(at), layer, lead, inputs);

    /// <summary>Writes a layer with parameters of its own.</summary>
    /// <param name="name">The layer's name, before the parameters'.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="input">What it reads.</param>
    /// <param name="tensors">Its parameters, by their names within it.</param>
    public GraphValue Emit(string name, Layer layer, GraphValue input, params (string Local, OnnxTensor Tensor, bool Transposed)[] tensors)
    {
        var unique = Unique(name);
        foreach (var (local, tensor, transposed) in tensors) Stored[$"{unique}.{local}"] = (tensor, transposed);
        return Write(unique, layer, input.Lead, input);
    }

    /// <summary>A parameter under a name of its own, which the file has the other way round.</summary>
    public GraphValue Turned(string name, GraphValue stored)
    {
        var unique = Unique(name);
        Stored[unique] = (stored.Parameter!, true);
        return Write(unique, new Parameter(Ints(stored.Shape.Reverse()), ParameterRole.Weight), lead: false, Given(Architecture.InputName, lead: true));
    }

    /// <summary>Gives the last layer another form, such as a bias.</summary>
    public void Replace(GraphValue value, Layer layer, string local, OnnxTensor tensor)
    {
        var at = nodes.FindIndex(node => node.Name == value.Node);
        nodes[at] = nodes[at] with { Layer = layer };
        Stored[$"{value.Node}.{local}"] = (tensor, false);
    }

    /// <summary>Calls a layer that was written otherwise.</summary>
    public GraphValue Rename(GraphValue value, string name)
    {
        var unique = Unique(name);
        var at = nodes.FindIndex(node => node.Name == value.Node);
        signals[unique] = signals[value.Node!];
        foreach (var (key, stored) in Stored.Where(pair => pair.Key.StartsWith($"{value.Node}.", StringComparison.Ordinal)).ToArray())
        {
            Stored.Remove(key);
            Stored[unique + key[value.Node!.Length..]] = stored;
        }

        nodes[at] = nodes[at] with { Name = unique };
        return value with { Node = unique };
    }

    /// <summary>The signal of a value without its batch axis, where the graph's first axis has one entry.</summary>
    public GraphValue Led(OnnxNode at, GraphValue value)
    {
        if (value.Lead || value.Rank == 0 || value.Shape[0] != 1) return value;
        if (value.Constant is not null) return value with { Lead = true };
        var found = Emit(at, new Reshaping(Ints(value.Shape[1..])), lead: true, value);
        return found with { Type = value.Type };
    }

    /// <summary>The signal of a value with all of the graph's axes.</summary>
    public GraphValue Unled(OnnxNode at, GraphValue value)
    {
        if (!value.Lead) return value;
        if (value.Constant is not null) return value with { Lead = false };
        var found = Emit(at, new Reshaping(Ints(value.Shape)), lead: false, value);
        return found with { Type = value.Type };
    }

    /// <summary>
    /// Values that are taken entry by entry, in one form: without their batch axes where all that have it stand first, else with all axes.
    /// </summary>
    public GraphValue[] Align(OnnxNode at, params GraphValue[] values)
    {
        var rank = values.Max(value => value.Rank);
        var lead = values.Any(value => value.Lead && value.Rank == rank && value.IsSignal)
            && values.All(value => value.Rank < rank || (value.Rank > 0 && value.Shape[0] == 1));
        return [.. values.Select(value => lead && value.Rank == rank ? Led(at, value) : Unled(at, value))];
    }

    /// <summary>Whether one of the values stands without its batch axis.</summary>
    public static bool IsLed(IEnumerable<GraphValue> aligned)
    {
        var rank = aligned.Max(value => value.Rank);
        return aligned.Any(value => value.Lead && value.Rank == rank && value.IsSignal);
    }

    public static System.Collections.Immutable.ImmutableArray<int> Ints(IEnumerable<long> sizes) => [.. sizes.Select(size => size is >= 0 and <= int.MaxValue
        ? (int)size
        : throw new LmcException($"expected sizes of 0 to {int.MaxValue}, found {size}"))];

    private GraphValue Write(string name, Layer layer, bool lead, params GraphValue[] inputs)
    {
        GraphValue[] read = [.. inputs.Select(Node)];
        wiring.Enter(name);
        var signal = layer.Wire(wiring, [.. read.Select(input => signals[input.Node!])]);
        Sizes.Product($"layer '{name}': numbers of one example", [.. signal.Axes.Select(axis => axis.Size)]);
        signals[name] = signal;
        nodes.Add(new LayerNode(name, layer, [.. read.Select(input => input.Node!)]));
        long[] shape = lead ? [1, .. signal.Shape] : signal.Shape;
        return new GraphValue(name, shape)
        {
            Node = name,
            Lead = lead,
            Batch = BatchPlace.Behind(layer, inputs, shape),
            From = (layer, inputs),
            Type = inputs.Length > 0 ? inputs[0].Type : ScalarType.Float32,
        };
    }

    // A value as a layer gives it.
    private GraphValue Node(GraphValue value)
    {
        if (value.Node is not null) return value;
        if (value.Parameter is { } stored)
        {
            if (!parameters.TryGetValue(value.Name, out var known))
            {
                stored.RequireHeld();
                known = Unique(value.Name);
                Write(known, new Parameter(Ints(value.Shape), RoleOf(value)), lead: false, Given(Architecture.InputName, lead: true));
                parameters[value.Name] = known;
                Stored[known] = (stored, false);
            }

            return value with { Node = known };
        }

        var constant = value.Lead ? value.Constant!.squeeze(0) : value.Constant!;
        return value with { Node = Write(Unique($"{value.Name}.constant"), Architectures.Constant.Of(constant), lead: false, Given(Architecture.InputName, lead: true)).Node };
    }

    // What a tensor that stands by itself is for, by its shape and its name.
    private static ParameterRole RoleOf(GraphValue value) =>
        value.Name.EndsWith("running_mean", StringComparison.Ordinal) || value.Name.EndsWith("running_var", StringComparison.Ordinal) ? ParameterRole.Statistic
        : value.Shape.Count(size => size > 1) >= 2 ? ParameterRole.Weight
        : value.Name.EndsWith("weight", StringComparison.Ordinal) ? ParameterRole.NormWeight
        : value.Name.EndsWith("bias", StringComparison.Ordinal) ? ParameterRole.NormBias
        : ParameterRole.Bias;

    private GraphValue Compute(OnnxNode at, Layer layer, bool lead, GraphValue[] inputs)
    {
        // As a layer would be wired: sizes are checked before anything is made.
        if (inputs.All(input => input.Shape.All(size => size >= 1)))
        {
            var scratch = new Wiring();
            var shape = layer.Wire(scratch, [.. inputs.Select(input => new Signal([.. Ints(input.SignalShape).Select(scratch.Fixed)]))]).Shape;
            var count = shape.Aggregate(1.0, (product, size) => product * size);
            Guard.Require(count <= most, $"{at.Place}: expected a constant of at most {most} numbers, found {count}");
        }

        var result = layer.Forward([], [.. inputs.Select(input => input.Lead ? input.Constant! : input.Constant!.unsqueeze(0))], Mode.Evaluation);
        return Constant(at.Outputs.FirstOrDefault("constant"), lead ? result : result.squeeze(0)) with { Lead = lead };
    }

    /// <summary>A name for a node's layer: its own, whose slashes tell where it stands.</summary>
    public string Name(OnnxNode at) =>
        Unique(at.Name.Length > 0 ? at.Name.Trim('/').Replace('/', '.') : at.Operator.Length > 0 ? $"{at.Operator.ToLowerInvariant()}{nodes.Count + 1}" : "layer");

    private string Unique(string name)
    {
        var bare = name is "" or Architecture.InputName ? $"{name}_" : name;
        var found = bare;
        while (signals.ContainsKey(found))
        {
            var next = numbers.GetValueOrDefault(bare, 1) + 1;
            numbers[bare] = next;
            found = $"{bare}_{next}";
        }

        return found;
    }
}
