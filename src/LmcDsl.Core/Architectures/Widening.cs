using System.Collections.Immutable;
using System.Text.Json.Nodes;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Architectures;

/// <summary>The same network at another width.</summary>
public static class Widening
{
    // Layers whose sizes are numbers of units, by their fields; the others have none, or sizes that do not follow the width.
    private static readonly string[] Sizes = ["units", "channels", "before", "after"];

    private static readonly string[] Unsized =
    [
        "activation", "adaptivePooling", "batchNorm", "concatenation", "flatten", "groupNorm", "layerNorm", "multiplication", "pooling",
        "sum",
    ];

    /// <summary>
    /// The network whose first layer of units has so many, and whose others have as many more in proportion; the last one, whose units are
    /// the outputs, stays. An MLP of 512, 512 at a width of 64 is one of 64, 64; a ResNet20, whose first convolution has 16 channels, is
    /// four times as wide at 64.
    /// </summary>
    /// <param name="architecture">The network.</param>
    /// <param name="units">Units, or channels, of its first layer that has any, 1 or more.</param>
    /// <returns>The wider or narrower network, with its name made to say so.</returns>
    /// <exception cref="LmcException">
    /// Fewer than 1 unit, no hidden layer, a layer without a whole number of units, or one whose sizes do not follow the width.
    /// </exception>
    public static Architecture Of(Architecture architecture, int units)
    {
        Guard.Require(units >= 1, $"width: expected 1 or more units, found {units}");
        var source = (JsonObject)JsonNode.Parse(architecture.ToJson())!;
        JsonObject[] layers = [.. source["nodes"]!.AsArray().Select(node => node!["layer"]!.AsObject())];
        JsonObject[] sized = [.. layers.Where(layer => layer.ContainsKey("units") || layer.ContainsKey("channels"))];
        Guard.Require(sized.Length >= 2, $"width: expected a network with a hidden layer, found '{architecture.Name}'");
        foreach (var layer in layers)
        {
            var kind = (string)layer["kind"]!;
            Guard.Require(
                Unsized.Contains(kind) || Sizes.Any(layer.ContainsKey),
                $"width: expected a network of dense layers and convolutions, found layer kind '{kind}' in '{architecture.Name}'");
        }

        var before = Units(sized[0]);
        var old = Hidden(sized);
        foreach (var layer in layers.Where(layer => layer != sized[^1]))
        {
            // Each channel of a depthwise convolution is a group of its own.
            var depthwise = layer["groups"] is { } groups && layer["channels"] is { } channels && (int)groups == (int)channels && (int)groups > 1;
            foreach (var size in depthwise ? [.. Sizes, "groups"] : Sizes)
                if (layer[size] is { } value) layer[size] = Scaled((int)value, units, before, architecture.Name);
        }

        source["name"] = architecture.Name == $"mlp {old}" ? $"mlp {Hidden(sized)}" : $"{architecture.Name}, width {units}";
        return Architecture.FromJson(source.ToJsonString());
    }

    private static int Units(JsonObject layer) => (int)(layer["units"] ?? layer["channels"])!;

    private static string Hidden(JsonObject[] sized) => string.Join('-', sized.SkipLast(1).Select(Units));

    private static int Scaled(int value, int units, int before, string name)
    {
        var scaled = (long)value * units;
        Guard.Require(
            scaled % before == 0 && scaled / before <= int.MaxValue,
            $"width: expected whole numbers of units in every layer of '{name}', found {value} x {units} / {before}");
        return (int)(scaled / before);
    }
}
