using System.Text.Json;
using System.Text.Json.Serialization;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>Writes a layer as an object with its kind and its fields, and reads it back.</summary>
internal sealed class LayerConverter : JsonConverter<Layer>
{
    public const string KindField = "kind";
    public const string VersionField = "version";

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, Layer value, JsonSerializerOptions options) =>
        LayerKinds.Find(value.GetType()).Write(writer, value, options);

    /// <inheritdoc/>
    public override Layer Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        using var document = JsonDocument.ParseValue(ref reader);
        return Read(document.RootElement, options);
    }

    /// <summary>Reads a layer.</summary>
    /// <exception cref="LmcException">The kind is not known, or a field does not fit it.</exception>
    public static Layer Read(JsonElement source, JsonSerializerOptions options)
    {
        Guard.Require(source.ValueKind == JsonValueKind.Object, $"layer: expected an object in braces, found {JsonFields.Show(source)}");
        var kinds = source.EnumerateObject().Where(field => field.NameEquals(KindField)).ToArray();
        Guard.Require(kinds.Length == 1, $"layer: expected a field '{KindField}', found {JsonFields.Show(source)}");
        var name = JsonFields.Text(kinds[0].Value, KindField);
        return LayerKinds.Find(name)?.Read(source, options)
            ?? throw new LmcException(
                $"{KindField}: expected one of {string.Join(", ", LayerKinds.Names)}, found '{name}'{Nearest.Hint(name, LayerKinds.Names)}; a layer of a script or another library is known where its class is registered or used");
    }
}
