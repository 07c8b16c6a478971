using System.Text.RegularExpressions;

namespace LmcDsl.Core.Importing;

/// <summary>What layers are called, by the names that exports keep.</summary>
internal static partial class LayerNames
{
    /// <summary>
    /// The layer that a weight belongs to: its name without the last word, where that is what the layer calls it; where the export lost the
    /// name, where its node stands. Null where the weight is called otherwise, and so must keep its own name.
    /// </summary>
    public static string? Of(GraphNode at, GraphValue weight, string local)
    {
        if (weight.Name.Length > local.Length + 1 && weight.Name.EndsWith($".{local}", StringComparison.Ordinal)) return weight.Name[..^(local.Length + 1)];
        return IsLost(weight.Name) ? Scope(at.Proto.Name) ?? weight.Name : null;
    }

    /// <summary>Whether a tensor can be a layer's own, under that layer's name.</summary>
    public static bool Belongs(GraphValue tensor, string layer, string local) =>
        tensor.Parameter is not null && (tensor.Name == $"{layer}.{local}" || IsLost(tensor.Name));

    /// <summary>Whether an export has given a tensor a number in the place of its name.</summary>
    public static bool IsLost(string name) => Lost().IsMatch(name);

    /// <summary>Whether a tensor is called as a module calls what it learns: by words joined by dots, and not as exporters call what they fold.</summary>
    public static bool IsOfModule(string name) => Module().IsMatch(name);

    /// <summary>
    /// The module in which a node stands: <c>/features/features.1.0/block/block.3/MatMul</c> is <c>features.1.0.block.3</c>. Null where its
    /// name has no slashes.
    /// </summary>
    public static string? Scope(string node)
    {
        if (!node.StartsWith('/')) return null;
        var parts = node.Trim('/').Split('/');
        var path = new List<string>();
        foreach (var part in parts.SkipLast(1))
            // Where a module of a list stands, the list's own name comes first.
            if (path.Count > 0 && part.StartsWith($"{path[^1]}.", StringComparison.Ordinal)) path[^1] = part;
            else path.Add(part);
        return path.Count > 0 ? string.Join('.', path) : null;
    }

    [GeneratedRegex(@"^(?!val_|node_|_)(?!.*[Cc]onst)[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*$")]
    private static partial Regex Module();

    [GeneratedRegex(@"^(onnx::.*|\d+|.*[:/].*)$")]
    private static partial Regex Lost();
}
