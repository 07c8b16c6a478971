using System.Text.Json;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Importing;

/// <summary>
/// How fast the pairs of a head turn, as Hugging Face's <c>config.json</c> says it: by a base alone, or scaled for texts that are longer than
/// those of training (its <c>rope_scaling</c> or <c>rope_parameters</c>). Scaling changes no symmetry, only what is computed.
/// </summary>
/// <param name="Base">Pair j of d/2 turns by <c>base^(-2j/d)</c> a position where there are no rates.</param>
/// <param name="Rates">Angles a position, one for each pair; null where the base says them.</param>
/// <param name="Gain">What turned queries and keys are multiplied by.</param>
internal sealed record RotaryRates(double Base, IReadOnlyList<double>? Rates = null, double Gain = 1)
{
    private static readonly string[] Fields = ["rope_scaling", "rope_parameters"];

    /// <summary>Reads them.</summary>
    /// <param name="config">The file.</param>
    /// <param name="size">Units of a head.</param>
    /// <param name="positions">Positions that the model has.</param>
    /// <exception cref="LmcException">A kind of scaling that is not computed, or a number that is missing or none; the line names it.</exception>
    public static RotaryRates Of(FolderConfig config, int size, int positions)
    {
        var theta = config.Number("rope_theta", 10_000);
        var (name, scaling) = ("", default(JsonElement?));
        foreach (var field in Fields)
            if (config.Object(field) is { } found && scaling is null) (name, scaling) = (field, found);
        if (scaling is not { } rotation) return new RotaryRates(theta);
        Guard.Require(rotation.ValueKind == JsonValueKind.Object, $"{config.Path}: {name}: expected an object, found {JsonFields.Show(rotation)}");
        var said = new Said(config.Path, name, rotation);
        // Newer files have the base among the other fields of the rotation.
        theta = said.Number("rope_theta", theta);
        Guard.Require(
            said.Number("partial_rotary_factor", 1) == 1,
            $"{config.Path}: {name}: partial_rotary_factor: expected 1, which is what is computed; {FolderConfig.Elsewhere}");
        double[] plain = [.. Enumerable.Range(0, size / 2).Select(pair => Math.Pow(theta, -2.0 * pair / size))];
        switch (said.Kind)
        {
            // Texts beyond the model's positions alone turn otherwise, and those are not computed.
            case "default" or "dynamic":
                return new RotaryRates(theta);
            case "linear":
                var factor = said.Number("factor");
                return new RotaryRates(theta, [.. plain.Select(rate => rate / factor)]);
            case "llama3":
                return new RotaryRates(theta, Llama3(plain, said));
            case "yarn":
                return Yarn(plain, theta, size, positions, said);
            default:
                throw new LmcException(
                    $"{config.Path}: {name}: expected default, linear, dynamic, llama3 or yarn, which are computed, found '{Excerpt.Of(said.Kind, 40)}'; {FolderConfig.Elsewhere}");
        }
    }

    // Llama 3.1: slow pairs by the factor, fast ones as they are, those between by both.
    private static double[] Llama3(double[] plain, Said said)
    {
        var (factor, original) = (said.Number("factor"), said.Number("original_max_position_embeddings"));
        var (low, high) = (said.Number("low_freq_factor"), said.Number("high_freq_factor"));
        said.Require(high > low, $"low_freq_factor below high_freq_factor, found {low} and {high}");
        return
        [
            .. plain.Select(rate =>
            {
                var turns = original * rate / (2 * Math.PI); // in a text of the length of training
                var fast = Math.Clamp((turns - low) / (high - low), 0, 1);
                return (1 - fast) * rate / factor + fast * rate;
            }),
        ];
    }

    // YaRN (2309.00071): the same between two pairs, straight over their numbers, and sharper attention.
    private static RotaryRates Yarn(double[] plain, double theta, int size, int positions, Said said)
    {
        var (factor, original) = (said.Number("factor"), said.Number("original_max_position_embeddings", positions));
        var (fast, slow) = (said.Number("beta_fast", 32), said.Number("beta_slow", 1));
        var isWhole = said.Flag("truncate", true);
        said.Require(theta > 1, $"a base above 1, found {theta}");
        double first = Pair(fast), last = Pair(slow);
        if (isWhole) (first, last) = (Math.Floor(first), Math.Ceiling(last));
        (first, last) = (Math.Max(first, 0), Math.Min(last, size - 1));
        if (first == last) last += 0.001;
        var rates = plain.Select((rate, pair) =>
        {
            var slowed = Math.Clamp((pair - first) / (last - first), 0, 1);
            return slowed * rate / factor + (1 - slowed) * rate;
        });
        var (scale, whole) = (said.Number("mscale", 0, least: 0), said.Number("mscale_all_dim", 0, least: 0));
        var gain = scale > 0 && whole > 0 ? Sharpness(factor, scale) / Sharpness(factor, whole) : Sharpness(factor, 1);
        return new RotaryRates(theta, [.. rates], said.Number("attention_factor", gain));

        // Which pair makes so many turns in a text of the length of training.
        double Pair(double turns) => size * Math.Log(original / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
    }

    private static double Sharpness(double factor, double scale) => factor > 1 ? 0.1 * scale * Math.Log(factor) + 1 : 1;

    /// <summary>The fields of the object that says the scaling.</summary>
    private sealed class Said(string path, string name, JsonElement rotation)
    {
        /// <summary>The kind, by its new name or its old one.</summary>
        public string Kind => Text("rope_type") ?? Text("type") ?? "default";

        /// <summary>A number above 0, or from a least one on; where it is missing or null what is meant then, if there is such.</summary>
        public double Number(string field, double? other = null, double least = double.Epsilon)
        {
            var found = Find(field);
            if (found is null && other is { } meant) return meant;
            var number = found is { ValueKind: JsonValueKind.Number } value && value.TryGetDouble(out var read) ? read : double.NaN;
            Guard.Require(
                number >= least && double.IsFinite(number),
                $"{path}: {name}: {field}: expected a number {(least > 0 && least < 1 ? "above 0" : $"from {least} on")}, found {(found is null ? "none" : JsonFields.Show(found.Value))}");
            return number;
        }

        /// <summary>True or false.</summary>
        public bool Flag(string field, bool other)
        {
            var found = Find(field);
            Guard.Require(
                found is null or { ValueKind: JsonValueKind.True or JsonValueKind.False },
                $"{path}: {name}: {field}: expected true or false, found {(found is null ? "none" : JsonFields.Show(found.Value))}");
            return found is null ? other : found.Value.ValueKind == JsonValueKind.True;
        }

        /// <summary>Requires what fields together must be.</summary>
        public void Require(bool holds, string expected) => Guard.Require(holds, $"{path}: {name}: expected {expected}");

        private string? Text(string field)
        {
            if (Find(field) is not { } found) return null;
            Guard.Require(found.ValueKind == JsonValueKind.String, $"{path}: {name}: {field}: expected a text, found {JsonFields.Show(found)}");
            return found.GetString();
        }

        private JsonElement? Find(string field) =>
            rotation.TryGetProperty(field, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }
}
