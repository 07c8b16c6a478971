using System.Collections.Immutable;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Architectures;

/// <summary>
/// An architecture that has been checked and wired: its parameters, its permutation groups, its taps, and its forward
/// pass as a pure function of parameters and input. Holds no tensors.
/// </summary>
public sealed class Network
{
    private const long MostNumbers = 1L << 40;

    private readonly ForwardPass pass;
    private PermutedAxis[][]? innermost;

    /// <summary>Wires an architecture.</summary>
    /// <param name="architecture">The description.</param>
    /// <exception cref="LmcException">A layer does not fit what it reads; the line names the layer.</exception>
    public Network(Architecture architecture)
    {
        Architecture = architecture;
        Guard.Require(
            architecture.Input.All(size => size >= 1),
            $"network '{architecture.Name}': expected an input of sizes of 1 or more, found {Guard.Show([.. architecture.Input.Select(size => (long)size)])}");
        Sizes.Product($"network '{architecture.Name}': numbers of one example", architecture.Input.AsSpan());
        var wiring = new Wiring();
        wiring.Enter(Architecture.InputName);
        var signals = new Dictionary<string, Signal>
        {
            [Architecture.InputName] = new([.. architecture.Input.Select(wiring.Fixed)]),
        };
        foreach (var node in architecture.Nodes) signals.Add(node.Name, Wire(wiring, node, signals));
        var output = signals[architecture.Nodes[^1].Name];
        wiring.Enter("output");
        foreach (var axis in output.Axes) wiring.Fix(axis);
        Guard.Require(
            output.Axes.Length is 1 or 2,
            $"network '{architecture.Name}': expected an output of one axis, the classes, or of positions and classes, found {Guard.Show(output.Shape)}; put a flatten before the last layer");
        Classes = output.Axes[^1].Size;
        Positions = output.Axes.Length == 2 ? output.Axes[0].Size : null;
        Vocabulary = FindVocabulary(architecture);

        RequireCountable(wiring.Parameters);
        Parameters = Place(wiring.Parameters);
        LearnedCount = Parameters.Where(p => p.Learned).Sum(p => p.Count);
        TotalCount = Parameters.Sum(p => p.Count);
        var symmetry = new Symmetry(wiring, architecture, signals, Parameters);
        (Groups, Turns, Outputs, Taps) = (symmetry.Groups, symmetry.Turns, symmetry.Outputs, symmetry.Taps);
        Notes = [.. wiring.Notes];
        Pins = symmetry.Pins;
        pass = new ForwardPass(architecture, wiring.Uses, [.. architecture.Nodes.Select(node => signals[node.Name].Shape)]);
    }

    private Network(Network network, IEnumerable<ParameterSpec> more, IEnumerable<PermutationGroup> groups)
    {
        (Architecture, Classes, Positions, Vocabulary, pass) = (network.Architecture, network.Classes, network.Positions, network.Vocabulary, network.pass);
        (Groups, Turns, Outputs, Taps, Notes, Pins) = ([.. groups], network.Turns, network.Outputs, network.Taps, network.Notes, network.Pins);
        Parameters = Place([.. network.Parameters, .. more]);
        LearnedCount = Parameters.Where(p => p.Learned).Sum(p => p.Count);
        TotalCount = Parameters.Sum(p => p.Count);
    }

    /// <summary>The description that this network was wired from.</summary>
    public Architecture Architecture { get; }

    /// <summary>The description as text, which is the same for two networks that are.</summary>
    internal string Described => field ??= Architecture.ToJson();

    /// <summary>All parameters in the order in which the layers declare them.</summary>
    public ImmutableArray<ParameterSpec> Parameters { get; }

    /// <summary>The permutation groups, derived from the description.</summary>
    public ImmutableArray<PermutationGroup> Groups { get; }

    /// <summary>
    /// The groups of units that may be transformed by more than permutations, or by other matrices: their class says by which. Where such a
    /// group's <see cref="PermutationGroup.Parent"/> is one of <see cref="Groups"/>, each of its copies has a matrix of its own.
    /// </summary>
    public ImmutableArray<PermutationGroup> Turns { get; }

    /// <summary>What each node gives, and which group permutes it; in the order of the nodes.</summary>
    public ImmutableArray<NodeOutput> Outputs { get; }

