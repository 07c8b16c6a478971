using System.Globalization;
using System.Text.RegularExpressions;

namespace LmcDsl.Core.Checkpoints;

/// <summary>What network a list of names and shapes looks like, in words: for messages where it is not the one that was expected.</summary>
internal static partial class Family
{
    /// <summary>Guesses the network.</summary>
    /// <param name="tensors">Names without a common prefix, ours or those that others use, with shapes.</param>
    /// <returns>For example <c>resnet32 for CIFAR (blocks 5, 5, 5), width 1, with norms</c>; nothing where it looks like none that is known.</returns>
    public static string? Of(IReadOnlyList<(string Name, IReadOnlyList<long> Shape)> tensors) =>
        ResNet(tensors) ?? Vgg(tensors) ?? Mlp(tensors) ?? Other(tensors);

    private static string? ResNet(IReadOnlyList<(string Name, IReadOnlyList<long> Shape)> tensors)
    {
        var blocks = new SortedDictionary<int, HashSet<int>>();
        var convolutions = 0;
        long stem = 0;
        foreach (var (name, shape) in tensors)
        {
            if (Stem().IsMatch(name) && shape.Count == 4) stem = shape[0];
            if (Block().Match(name) is not { Success: true } match || shape.Count != 4) continue;
            var stage = int.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture);
            if (!blocks.TryGetValue(stage, out var own)) blocks.Add(stage, own = []);
            own.Add(int.Parse(match.Groups[2].Value, CultureInfo.InvariantCulture));
            convolutions = Math.Max(convolutions, int.Parse(match.Groups[3].Value, CultureInfo.InvariantCulture));
        }

        if (blocks.Count is not (3 or 4) || convolutions is not (2 or 3) || stem == 0) return null;
        var depth = 2 + convolutions * blocks.Values.Sum(own => own.Count);
        var (kind, channels) = blocks.Count == 3 ? (" for CIFAR", 16.0) : ("", 64.0);
        return string.Create(
            CultureInfo.InvariantCulture, $"resnet{depth}{kind} (blocks {string.Join(", ", blocks.Values.Select(own => own.Count))}), width {stem / channels:0.###}, {Norms(tensors)}");
    }

    private static string? Vgg(IReadOnlyList<(string Name, IReadOnlyList<long> Shape)> tensors)
    {
        var kernels = tensors.Where(t => t.Shape.Count == 4).ToArray();
        if (kernels.Length < 4 || !kernels.All(t => Numbered().IsMatch(t.Name) && t.Shape[2] == 3 && t.Shape[3] == 3)) return null;
        var dense = tensors.Count(t => t.Shape.Count == 2);
        var name = kernels.Length switch { 8 => "vgg11", 10 => "vgg13", 13 => "vgg16", 16 => "vgg19", var n => $"a chain of {n} convolutions" };
        return string.Create(CultureInfo.InvariantCulture, $"{name}, width {kernels[0].Shape[0] / 64.0:0.###}, {Norms(tensors)}, {dense} dense layer{(dense == 1 ? "" : "s")}");
    }

    private static string? Mlp(IReadOnlyList<(string Name, IReadOnlyList<long> Shape)> tensors)
    {
        var weights = tensors.Where(t => t.Shape.Count >= 2).ToArray();
        if (weights.Length == 0 || weights.Any(t => t.Shape.Count != 2) || Other(tensors) is not null) return null;
        for (var k = 1; k < weights.Length; k++)
            if (weights[k].Shape[1] != weights[k - 1].Shape[0]) return null;
        var hidden = weights.Length > 1 ? $" --hidden {string.Join(" ", weights.SkipLast(1).Take(20).Select(t => t.Shape[0]))}" : "";
        return $"--arch mlp{hidden} ({weights[0].Shape[1]} inputs, {weights[^1].Shape[0]} outputs)";
    }

    private static string? Other(IReadOnlyList<(string Name, IReadOnlyList<long> Shape)> tensors)
    {
        if (tensors.Any(t => t.Name.Contains("attn", StringComparison.Ordinal) || t.Name.Contains("attention", StringComparison.Ordinal))) return "a transformer";
        return tensors.Any(t => t.Name.Contains("weight_hh_l", StringComparison.Ordinal)) ? "a recurrent network" : null;
    }

    private static string Norms(IReadOnlyList<(string Name, IReadOnlyList<long> Shape)> tensors) =>
        tensors.Any(t => t.Name.EndsWith("running_mean", StringComparison.Ordinal)) ? "batch norm"
        : tensors.Any(t => t.Shape.Count == 1 && t.Name.EndsWith(".weight", StringComparison.Ordinal)) ? "norms without statistics" : "no norm";

    [GeneratedRegex(@"^(?:stem|conv1|conv|stem\.conv|conv1\.0)\.weight$")]
    private static partial Regex Stem();

    [GeneratedRegex(@"^(?:layer|stage)(\d{1,2})\.(\d{1,4})\.conv(\d)\.weight$")]
    private static partial Regex Block();

    [GeneratedRegex(@"^(?:features\.|conv|convs\.|layers\.)?\d{1,4}\.weight$")]
    private static partial Regex Numbered();
}
