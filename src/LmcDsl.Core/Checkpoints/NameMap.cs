using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.Json;
using System.Text.RegularExpressions;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Checkpoints;

/// <summary>
/// How a checkpoint's names become an architecture's: patterns for whole names, each with what takes its place, tried in order; names
/// that none fits stay as they are.
/// </summary>
public sealed class NameMap
{
    private static readonly Regex Wrapper = new(@"^(module|_orig_mod)\.", RegexOptions.NonBacktracking);

    private readonly ImmutableArray<(Regex Pattern, string Replacement)> rules;

    private readonly FrozenSet<string> own; // names of the network itself, which stay as they are

    private NameMap(IEnumerable<(string Pattern, string Replacement)> rules, IEnumerable<string>? own = null)
    {
        this.own = (own ?? []).ToFrozenSet();
        this.rules = [.. rules.Select(rule => (new Regex($"^(?:{rule.Pattern})$", RegexOptions.NonBacktracking), rule.Replacement))];
    }

    /// <summary>
    /// The map for the naming that others use: torchvision's and the usual CIFAR versions of ResNet and VGG, and numbered layers of
    /// <c>nn.Sequential</c> for multilayer perceptrons. Our own names stay as they are.
    /// </summary>
    /// <param name="network">The network whose names are wanted.</param>
    /// <returns>The map.</returns>
    public static NameMap For(Network network)
    {
        var rules = new List<(string, string)>();
        var nodes = network.Architecture.Nodes;
        if (nodes.Any(node => node.Name == "stem")) rules.AddRange(ResNet());
        else if (nodes.Any(node => node.Layer is Convolution)) rules.AddRange(Vgg(nodes));
        else rules.AddRange(Sequential(nodes));
        return new NameMap(rules, network.Parameters.Select(parameter => parameter.Name));
    }

    /// <summary>Reads a map: a JSON object of patterns (.NET regular expressions for whole names) and replacements ($1 for groups).</summary>
    /// <param name="json">The text.</param>
    /// <param name="name">The file's name, for messages.</param>
    /// <returns>The map.</returns>
    /// <exception cref="LmcException">The text is no such object, or a pattern no regular expression.</exception>
    public static NameMap FromJson(string json, string name)
    {
        try
        {
            var read = JsonSerializer.Deserialize<Dictionary<string, string>>(json) ?? [];
            return new NameMap(read.Select(rule => (rule.Key, rule.Value)));
        }
        catch (Exception error) when (error is JsonException or ArgumentException or NotSupportedException)
        {
            throw new LmcException($"{name}: expected a JSON object of patterns and replacements: {error.Message.ReplaceLineEndings(" ")}", error);
        }
    }

    /// <summary>The architecture's name for a checkpoint's.</summary>
    /// <param name="name">The name in the file; a wrapper's <c>module.</c> before it does not count.</param>
    /// <returns>The name.</returns>
    public string Apply(string name)
    {
        var bare = Wrapper.Replace(name, "");
        if (own.Contains(bare)) return bare;
        foreach (var (pattern, replacement) in rules)
            if (pattern.IsMatch(bare)) return pattern.Replace(bare, replacement);
        return bare;
    }

    // Blocks are counted from 0 there and from 1 here.
    private static IEnumerable<(string, string)> ResNet()
    {
        yield return (@"conv1\.(.*)", "stem.$1");
        yield return (@"bn1\.(.*)", "stem.norm.$1");
        for (var block = 0; block < 64; block++)
        {
            var (there, here) = ($@"layer(\d)\.{block}\.", $"stage$1.{block + 1}.");
            yield return ($@"{there}conv(\d)\.(.*)", $"{here}conv$2.$3");
            yield return ($@"{there}bn(\d)\.(.*)", $"{here}conv$2.norm.$3");
            yield return ($@"{there}(?:shortcut|downsample)\.0\.(.*)", $"{here}shortcut.$2");
            yield return ($@"{there}(?:shortcut|downsample)\.1\.(.*)", $"{here}shortcut.norm.$2");
        }

        yield return (@"(?:linear|classifier)\.(.*)", "fc.$1");
    }

    // There every module before the classifier is numbered: convolutions, norms, activations and pools, in the order of our nodes.
    private static IEnumerable<(string, string)> Vgg(ImmutableArray<LayerNode> nodes)
    {
        var features = nodes.TakeWhile(node => node.Layer is not Flatten).ToArray();
        for (var k = 0; k < features.Length; k++) yield return ($@"features\.{k}\.(.*)", $"{features[k].Name}.$1");
        // With three dense layers there, activations and dropouts are numbered between them.
        var dense = nodes.Where(node => node.Layer is Dense).ToArray();
        if (dense.Length == 3)
            for (var k = 0; k < 3; k++) yield return ($@"classifier\.{3 * k}\.(.*)", $"{dense[k].Name}.$1");
        yield return (@"(?:classifier(?:\.0)?|linear)\.(.*)", $"{nodes[^1].Name}.$1");
    }

    // Numbered by module: dense layers and activations in turn, with or without a flatten before them.
    private static IEnumerable<(string, string)> Sequential(ImmutableArray<LayerNode> nodes)
    {
        var layers = nodes.Where(node => node.Layer is not Flatten).ToArray();
        var flatten = nodes.Any(node => node.Layer is Flatten);
        for (var k = 0; k < layers.Length; k++)
            if (layers[k].Layer is Dense) yield return ($@"(?:[a-z_]+\.)?{k}\.(.*)", $"{layers[k].Name}.$1");
        if (!flatten) yield break;
        for (var k = 0; k < layers.Length; k++)
            if (layers[k].Layer is Dense) yield return ($@"(?:[a-z_]+\.)?{k + 1}\.(.*)", $"{layers[k].Name}.$1");
    }
}