    /// <summary>Where each group's activations are read.</summary>
    public ImmutableArray<Tap> Taps { get; }

    /// <summary>What is not permuted since two sides of it could not be brought together, layer by layer; empty for most networks.</summary>
    public ImmutableArray<string> Notes { get; }

    /// <summary>What of the parameters is not permuted, and because of which node.</summary>
    public ImmutableArray<FixedAxis> Pins { get; }

    /// <summary>Number of classes, or of tokens that may come next: the size of the output's last axis.</summary>
    public int Classes { get; }

    /// <summary>At how many positions the network classifies; null where it gives one answer for each example.</summary>
    public int? Positions { get; }

    /// <summary>Where the network reads tokens, how many there are; null where it reads numbers.</summary>
    public int? Vocabulary { get; }

    /// <summary>Learned numbers: they fill the first part of the flat buffer.</summary>
    public long LearnedCount { get; }

    /// <summary>All numbers, running statistics included: the length of the flat buffer.</summary>
    public long TotalCount { get; }

    /// <summary>
    /// Index of the first node with parameters, where it is linear in them and all that follows reads it alone; -1 where
    /// there is no such node. Its output then is linear along a line between two models.
    /// </summary>
    internal int FirstLinear => pass.FirstLinear;

    /// <summary>The network's output, as a function of its parameters and its input.</summary>
    /// <param name="parameters">One tensor for each of <see cref="Parameters"/>, of its shape.</param>
    /// <param name="input">A batch of examples: <c>[batch, ...Architecture.Input]</c>, or <c>[batch, features]</c> of the same size.</param>
    /// <param name="mode">Training or evaluation.</param>
    /// <param name="tap">
    /// Called with each node's name and output, where activations are wanted. The output is freed once later nodes have read it: what is kept is an
    /// alias, or a copy.
    /// </param>
    /// <param name="precision">In which numbers linear layers multiply.</param>
    /// <returns>The logits <c>[batch, Classes]</c> or <c>[batch, Positions, Classes]</c>, in the caller's dispose scope.</returns>
    public Tensor Forward(
        IReadOnlyList<Tensor> parameters, Tensor input, Mode mode = Mode.Evaluation, Action<string, Tensor>? tap = null,
        Precision precision = Precision.Float32) => pass.Whole(parameters, input, mode, tap, precision);

    /// <summary>The same network with parameters more, which its groups move too and its forward pass does not read.</summary>
    /// <param name="more">The parameters, which come after those that there are.</param>
    /// <param name="groups">The groups, as many and in the same order.</param>
    /// <returns>The network.</returns>
    internal Network With(IEnumerable<ParameterSpec> more, IEnumerable<PermutationGroup> groups) => new(this, more, groups);

    /// <summary>Draws examples: normal numbers, or tokens, each equally likely.</summary>
    /// <param name="count">How many.</param>
    /// <param name="generator">The source of chance.</param>
    /// <returns>The batch, <c>[count, ...Architecture.Input]</c>, in the caller's dispose scope.</returns>
    public Tensor DrawInput(long count, Generator generator)
    {
        long[] shape = [count, .. Architecture.Input.Select(size => (long)size)];
        return Vocabulary is { } tokens ? randint(tokens, shape, ScalarType.Int64, generator: generator) : randn(shape, generator: generator);
    }

    /// <summary>Of how many terms each output of <see cref="FirstLinear"/> is a sum, where there is such a node.</summary>
    internal long FirstLinearTerms => pass.Owned(FirstLinear).Max(p => Parameters[p].Count / Parameters[p].Shape[0]);

    /// <summary>The output of <see cref="FirstLinear"/>.</summary>
    internal Tensor ForwardFirstLinear(IReadOnlyList<Tensor> parameters, Tensor input) => pass.Part(0, input, FirstLinear + 1, parameters);

    /// <summary>The network's output, in evaluation mode, given the output of <see cref="FirstLinear"/>.</summary>
    internal Tensor ForwardAfterFirstLinear(IReadOnlyList<Tensor> parameters, Tensor output) =>
        pass.Part(FirstLinear + 1, output, Architecture.Nodes.Length, parameters);

