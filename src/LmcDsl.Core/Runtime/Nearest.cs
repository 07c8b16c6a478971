namespace LmcDsl.Core.Runtime;

/// <summary>The name that was probably meant.</summary>
public static class Nearest
{
    /// <summary>A hint at the end of a message: <c> (nearest: kernel)</c>, or nothing where no name is near.</summary>
    /// <param name="name">What was found.</param>
    /// <param name="known">The names known.</param>
    /// <returns>The text.</returns>
    public static string Hint(string name, IEnumerable<string> known) => Of(name, known) is { } nearest ? $" (nearest: {nearest})" : "";

    /// <summary>
    /// The known name that takes fewest changes of a letter, or that the name begins with or is the beginning of; null where
    /// more than half of it would change.
    /// </summary>
    /// <param name="name">What was found.</param>
    /// <param name="known">The names known.</param>
    /// <returns>The name, or null.</returns>
    public static string? Of(string name, IEnumerable<string> known)
    {
        if (name.Length is 0 or > 100) return null;
        var lower = name.ToLowerInvariant();
        var (best, least) = ((string?)null, lower.Length / 2 + 1);
        foreach (var candidate in known)
        {
            var other = candidate.ToLowerInvariant();
            var changes = IsPart(lower, other) ? 1 : Changes(lower, other);
            if (changes < least) (best, least) = (candidate, changes);
        }

        return best;
    }

    private static bool IsPart(string one, string other) =>
        Math.Min(one.Length, other.Length) >= 3
        && (one.StartsWith(other, StringComparison.Ordinal) || other.StartsWith(one, StringComparison.Ordinal));

    // Insertions, deletions and replacements of one letter that turn one word into the other (Levenshtein).
    private static int Changes(string one, string other)
    {
        var row = Enumerable.Range(0, other.Length + 1).ToArray();
        for (var i = 1; i <= one.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= other.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (one[i - 1] == other[j - 1] ? 0 : 1)));
        }

        return row[^1];
    }
}
