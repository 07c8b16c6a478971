using System.Text.RegularExpressions;
using LmcDsl.Core.Architectures;

namespace LmcDsl.Core.Checkpoints;

/// <summary>
/// Names that number the layers of a chain (<c>0.weight</c>, <c>features.3.weight</c>, <c>fc2.bias</c>), where the numbers are not those of
/// our layers: dropout, norms or activations between them count there. Layers are then matched in their order, where all shapes agree.
/// </summary>
internal static partial class NumberedLayers
{
    private static readonly string[] First = ["", "features", "conv", "convs"];
    private static readonly string[] Last = ["classifier", "fc", "fcs", "head", "linear"];

    /// <summary>Matches a file's tensors with the parameters of a network that is a chain.</summary>
    /// <param name="names">Names in the file, bare, with their entries.</param>
    /// <param name="network">The network.</param>
    /// <returns>The name of the parameter of each name; nothing where the names are no numbers or anything disagrees.</returns>
    public static Dictionary<string, string>? Match(IReadOnlyList<(string Name, TensorEntry Entry)> names, Network network)
    {
        if (network.Architecture.Nodes.Any(node => node.Layer.Arity != 1) || names.Count != network.Parameters.Length) return null;
        var layers = new Dictionary<(string Stem, long Number), List<(string Suffix, string Name, TensorEntry Entry)>>();
        foreach (var (name, entry) in names)
        {
            if (Numbered().Match(name) is not { Success: true } match) return null;
            var key = (match.Groups[1].Value, long.Parse(match.Groups[2].Value));
            if (!layers.TryGetValue(key, out var own)) layers.Add(key, own = []);
            own.Add((match.Groups[3].Value, name, entry));
        }

        string[] stems = [.. layers.Keys.Select(key => key.Stem).Distinct()];
        if (stems.Length > 2 || stems.Length == 2 && !(stems.Any(First.Contains) && stems.Any(Last.Contains))) return null;
        var theirs = layers.OrderBy(layer => Last.Contains(layer.Key.Stem) && stems.Length == 2).ThenBy(layer => layer.Key.Number).ToArray();
        var ours = network.Parameters.GroupBy(p => p.Name[..p.Name.LastIndexOf('.')]).ToArray();
        if (theirs.Length != ours.Length) return null;
        var found = new Dictionary<string, string>();
        foreach (var (there, here) in theirs.Zip(ours))
            foreach (var (suffix, name, entry) in there.Value)
            {
                var parameter = here.FirstOrDefault(p => p.Name == $"{here.Key}.{suffix}");
                if (parameter is null || !entry.Shape.AsSpan().SequenceEqual(parameter.Shape) || !found.TryAdd(name, parameter.Name)) return null;
            }

        return found;
    }

    [GeneratedRegex(@"^([A-Za-z_]*)\.?(\d{1,9})\.([a-z_]+)$", RegexOptions.NonBacktracking)]
    private static partial Regex Numbered();
}
