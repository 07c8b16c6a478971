using System.Text.RegularExpressions;

namespace LmcDsl.Core.Checkpoints;

/// <summary>What stands before names: wrappers that training adds, and the modules that a model is a part of.</summary>
public static partial class Prefix
{
    private const int DeepestPrefix = 8;

    /// <summary>
    /// A name without wrappers: <c>module.</c> (DataParallel) before it, and wherever they stand <c>_orig_mod.</c> (compile),
    /// <c>_fsdp_wrapped_module.</c> and <c>_checkpoint_wrapped_module.</c>, as often as they come.
    /// </summary>
    /// <param name="name">The name.</param>
    /// <returns>What is left.</returns>
    public static string Bare(string name) => Before().Replace(Anywhere().Replace(name, "$1"), "");

    /// <summary>Whether a name is a norm's counter of batches: no parameter, and missing in files of before PyTorch 0.4.1.</summary>
    /// <param name="name">The name.</param>
    /// <returns>Whether.</returns>
    public static bool IsCounter(string name) =>
        name.EndsWith("num_batches_tracked", StringComparison.Ordinal) && (name.Length == 19 || name[^20] == '.');

    /// <summary>What may be taken off the names of a file: whole modules that enough names begin with, and what all of them begin with.</summary>
    /// <param name="names">The names.</param>
    /// <param name="least">How many names must begin so.</param>
    /// <returns>Prefixes, each empty or with its last dot; the shortest first.</returns>
    internal static List<string> Candidates(IReadOnlyList<string> names, int least)
    {
        var counts = new Dictionary<string, int>();
        foreach (var name in names)
        {
            var dot = -1;
            for (var level = 0; level < DeepestPrefix && (dot = name.IndexOf('.', dot + 1)) >= 0; level++)
            {
                var prefix = name[..(dot + 1)];
                counts[prefix] = counts.GetValueOrDefault(prefix) + 1;
            }
        }

        return ["", .. counts.Where(c => c.Value >= Math.Min(least, names.Count)).Select(c => c.Key)
            .OrderBy(prefix => prefix.Length).ThenBy(prefix => prefix, StringComparer.Ordinal)];
    }

    [GeneratedRegex(@"^(?:(?:module|_orig_mod)\.)+", RegexOptions.NonBacktracking)]
    private static partial Regex Before();

    [GeneratedRegex(@"(^|\.)(?:(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.)+", RegexOptions.NonBacktracking)]
    private static partial Regex Anywhere();
}