    /// <summary>The groups' indices, copies before what has orders of its own within them; else as they are.</summary>
    internal IEnumerable<int> Order() => Enumerable.Range(0, Groups.Length).OrderBy(g => Groups[g].Depth);

    /// <summary>
    /// Of each group the axes that no group within it moves too: where a matrix over all its units stands in the place of its permutation,
    /// which for units within copies moves the copies as well.
    /// </summary>
    internal PermutedAxis[][] InnermostAxes => innermost ??=
    [
        .. Groups.Select((group, g) => group.Axes.Where(axis => !Groups.Any(inner => inner.Parent == g && inner.Axes.Any(
            other => other.Parameter == axis.Parameter && other.Copies[^1] == axis.View))).ToArray()),
    ];

    /// <summary>The copies around a group, the outermost first, and the group itself.</summary>
    internal IEnumerable<int> Around(int group) => group < 0 ? [] : [.. Around(Groups[group].Parent), group];

    private static Signal Wire(Wiring wiring, LayerNode node, Dictionary<string, Signal> signals)
    {
        Guard.Require(
            !signals.ContainsKey(node.Name) && node.Name.Length > 0,
            $"layer '{node.Name}': expected a name of its own, found one that is empty or already taken");
        foreach (var read in node.Inputs)
            Guard.Require(
                signals.ContainsKey(read),
                $"layer '{node.Name}': reads '{read}', expected one of the earlier {Listing.Of(signals.Keys)}{Nearest.Hint(read, signals.Keys)}");
        Guard.Require(
            node.Layer.Arity == 0 ? node.Inputs.Length >= 1 : node.Inputs.Length == node.Layer.Arity,
            $"layer '{node.Name}': expected {(node.Layer.Arity == 0 ? "1 or more" : $"{node.Layer.Arity}")} inputs, found {node.Inputs.Length}");
        wiring.Enter(node.Name);
        try
        {
            Signal[] inputs = [.. node.Inputs.Select(read => signals[read])];
            var output = node.Layer.Wire(wiring, inputs)
                ?? throw new LmcException($"expected a signal from the wiring of {node.Layer.Kind}, found null");
            foreach (var axis in inputs.Append(output).SelectMany(signal => signal.Axes)) wiring.Restrict(axis, node.Layer.Commutes);
            return output;
        }
        catch (LmcException error) when (!error.Message.StartsWith("layer '", StringComparison.Ordinal))
        {
            throw new LmcException($"layer '{node.Name}': {error.Message}", error);
        }
    }

    private void RequireCountable(IReadOnlyList<ParameterSpec> parameters)
    {
        var total = 0L;
        foreach (var parameter in parameters)
        {
            Guard.Require(
                parameter.Count <= MostNumbers - total,
                $"network '{Architecture.Name}': expected at most {MostNumbers} numbers, found more up to parameter {parameter}");
            total += parameter.Count;
        }

        var twice = parameters.GroupBy(parameter => parameter.Name).FirstOrDefault(named => named.Count() > 1);
        Guard.Require(twice is null, $"network '{Architecture.Name}': expected parameters of different names, found '{twice?.Key}' twice");
    }

    // Learned parameters first, so that distances and optimisers work on one contiguous part of the flat buffer.
    private static ImmutableArray<ParameterSpec> Place(IReadOnlyList<ParameterSpec> parameters)
    {
        var offsets = new long[parameters.Count];
        var next = 0L;
        foreach (var k in Enumerable.Range(0, parameters.Count).OrderBy(k => parameters[k].Learned ? 0 : 1))
        {
            offsets[k] = next;
            next += parameters[k].Count;
        }

        return [.. parameters.Select((p, k) => p with { Offset = offsets[k] })];
    }

    private static int? FindVocabulary(Architecture architecture)
    {
        var readers = architecture.Nodes.Where(node => node.Inputs.Contains(Architecture.InputName)).ToArray();
        var sizes = readers.Select(node => node.Layer.Vocabulary).Distinct().ToArray();
        Guard.Require(
            sizes.Length <= 1,
            $"network '{architecture.Name}': expected one kind of input, found readers of {string.Join(" and of ", sizes.Select(size => size is null ? "numbers" : $"{size} tokens"))}");
        return sizes.FirstOrDefault();
    }
}
