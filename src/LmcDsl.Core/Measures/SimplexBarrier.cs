using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Merging;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Measures;

/// <summary>A mixture of several models and how it does.</summary>
/// <param name="Shares">The share of each model; they sum to 1.</param>
/// <param name="Score">The mixture's loss and accuracy.</param>
/// <param name="Excess">Its loss less the same mixture of the models' losses, in nats.</param>
public readonly record struct MixturePoint(ImmutableArray<double> Shares, Score Score, double Excess);

/// <summary>
/// The loss barrier of several models: the largest excess of a mixture's loss over the mixture of losses, over all mixtures of a grid
/// (2506.22712, equation 2). Of two models it is the barrier of the line between them.
/// </summary>
public static class SimplexBarrier
{
    /// <summary>Mixtures at most.</summary>
    public const int MostMixtures = 10_000;

    /// <summary>Scores all mixtures whose shares are multiples of 1 / parts.</summary>
    /// <param name="models">Two or more models of one architecture, on one device.</param>
    /// <param name="split">Examples, on the same device.</param>
    /// <param name="parts">In how many parts the whole is divided, 1 or more.</param>
    /// <param name="progress">Called after each mixture with the share done.</param>
    /// <param name="resetOn">Training examples on which each mixture's batch-norm statistics are recomputed; none to mix them.</param>
    /// <param name="resetExamples">How many of them.</param>
    /// <returns>The mixtures, the models themselves among them with an excess of 0.</returns>
    /// <exception cref="LmcException">
    /// Fewer than two models, two architectures, examples that do not fit, too many mixtures, or one without finite scores; the line names it.
    /// </exception>
    public static ImmutableArray<MixturePoint> Over(
        IReadOnlyList<ParameterSet> models, DataSplit split, int parts = 4, Action<double>? progress = null, DataSplit? resetOn = null,
        int resetExamples = 10_000)
    {
        Guard.Require(models.Count >= 2 && parts >= 1, $"simplex barrier: expected 2 or more models and 1 or more parts, found {models.Count} and {parts}");
        foreach (var model in models) ParameterSet.RequireSameArchitecture(models[0], model);
        Guard.Require(
            Count(models.Count, parts) <= MostMixtures,
            $"simplex barrier: expected at most {MostMixtures} mixtures, found more of {models.Count} models in {parts} parts");
        Fit.Require(models[0], split, "simplex barrier");
        if (resetOn is not null) StatisticsReset.Require(models[0], resetOn, resetExamples, "simplex barrier, statistics reset");
        using var quiet = no_grad();
        int[][] grid = [.. Compositions(models.Count, parts)];
        using var mixed = models[0].Clone();
        var scores = grid.Select((shares, k) =>
        {
            using var scope = NewDisposeScope();
            mixed.Flat.zero_();
            for (var m = 0; m < models.Count; m++)
                if (shares[m] > 0) mixed.Flat.add_(models[m].Flat, alpha: (double)shares[m] / parts);
            var score = Guard.Within($"simplex barrier at {string.Join(", ", shares)} of {parts} parts", () =>
            {
                if (resetOn is not null && shares.Max() < parts) StatisticsReset.Apply(mixed, resetOn, resetExamples);
                return Evaluator.Evaluate(mixed, split);
            });
            progress?.Invoke((k + 1.0) / grid.Length);
            return score;
        }).ToArray();
        var ends = Enumerable.Range(0, models.Count)
            .Select(m => scores[Array.FindIndex(grid, shares => shares[m] == parts)].Loss).ToArray();
        return
        [
            .. grid.Zip(scores, (shares, score) => new MixturePoint(
                [.. shares.Select(share => (double)share / parts)], score,
                shares.Max() == parts ? 0 : score.Loss - shares.Zip(ends, (share, loss) => loss * share / parts).Sum())),
        ];
    }

    // All ways to give away the parts.
    private static IEnumerable<int[]> Compositions(int models, int parts) => models == 1
        ? [[parts]]
        : Enumerable.Range(0, parts + 1).SelectMany(own => Compositions(models - 1, parts - own).Select(rest => (int[])[own, .. rest]));

    private static double Count(int models, int parts)
    {
        var count = 1.0;
        for (var k = 1; k < models; k++) count = count * ((double)parts + k) / k;
        return count;
    }
}
