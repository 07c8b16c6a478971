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
    private const RegexOptions Linear = RegexOptions.NonBacktracking | RegexOptions.CultureInvariant;
    private const int LongestPattern = 2000;
    private const int MostRules = 1000;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly ImmutableArray<(Regex Pattern, Func<Match, string?> Name)> rules;
    private readonly NameMap? next;

    private readonly FrozenSet<string> own; // names of the network itself, which stay as they are

    private readonly FrozenSet<string> constants = [];

    private NameMap(IEnumerable<(string Pattern, Func<Match, string?> Name)> rules, IEnumerable<string>? own = null)
    {
        this.own = (own ?? []).ToFrozenSet();
        this.rules = [.. rules.Select(rule => (new Regex($"^(?:{rule.Pattern})$", Linear, Patience), rule.Name))];
    }

    private NameMap(NameMap first, NameMap? next, FrozenSet<string> constants) =>
        (rules, own, this.next, this.constants) = (first.rules, first.own, next, constants);

    /// <summary>
    /// The map for the naming that others use: torchvision's and the usual CIFAR versions of ResNet and VGG, and numbered layers of
    /// <c>nn.Sequential</c> for multilayer perceptrons. Our own names stay as they are.
    /// </summary>
    /// <param name="network">The network whose names are wanted.</param>
    /// <returns>The map.</returns>
    public static NameMap For(Network network)
    {
        var nodes = network.Architecture.Nodes;
        var own = network.Parameters.Select(parameter => parameter.Name);
        if (nodes.Any(node => node.Name == "stem")) return new NameMap(ResNet(), own);
        return nodes.Any(node => node.Layer is Convolution) ? new NameMap(Vgg(nodes), own) : new NameMap(Sequential(nodes), own);
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
            using var read = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 8 });
            Guard.Require(
                read.RootElement.ValueKind == JsonValueKind.Object,
                $"{name}: expected a JSON object of patterns and replacements, found {Excerpt.Of(read.RootElement.GetRawText(), 40)}");
            var rules = new List<(string, Func<Match, string?>)>();
            foreach (var rule in read.RootElement.EnumerateObject())
            {
                Guard.Require(
                    rule.Value.ValueKind == JsonValueKind.String && rule.Name.Length <= LongestPattern,
                    $"{name}: expected a text as the replacement of '{Excerpt.Of(rule.Name)}' (a pattern of at most {LongestPattern} characters), found {Excerpt.Of(rule.Value.GetRawText(), 40)}");
                var replacement = rule.Value.GetString()!;
                _ = new Regex(rule.Name, Linear, Patience).Replace("", replacement); // finds mistakes in both
                rules.Add((rule.Name, match => match.Result(replacement)));
            }

            Guard.Require(rules.Count <= MostRules, $"{name}: expected at most {MostRules} patterns, found {rules.Count}");
            return new NameMap(rules);
        }
        catch (Exception error) when (error is JsonException or ArgumentException or NotSupportedException or InvalidOperationException or RegexMatchTimeoutException)
        {
            throw new LmcException(
                $"{name}: expected a JSON object of patterns and replacements: {Excerpt.Of(error.Message.ReplaceLineEndings(" "))}", error);
        }
    }

    /// <summary>This map, and after it another one, which is given what this one makes of names.</summary>
    /// <param name="after">The other map.</param>
    /// <returns>Both.</returns>
    public NameMap Then(NameMap after) => new(this, next is null ? after : next.Then(after), constants);

    /// <summary>This map, for checkpoints that may hold numbers which are a part of what the network is, beside its parameters.</summary>
    /// <param name="names">What the network calls these numbers.</param>
    /// <returns>The map.</returns>
    public NameMap WithConstants(IEnumerable<string> names) => new(this, next, names.ToFrozenSet());

    /// <summary>Whether a tensor of a checkpoint is called as numbers that are a part of what the network is.</summary>
    /// <param name="name">The name in the file, without a prefix.</param>
    /// <returns>Whether it is.</returns>
    public bool IsConstant(string name) => constants.Count > 0 && (constants.Contains(Apply(name)) || constants.Contains(name));

    /// <summary>The architecture's name for a checkpoint's.</summary>
    /// <param name="name">The name in the file; wrappers in it (<see cref="Prefix.Bare"/>) do not count.</param>
    /// <returns>The name.</returns>
    public string Apply(string name)
    {
        var bare = Prefix.Bare(name);
        if (own.Contains(bare)) return bare;
        var known = Replaced(name) ?? (bare == name ? null : Replaced(bare)) ?? bare;
        return next is null ? known : next.Apply(known);
    }

    private string? Replaced(string name)
    {
        foreach (var (pattern, replacement) in rules)
        {
            try
            {
                if (pattern.Match(name) is { Success: true } match && replacement(match) is { } other) return other;
            }
            catch (RegexMatchTimeoutException error)
            {
                throw new LmcException($"names: expected a pattern that is matched at once, found '{Excerpt.Of(pattern.ToString())}' slow on '{Excerpt.Of(name)}'", error);
            }
        }

        return null;
    }

    // Blocks are counted from 0 there and from 1 here.
    private static IEnumerable<(string, Func<Match, string?>)> ResNet()
    {
        const string block = @"layer(\d)\.(\d{1,6})\.";
        static string Here(Match match) => $"stage{match.Groups[1].Value}.{int.Parse(match.Groups[2].Value) + 1}";
        yield return (@"conv1\.(.*)", match => match.Result("stem.$1"));
        yield return (@"bn1\.(.*)", match => match.Result("stem.norm.$1"));
        yield return ($@"{block}conv(\d)\.(.*)", match => $"{Here(match)}.conv{match.Groups[3].Value}.{match.Groups[4].Value}");
        yield return ($@"{block}bn(\d)\.(.*)", match => $"{Here(match)}.conv{match.Groups[3].Value}.norm.{match.Groups[4].Value}");
        yield return ($@"{block}(?:shortcut|downsample)\.0\.(.*)", match => $"{Here(match)}.shortcut.{match.Groups[3].Value}");
        yield return ($@"{block}(?:shortcut|downsample)\.1\.(.*)", match => $"{Here(match)}.shortcut.norm.{match.Groups[3].Value}");
        yield return (@"(?:linear|classifier)\.(.*)", match => match.Result("fc.$1"));
    }

    // There every module before the classifier is numbered: convolutions, norms, activations and pools, in the order of our nodes.
    private static IEnumerable<(string, Func<Match, string?>)> Vgg(ImmutableArray<LayerNode> nodes)
    {
        string[] features = [.. nodes.TakeWhile(node => node.Layer is not Flatten).Select(node => node.Name)];
        yield return (
            @"features\.(\d{1,6})\.(.*)",
            match => int.Parse(match.Groups[1].Value) is var k && k < features.Length ? $"{features[k]}.{match.Groups[2].Value}" : null);
        // With three dense layers there, activations and dropouts are numbered between them.
        var dense = nodes.Where(node => node.Layer is Dense).ToArray();
        if (dense.Length == 3)
            yield return (
                @"classifier\.([036])\.(.*)", match => $"{dense[int.Parse(match.Groups[1].Value) / 3].Name}.{match.Groups[2].Value}");
        yield return (@"(?:classifier(?:\.0)?|linear)\.(.*)", match => match.Result($"{nodes[^1].Name}.$1"));
    }

    // Numbered by module: dense layers and activations in turn, with or without a flatten before them.
    private static IEnumerable<(string, Func<Match, string?>)> Sequential(ImmutableArray<LayerNode> nodes)
    {
        LayerNode[] layers = [.. nodes.Where(node => node.Layer is not Flatten)];
        var flattens = nodes.Any(node => node.Layer is Flatten);
        yield return (
            @"(?:[a-z_]+\.)?(\d{1,6})\.(.*)",
            match =>
            {
                var k = int.Parse(match.Groups[1].Value);
                var at = IsDense(k) ? k : flattens && IsDense(k - 1) ? k - 1 : -1;
                return at < 0 ? null : $"{layers[at].Name}.{match.Groups[2].Value}";
            }
        );

        bool IsDense(int k) => k >= 0 && k < layers.Length && layers[k].Layer is Dense;
    }
}
