namespace LmcDsl.Core.Runtime;

/// <summary>Names in a message.</summary>
public static class Listing
{
    private const int Shown = 20;

    /// <summary>The first twenty, with commas, and how many more there are.</summary>
    /// <param name="names">The names.</param>
    /// <returns>The text.</returns>
    public static string Of(IEnumerable<string> names)
    {
        var all = names.ToArray();
        var first = string.Join(", ", all.Take(Shown));
        return all.Length <= Shown ? first : $"{first} and {all.Length - Shown} more";
    }
}
