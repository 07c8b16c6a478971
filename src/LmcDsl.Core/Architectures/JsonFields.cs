using System.Text.Json;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>Fields of a JSON object, checked by name: what is not known is refused, never passed over.</summary>
internal static class JsonFields
{
    /// <summary>An object's fields by the names that are known for them; upper and lower case count alike.</summary>
    /// <param name="source">The element.</param>
    /// <param name="what">What it is, for messages.</param>
    /// <param name="known">The names known.</param>
    /// <exception cref="LmcException">It is no object, or a field is not known or given twice.</exception>
    public static Dictionary<string, JsonElement> Of(JsonElement source, string what, IReadOnlyList<string> known)
    {
        Guard.Require(source.ValueKind == JsonValueKind.Object, $"{what}: expected an object in braces, found {Show(source)}");
        var fields = new Dictionary<string, JsonElement>(StringComparer.OrdinalIgnoreCase);
        foreach (var field in source.EnumerateObject())
        {
            Guard.Require(
                known.Contains(field.Name, StringComparer.OrdinalIgnoreCase),
                $"{what}: expected fields among {Listing.Of(known)}, found '{field.Name}'{Nearest.Hint(field.Name, known)}");
            Guard.Require(fields.TryAdd(field.Name, field.Value), $"{what}: expected each field once, found '{field.Name}' twice");
        }

        return fields;
    }

    /// <summary>Requires fields to be there.</summary>
    /// <exception cref="LmcException">One is not; the line names all that are missing.</exception>
    public static void Require(this Dictionary<string, JsonElement> fields, string what, params string[] names)
    {
        var missing = names.Where(name => !fields.ContainsKey(name)).ToArray();
        Guard.Require(
            missing.Length == 0,
            $"{what}: expected fields {string.Join(", ", names)}, found none for {string.Join(", ", missing)}");
    }

    /// <summary>A text that is not empty.</summary>
    public static string Text(JsonElement element, string what)
    {
        Guard.Require(
            element.ValueKind == JsonValueKind.String && element.GetString()!.Length > 0, $"{what}: expected a text, found {Show(element)}");
        return element.GetString()!;
    }

    /// <summary>The elements of a list that is not empty.</summary>
    public static IEnumerable<JsonElement> List(JsonElement element, string what)
    {
        Guard.Require(
            element.ValueKind == JsonValueKind.Array && element.GetArrayLength() > 0,
            $"{what}: expected a list in brackets with 1 or more entries, found {Show(element)}");
        return element.EnumerateArray();
    }

    /// <summary>An element as messages show it: the beginning of its text.</summary>
    public static string Show(JsonElement element)
    {
        var text = element.GetRawText().ReplaceLineEndings(" ");
        return text.Length <= 60 ? text : $"{text[..60]}...";
    }

    /// <summary>What a value of a type looks like, in words.</summary>
    public static string Words(Type type)
    {
        var bare = Nullable.GetUnderlyingType(type) ?? type;
        var words = bare switch
        {
            _ when bare == typeof(int) || bare == typeof(long) => "a whole number",
            _ when bare == typeof(double) || bare == typeof(float) => "a number",
            _ when bare == typeof(bool) => "true or false",
            _ when bare == typeof(string) => "a text",
            { IsEnum: true } => $"one of {string.Join(", ", Enum.GetNames(bare))}",
            _ => $"a value of {bare.Name}",
        };
        return bare == type ? words : $"{words} or null";
    }
}
