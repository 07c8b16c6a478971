using System.Collections.Immutable;
using System.Text.Json;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>One layer in its place in the graph.</summary>
/// <param name="Name">Its name, unique in the network; its parameters' names begin with it.</param>
/// <param name="Layer">What it is.</param>
/// <param name="Inputs">The names of what it reads: earlier nodes, or <see cref="Architecture.InputName"/>.</param>
public sealed record LayerNode(string Name, Layer Layer, ImmutableArray<string> Inputs);

/// <summary>
/// A network as data: layers and what each reads. Everything else (parameters, the forward pass, permutation groups)
/// follows from it; see <see cref="Network"/>.
/// </summary>
/// <param name="Name">What people call it.</param>
/// <param name="Input">Shape of one example, for example <c>[1, 28, 28]</c>.</param>
/// <param name="Nodes">The layers, each after what it reads; the last one is the output.</param>
public sealed record Architecture(string Name, ImmutableArray<int> Input, ImmutableArray<LayerNode> Nodes)
{
    /// <summary>The name by which a node reads the network's input.</summary>
    public const string InputName = "input";

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    private static readonly JsonDocumentOptions Lenient = new()
    {
        CommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
    };

    /// <summary>Writes the architecture as JSON, in one line.</summary>
    /// <returns>The text; <see cref="FromJson"/> reads it back.</returns>
    /// <exception cref="LmcException">A layer of another library or a script does not say what is saved of it.</exception>
    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <summary>Reads what <see cref="ToJson"/> wrote, or a person in its form: names in upper or lower case, with comments.</summary>
    /// <param name="json">The text.</param>
    /// <returns>The architecture; not yet checked, as <see cref="Network"/> does that.</returns>
    /// <exception cref="LmcException">
    /// The text is not an architecture: the line names the field or kind that is not known, missing or of another type.
    /// </exception>
    public static Architecture FromJson(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json, Lenient);
            return Read(document.RootElement);
        }
        catch (JsonException error)
        {
            throw new LmcException(
                $"architecture: expected JSON, found something else at line {error.LineNumber + 1}, column {error.BytePositionInLine + 1}", error);
        }
    }

    private static Architecture Read(JsonElement source)
    {
        const string What = "architecture";
        var fields = JsonFields.Of(source, What, ["name", "input", "nodes"]);
        fields.Require(What, "name", "input", "nodes");
        return new Architecture(
            JsonFields.Text(fields["name"], $"{What}: name"),
            [.. JsonFields.List(fields["input"], $"{What}: input").Select(Size)],
            [.. JsonFields.List(fields["nodes"], $"{What}: nodes").Select(Node)]);
    }

    private static int Size(JsonElement element)
    {
        var isSize = element.ValueKind == JsonValueKind.Number && element.TryGetInt32(out _);
        Guard.Require(isSize, $"architecture: input: expected whole numbers, found {JsonFields.Show(element)}");
        return element.GetInt32();
    }

    private static LayerNode Node(JsonElement source, int index)
    {
        var what = $"architecture: node {index + 1}";
        var fields = JsonFields.Of(source, what, ["name", "layer", "inputs"]);
        fields.Require(what, "name", "layer", "inputs");
        var name = JsonFields.Text(fields["name"], $"{what}: name");
        what = $"architecture: layer '{name}'";
        try
        {
            return new LayerNode(
                name,
                LayerConverter.Read(fields["layer"], Json),
                [.. JsonFields.List(fields["inputs"], "inputs").Select(input => JsonFields.Text(input, "inputs"))]);
        }
        catch (LmcException error)
        {
            throw new LmcException($"{what}: {error.Message}", error);
        }
    }
}
