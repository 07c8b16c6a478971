namespace LmcDsl.Core.Runtime;

/// <summary>Parts of long lists and texts, so that a message stays one that is read, however large the file is that it speaks of.</summary>
public static class Excerpt
{
    /// <summary>How many items of a list are said.</summary>
    public const int Items = 20;

    private const int Characters = 200;

    /// <summary>A text, or its beginning with how much follows.</summary>
    /// <param name="text">The text.</param>
    /// <param name="most">The most characters that are said.</param>
    /// <returns>At most that many characters and a count.</returns>
    public static string Of(string text, int most = Characters) =>
        text.Length <= most ? text : $"{text.AsSpan(0, most)}... ({text.Length - most} more characters)";

    /// <summary>The first items of a list, and how many follow.</summary>
    /// <param name="items">The items.</param>
    /// <param name="most">The most that are said.</param>
    /// <param name="separator">What stands between them.</param>
    /// <returns>For example <c>a, b, c and 17 more</c>.</returns>
    public static string Of(IReadOnlyCollection<string> items, int most = Items, string separator = ", ")
    {
        var said = string.Join(separator, items.Take(most).Select(item => Of(item)));
        return items.Count <= most ? said : $"{said} and {items.Count - most} more";
    }

    /// <summary>A shape, as <see cref="Guard.Show"/> writes it, of many axes the first.</summary>
    /// <param name="shape">The shape.</param>
    /// <returns>For example <c>[512, 784]</c>.</returns>
    public static string Of(ReadOnlySpan<long> shape) =>
        shape.Length <= Items ? Guard.Show(shape) : $"[{string.Join(", ", shape[..Items].ToArray())}, ... {shape.Length} axes]";
}
