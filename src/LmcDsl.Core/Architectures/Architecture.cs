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

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        AllowOutOfOrderMetadataProperties = true,
    };

    /// <summary>Writes the architecture as JSON, in one line.</summary>
    /// <returns>The text; <see cref="FromJson"/> reads it back.</returns>
    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <summary>Reads what <see cref="ToJson"/> wrote.</summary>
    /// <param name="json">The text.</param>
    /// <returns>The architecture; not yet checked, as <see cref="Network"/> does that.</returns>
    /// <exception cref="LmcException">The text is not an architecture.</exception>
    public static Architecture FromJson(string json)
    {
        try
        {
            var read = JsonSerializer.Deserialize<Architecture>(json, Json);
            Guard.Require(
                read is { Input.IsDefaultOrEmpty: false, Nodes.IsDefaultOrEmpty: false }
                    && read.Nodes.All(n => n is { Name: not null, Layer: not null, Inputs.IsDefault: false }),
                $"architecture: expected name, input and nodes (each with name, layer and inputs), found {json}");
            return read!;
        }
        catch (Exception error) when (error is JsonException or NotSupportedException)
        {
            throw new LmcException($"architecture: not readable as JSON: {error.Message}", error);
        }
    }
}
