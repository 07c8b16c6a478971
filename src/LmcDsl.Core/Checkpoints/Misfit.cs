using System.Text.RegularExpressions;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Checkpoints;

/// <summary>What to say where a checkpoint is not of the network that was expected: what differs, and what it looks like.</summary>
internal static partial class Misfit
{
    private const int Said = 10;

    /// <summary>The error.</summary>
    /// <param name="path">The file.</param>
    /// <param name="fit">How its tensors fit as well as they do.</param>
    /// <param name="network">The network.</param>
    /// <param name="names">How names become the network's.</param>
    /// <returns>One line.</returns>
    public static LmcException Of(string path, Fit fit, Network network, NameMap names)
    {
        var under = fit.Dict.Key.Length == 0 ? "" : $" under '{Excerpt.Of(fit.Dict.Key)}'";
        var prefix = fit.Prefix.Length == 0 ? "" : $" after the prefix '{Excerpt.Of(fit.Prefix)}' of its names";
        return new LmcException(
            $"{path}: expected the tensors of '{network.Architecture.Name}'{under}{prefix}{Looks(fit, network)};"
            + Part("missing", [.. fit.Missing.Select(k => network.Parameters[k].ToString())], " ")
            + Part("not tensors", NoTensors(fit, network, names), ", ")
            + Part("not expected", [.. fit.Unexpected.Select(entry => entry.ToString())], " ")
            + Part("of another shape", [.. fit.Misshaped.Select(m => $"{m.Entry} where {network.Parameters[m.Parameter]} was expected")], "; ")
            + Shard(path));
    }

    private static string Part(string what, IReadOnlyCollection<string> items, string separator) =>
        items.Count == 0 ? "" : $" {what}: {Excerpt.Of(items, Said, separator)}.";

    // Missing parameters under whose name the file has something else.
    private static string[] NoTensors(Fit fit, Network network, NameMap names)
    {
        var missing = fit.Missing.Select(k => network.Parameters[k].Name).ToHashSet();
        return
        [
            .. fit.Dict.Others
                .Where(other => other.Key.StartsWith(fit.Prefix, StringComparison.Ordinal) && missing.Contains(names.Apply(other.Key[fit.Prefix.Length..])))
                .Select(other => $"{Excerpt.Of(other.Key)} ({other.Value})"),
        ];
    }

    private static string Looks(Fit fit, Network network)
    {
        var there = Family.Of([.. fit.Dict.Entries
            .Where(entry => entry.Name.StartsWith(fit.Prefix, StringComparison.Ordinal))
            .Select(entry => (Prefix.Bare(entry.Name[fit.Prefix.Length..]), (IReadOnlyList<long>)entry.Shape))]);
        if (there is null) return "";
        var here = Family.Of([.. network.Parameters.Select(p => (p.Name, (IReadOnlyList<long>)p.Shape))]);
        return here == there ? "" : $"{(here is null ? "" : $", which is {here}")}, found what looks like {there}";
    }

    private static string Shard(string path) =>
        PartOfSeveral().IsMatch(path) ? " The file is one of several: name their index (.index.json) or their folder." : "";

    [GeneratedRegex(@"-\d{5}-of-\d{5}\.")]
    private static partial Regex PartOfSeveral();
}
