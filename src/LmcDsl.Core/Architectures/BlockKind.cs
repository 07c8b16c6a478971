namespace LmcDsl.Core.Architectures;

/// <summary>
/// What a layer with weights is for, read off the graph: tables of results put layers of one kind together. Of transformers the parts that a
/// symmetry joins are one kind: queries with keys, values with the output that reads them.
/// </summary>
public static class BlockKind
{
    /// <summary>The kinds, in the order in which tables show them.</summary>
    public static IReadOnlyList<string> All { get; } =
        ["embedding", "query, key", "value, output", "feed-forward in", "feed-forward out", "convolution", "dense", "classifier"];

    /// <summary>The kind of each layer that has weights.</summary>
    /// <param name="architecture">The network.</param>
    /// <returns>Kinds, one of <see cref="All"/>, by the layers' names.</returns>
    public static IReadOnlyDictionary<string, string> Of(Architecture architecture)
    {
        var nodes = architecture.Nodes.ToDictionary(node => node.Name);
        var readers = architecture.Nodes.SelectMany(node => node.Inputs.Select(read => (read, node))).ToLookup(pair => pair.read, pair => pair.node);
        var isTransformer = architecture.Nodes.Any(node => node.Layer is DotProductAttention);
        return architecture.Nodes.ToDictionary(node => node.Name, Kind);

        string Kind(LayerNode node) => node.Layer switch
        {
            Embedding or LearnedPositions or SinusoidalPositions or ClassToken => "embedding",
            TiedOutput => "classifier",
            _ when node.Name == architecture.Nodes[^1].Name => "classifier",
            Dense when isTransformer => InBlock(node),
            Dense => "dense",
            _ => isTransformer && node.Inputs.Contains(Architecture.InputName) ? "embedding" : "convolution",
        };

        string InBlock(LayerNode node)
        {
            var attention = readers[node.Name].FirstOrDefault(reader => reader.Layer is DotProductAttention);
            if (attention is not null) return attention.Inputs.Take(2).Contains(node.Name) ? "query, key" : "value, output";
            if (node.Inputs.Any(read => nodes.TryGetValue(read, out var before) && before.Layer is DotProductAttention)) return "value, output";
            return readers[node.Name].Any(reader => reader.Layer is Activation or Multiplication) ? "feed-forward in" : "feed-forward out";
        }
    }
}
