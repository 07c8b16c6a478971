using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Importing;

/// <summary>Functions that a model defines itself: each call becomes the nodes that the function is made of, under names of their own.</summary>
internal static class OnnxFunctions
{
    private const int MostNodes = 1 << 20; // of functions that call each other

    /// <summary>The nodes of a graph with every call of a function replaced.</summary>
    /// <exception cref="LmcException">A function calls itself.</exception>
    public static List<OnnxNode> Inline(IEnumerable<OnnxNode> nodes, IReadOnlyList<OnnxFunction> functions)
    {
        var known = new Dictionary<(string, string), OnnxFunction>();
        foreach (var function in functions) known.TryAdd((function.Domain, function.Name), function);
        var result = new List<OnnxNode>();
        var calls = 0;
        foreach (var node in nodes) Inline(node, 0);
        return result;

        void Inline(OnnxNode node, int depth)
        {
            if (known.Count == 0 || !known.TryGetValue((node.Domain, node.Operator), out var function))
            {
                result.Add(node);
                return;
            }

            Guard.Require(depth < 64 && result.Count < MostNodes, $"{node.Place}: expected functions that end, found one that calls itself");
            var prefix = $"{node.Name}/{function.Name}.{++calls}/";
            var values = new Dictionary<string, string> { [""] = "" };
            foreach (var (inner, k) in function.Inputs.Select((inner, k) => (inner, k))) values[inner] = k < node.Inputs.Count ? node.Inputs[k] : "";
            foreach (var (inner, outer) in function.Outputs.Zip(node.Outputs)) values.TryAdd(inner, outer);
            string Value(string inner)
            {
                if (!values.TryGetValue(inner, out var outer)) values[inner] = outer = prefix + inner;
                return outer;
            }

            foreach (var inside in function.Nodes)
            {
                var attributes = new Dictionary<string, OnnxAttribute>();
                foreach (var (name, attribute) in inside.Attributes)
                {
                    if (attribute.Reference.Length == 0) attributes[name] = attribute;
                    else if (node.Attributes.TryGetValue(attribute.Reference, out var given)) attributes[name] = given;
                    else if (function.Defaults.Find(other => other.Name == attribute.Reference) is { } otherwise) attributes[name] = otherwise;
                }

                Inline(inside.Renamed(node.Name.Length > 0 ? $"{node.Name}/{inside.Name}" : prefix + inside.Name, Value, attributes), depth + 1);
            }
        }
    }
}
