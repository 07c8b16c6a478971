using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Importing;

/// <summary>What a template writes a network with: the folder's description, which tensors there are, and the layers so far.</summary>
/// <param name="config">The description.</param>
/// <param name="shapes">The shapes of the checkpoint's tensors, by the names that the template has for them.</param>
/// <param name="input">The sizes of an example that were asked for; empty where none were.</param>
/// <param name="isFeature">Whether the features that heads read are an output of their own, since something unknown reads them too.</param>
internal sealed class FolderBuilder(
    FolderConfig config, IReadOnlyDictionary<string, ImmutableArray<long>> shapes, IReadOnlyList<int> input, bool isFeature)
{
    private const int UsualPositions = 32;

    private readonly Chain chain = new();
    private readonly List<string> outputs = [];
    private IReadOnlyList<int> shape = [];

    /// <summary>The description.</summary>
    public FolderConfig Config => config;

    /// <summary>Whether something that is not known may read features, so that they are outputs, whatever else reads them.</summary>
    public bool HasUnknownHead => isFeature;

    /// <summary>Name of the layer added last.</summary>
    public string Last => chain.Last;

    /// <summary>Tensors that hold the numbers of a parameter once more, where they are there: by their name, the parameter's.</summary>
    public Dictionary<string, string> Copies { get; } = [];

    /// <summary>Whether the checkpoint has a tensor.</summary>
    public bool Has(string name) => shapes.ContainsKey(name);

    /// <summary>The first size of a tensor, as of a head that has no field in the description.</summary>
    /// <exception cref="LmcException">It has none.</exception>
    public int SizeOf(string name)
    {
        Guard.Require(
            shapes[name] is [>= 1 and <= int.MaxValue, ..], $"{config.Path}: expected '{name}' with a size from 1 on, found {Excerpt.Of(shapes[name].AsSpan())}");
        return (int)shapes[name][0];
    }

    /// <summary>A number of blocks. Each has tensors of its own, so that there are no more blocks than tensors.</summary>
    /// <param name="field">The field of the description.</param>
    /// <param name="also">Another name of the field.</param>
    /// <exception cref="LmcException">There are more.</exception>
    public int Layers(string field, string? also = null)
    {
        var layers = config.Size(field, also: also);
        Guard.Require(layers <= shapes.Count, $"{config.Path}: {field}: expected at most {shapes.Count}, as many as the checkpoint has tensors, found {layers}");
        return layers;
    }

    /// <summary>Numbers of blocks, each stage's.</summary>
    /// <param name="field">The field of the description.</param>
    /// <param name="other">What is meant where there is none.</param>
    /// <exception cref="LmcException">There are more than tensors.</exception>
    public int[] Depths(string field, params int[] other)
    {
        var depths = config.Sizes(field, other);
        Guard.Require(
            depths.Sum(depth => (long)depth) <= shapes.Count,
            $"{config.Path}: {field}: expected at most {shapes.Count} together, as many as the checkpoint has tensors, found {string.Join(", ", depths)}");
        return depths;
    }

    /// <summary>The number of classes of a head: what the description names, else what the tensor has.</summary>
    public int Classes(string weight) => config.Labels ?? SizeOf(weight);

    /// <summary>Adds a layer.</summary>
    public string Add(string name, Layer layer, params string[] from) => chain.Add(name, layer, from);

    /// <summary>Adds a parameter that stands by itself, in the place of a signal.</summary>
    public string Parameter(string name, ParameterRole role, params int[] sizes) => chain.Add(name, new Parameter([.. sizes], role), chain.Last);

    /// <summary>Adds two signals.</summary>
    public string Sum(string name, string left, string right) => chain.Add(name, new Sum(), left, right);

    /// <summary>Adds an activation by the name that a field of the description has for it.</summary>
    public string Activation(string name, string field, string other) => chain.Add(name, FolderActivation.Of(config, field, other));

    /// <summary>Adds attention and the dense layers of queries, keys and values before it.</summary>
    /// <param name="name">The layer of attention.</param>
    /// <param name="attention">The layer.</param>
    /// <param name="query">Name and layer of the queries.</param>
    /// <param name="key">Those of the keys.</param>
    /// <param name="value">Those of the values.</param>
    public string Attention(
        string name, DotProductAttention attention, (string Name, Layer Layer) query, (string Name, Layer Layer) key, (string Name, Layer Layer) value)
    {
        var read = Last;
        return Add(name, attention, Add(query.Name, query.Layer, read), Add(key.Name, key.Layer, read), Add(value.Name, value.Layer, read));
    }

    /// <summary>Says that examples are tokens, and how many of them one has: what was asked for, or a few of those that there may be.</summary>
    /// <param name="field">The field that says how many there may be.</param>
    /// <param name="most">How many there may be.</param>
    /// <param name="parts">How many texts of as many tokens an example is.</param>
    /// <returns>The tokens of one text.</returns>
    public int Tokens(string field, int most, int parts = 1)
    {
        Guard.Require(
            input.Count <= 1 && (input.Count == 0 || input[0] % parts == 0),
            $"--input: expected a number of tokens{(parts == 1 ? "" : $" that {parts} divides, as an example is {parts} texts")}, found {string.Join(" x ", input)}");
        var positions = input.Count == 1 ? input[0] / parts : Math.Min(UsualPositions, most);
        Guard.Require(positions <= most, $"--input: expected at most {most} tokens, as {field} says, found {positions}");
        shape = [positions * parts];
        return positions;
    }

    /// <summary>Says that examples are images.</summary>
    /// <param name="channels">Channels.</param>
    /// <param name="side">Height and width where none were asked for.</param>
    /// <param name="isFree">Whether others may be asked for.</param>
    public (int Height, int Width) Image(int channels, (int Height, int Width) side, bool isFree)
    {
        if (input.Count > 0)
        {
            Guard.Require(
                input.Count == 3 && input[0] == channels && (isFree || (input[1], input[2]) == side),
                $"--input: expected {channels} channels, height and width{(isFree ? "" : $" of {side.Height} x {side.Width}, as {config.Path} says")}, found {string.Join(" x ", input)}");
            side = (input[1], input[2]);
        }

        shape = [channels, side.Height, side.Width];
        return side;
    }

    /// <summary>Adds numbers that are part of what the network is.</summary>
    public string Constant(string name, Tensor numbers) => chain.Add(name, Architectures.Constant.Of(numbers), chain.Last);

    /// <summary>A condition that never holds, for what is chosen in training only.</summary>
    public string Never(string name)
    {
        using var no = zeros([1], ScalarType.Bool);
        return Constant(name, no);
    }

    /// <summary>Whether a layer is one of the outputs.</summary>
    public bool IsOutput(string name) => outputs.Contains(name);

    /// <summary>Says that a layer gives an output; the first one is the network's.</summary>
    public void Output(string name) => outputs.Add(name);

    /// <summary>Says which layer gives the features that heads read. They are an output where there is no head, or where something unknown reads them.</summary>
    public void Features(string name)
    {
        if (isFeature || outputs.Count == 0) outputs.Add(name);
    }

    /// <summary>Whether a layer's features are given themselves: by a model without heads, or since something unknown may read them.</summary>
    /// <param name="pooled">The layer that heads would read.</param>
    public bool IsBare(string pooled)
    {
        if (isFeature && !outputs.Contains(pooled)) outputs.Add(pooled);
        return outputs.Contains(pooled);
    }

    /// <summary>The network.</summary>
    public Architecture Build(string name)
    {
        if (outputs.Count > 1 || outputs[0] != Last) chain.Add("outputs", new Outputs(), [.. outputs]);
        return chain.Build(name, shape);
    }
}
