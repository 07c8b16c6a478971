using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Checkpoints;

/// <summary>Which of several state dicts of a file is meant.</summary>
public static class StateDictChoice
{
    /// <summary>Picks one.</summary>
    /// <param name="path">The file, for messages.</param>
    /// <param name="found">What it holds, one or more.</param>
    /// <returns>One of them.</returns>
    public delegate StateDict Rule(string path, IReadOnlyList<StateDict> found);

    /// <summary>The one with the most tensors: what lies beside a model (class weights, a random state) has few.</summary>
    /// <param name="path">The file, for messages.</param>
    /// <param name="found">What it holds.</param>
    /// <returns>The largest.</returns>
    /// <exception cref="LmcException">Another one has at least half as many: all are listed.</exception>
    public static StateDict Largest(string path, IReadOnlyList<StateDict> found)
    {
        var largest = found.MaxBy(dict => dict.Entries.Length)!;
        StateDict[] near = [.. found.Where(dict => 2 * dict.Entries.Length >= largest.Entries.Length)];
        return near.Length == 1 ? largest : throw Ambiguous(path, [.. near.Select(dict => dict.ToString())]);
    }

    /// <summary>What to say where nothing lies under a key.</summary>
    /// <param name="path">The file.</param>
    /// <param name="key">The key.</param>
    /// <param name="found">What the file holds.</param>
    /// <returns>The error.</returns>
    internal static LmcException None(string path, string key, IReadOnlyList<StateDict> found) =>
        new($"{path}: expected tensors under '{Excerpt.Of(key)}', found them under {Excerpt.Of([.. found.Select(dict => dict.ToString())])}");

    /// <summary>What to say where several are meant alike.</summary>
    /// <param name="path">The file.</param>
    /// <param name="choices">The choices, each with its key.</param>
    /// <returns>The error.</returns>
    internal static LmcException Ambiguous(string path, IReadOnlyCollection<string> choices) =>
        new($"{path}: expected one state dict, found {choices.Count}: {Excerpt.Of(choices)}; choose one by its key (--key KEY)");
}
