namespace LmcDsl.Core.Architectures;

/// <summary>Writes down a network layer by layer: each reads the one before, unless told otherwise.</summary>
public sealed class Chain
{
    private readonly List<LayerNode> nodes = [];

    /// <summary>Name of the layer added last.</summary>
    public string Last { get; private set; } = Architecture.InputName;

    /// <summary>Adds a layer.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="layer">The layer.</param>
    /// <param name="from">What it reads; the layer added last where nothing is said.</param>
    /// <returns>Its name.</returns>
    public string Add(string name, Layer layer, params string[] from)
    {
        nodes.Add(new LayerNode(name, layer, from.Length == 0 ? [Last] : [.. from]));
        return Last = name;
    }

    /// <summary>The network so far.</summary>
    /// <param name="name">What people call it.</param>
    /// <param name="input">Shape of one example.</param>
    /// <returns>The architecture.</returns>
    public Architecture Build(string name, IReadOnlyList<int> input) => new(name, [.. input], [.. nodes]);
}
