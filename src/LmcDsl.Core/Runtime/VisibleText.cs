using System.Globalization;
using System.Text;

namespace LmcDsl.Core.Runtime;

/// <summary>
/// Text from files, before it is shown: names of tensors, titles, records. What a terminal would obey (control characters), what breaks a
/// line (U+2028) and what reorders or hides what people read (U+202E, U+200B and their like) is shown as <c>\u001b</c>.
/// </summary>
public static class VisibleText
{
    /// <summary>Shows such characters by their numbers; other text stays as it is.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="lines">Whether line breaks stay, for text of several lines.</param>
    /// <param name="escape">What stands before the number of a character that is not shown.</param>
    /// <returns>The text, of one line unless <paramref name="lines"/>.</returns>
    public static string Of(string text, bool lines = false, string escape = "\\u")
    {
        if (text.All(c => IsVisible(c, lines))) return text;
        var shown = new StringBuilder(text.Length + 16);
        foreach (var c in text)
            if (IsVisible(c, lines)) shown.Append(c);
            else shown.Append(CultureInfo.InvariantCulture, $"{escape}{(int)c:x4}");
        return shown.ToString();
    }

    private static bool IsVisible(char c, bool lines) =>
        c is >= ' ' and <= '~' || (lines && c is '\n' or '\r' or '\t') || char.GetUnicodeCategory(c) is not (UnicodeCategory.Control
            or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator);
}
