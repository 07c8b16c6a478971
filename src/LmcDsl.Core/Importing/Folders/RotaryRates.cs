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
        FolderConfig?[] given = [.. Fields.Select(config.Within)];
        if (given.FirstOrDefault(found => found is not null) is not { } said) return new RotaryRates(theta);
        // Newer files have the base among the other fields of the rotation.
        theta = said.Number("rope_theta", theta);
        Guard.Require(
            said.Number("partial_rotary_factor", 1) == 1,
            $"{said.Path}: partial_rotary_factor: expected 1, which is what is computed; {FolderConfig.Elsewhere}");
        double[] plain = [.. Enumerable.Range(0, size / 2).Select(pair => Math.Pow(theta, -2.0 * pair / size))];
        var kind = said.Text("rope_type", "default", "type");
        switch (kind)
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
                    $"{said.Path}: expected default, linear, dynamic, llama3 or yarn, which are computed, found '{Excerpt.Of(kind, 40)}'; {FolderConfig.Elsewhere}");
        }
    }

    // Llama 3.1: slow pairs by the factor, fast ones as they are, those between by both.
    private static double[] Llama3(double[] plain, FolderConfig said)
    {
        var (factor, original) = (said.Number("factor"), said.Number("original_max_position_embeddings"));
        var (low, high) = (said.Number("low_freq_factor"), said.Number("high_freq_factor"));
        Guard.Require(high > low, $"{said.Path}: expected low_freq_factor below high_freq_factor, found {low} and {high}");
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
    private static RotaryRates Yarn(double[] plain, double theta, int size, int positions, FolderConfig said)
    {
        var (factor, original) = (said.Number("factor"), said.Number("original_max_position_embeddings", positions));
        var (fast, slow) = (said.Number("beta_fast", 32), said.Number("beta_slow", 1));
        var isWhole = said.Flag("truncate", true);
        Guard.Require(theta > 1, $"{said.Path}: expected a base above 1, found {theta}");
        double first = Pair(fast), last = Pair(slow);
        if (isWhole) (first, last) = (Math.Floor(first), Math.Ceiling(last));
        (first, last) = (Math.Max(first, 0), Math.Min(last, size - 1));
        if (first == last) last += 0.001;
        var rates = plain.Select((rate, pair) =>
        {
            var slowed = Math.Clamp((pair - first) / (last - first), 0, 1);
            return slowed * rate / factor + (1 - slowed) * rate;
        });
        var (scale, whole) = (said.Number("mscale", 0, orZero: true), said.Number("mscale_all_dim", 0, orZero: true));
        var gain = scale > 0 && whole > 0 ? Sharpness(factor, scale) / Sharpness(factor, whole) : Sharpness(factor, 1);
        return new RotaryRates(theta, [.. rates], said.Number("attention_factor", gain));

        // Which pair makes so many turns in a text of the length of training.
        double Pair(double turns) => size * Math.Log(original / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
    }

    private static double Sharpness(double factor, double scale) => factor > 1 ? 0.1 * scale * Math.Log(factor) + 1 : 1;
}
