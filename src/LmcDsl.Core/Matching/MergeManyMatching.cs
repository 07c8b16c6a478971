using System.Collections.Immutable;
using System.Diagnostics;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>Options of matching several models in turn.</summary>
public sealed record MergeManyOptions
{
    /// <summary>Seed of the order in which models, and groups within each, are visited.</summary>
    public long Seed { get; init; }

    /// <summary>Passes over the models after which the search ends though something still changed.</summary>
    public int MaxSweeps { get; init; } = 100;
}

/// <summary>
/// Weight matching of several models (Git Re-Basin, 2209.04836, algorithm 3, MergeMany): each in turn is matched to the mean
/// of the others, until nothing changes. The sum over pairs of ⟨pi_p(p), pi_q(q)⟩ never goes down.
/// </summary>
public static class MergeManyMatching
{
    /// <summary>Searches for permutations that bring all models into one order of units.</summary>
    /// <param name="models">Two or more models of one architecture, on one device.</param>
    /// <param name="options">Options; the defaults where none are given.</param>
    /// <param name="start">Where to start, one for each model; identities where none are given.</param>
    /// <param name="progress">Called after each pass with the number of passes and the objective.</param>
    /// <returns>The permutations; the first model's is the identity.</returns>
    /// <exception cref="LmcException">Fewer than two models, two architectures, NaN or infinity, or an option out of range.</exception>
    public static JointResult Match(
        IReadOnlyList<ParameterSet> models, MergeManyOptions? options = null, IReadOnlyList<PermutationSet>? start = null,
        Action<int, double>? progress = null)
    {
        options ??= new MergeManyOptions();
        JointResult.RequireModels("merge many", models);
        Guard.Require(options.MaxSweeps >= 1, $"merge many: expected passes of 1 or more, found {options.MaxSweeps}");
        Guard.Require(
            start is null || start.Count == models.Count,
            $"merge many: expected {models.Count} starts, found {start?.Count}");
        var clock = Stopwatch.StartNew();
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        PermutationSet[] found = [.. start ?? [.. models.Select(m => PermutationSet.Identity(m.Network))]];
        ParameterSet[] moved = [.. models.Zip(found, (m, p) => p.Apply(m))];
        var random = Seeds.Random(options.Seed, "order of models");
        var objective = ImmutableArray.CreateBuilder<double>();
        objective.Add(JointResult.OfPairs(moved));
        var (sweeps, stopped) = (0, StopReason.SweepLimit);
        while (sweeps < options.MaxSweeps && stopped == StopReason.SweepLimit)
        {
            var changed = false;
            foreach (var p in Permutation.Random(models.Count, random).Sources)
            {
                using var others = Others(moved, p);
                WeightMatching.RequireFinite(others, "the mean of the other models");
                using var descent = new CoordinateDescent(others, moved[p], PermutationSet.Identity(models[p].Network));
                descent.Run(random, int.MaxValue);
                if (descent.Found.Permutations.All(step => step.IsIdentity)) continue;
                changed = true;
                found[p] = descent.Found.After(found[p]);
            }

            sweeps++;
            objective.Add(JointResult.OfPairs(moved));
            progress?.Invoke(sweeps, objective[^1]);
            if (!changed) stopped = StopReason.NothingChanged;
        }

        foreach (var m in moved) m.Dispose();
        return new JointResult(
            JointResult.FromFirst(found), sweeps, objective.ToImmutable(), stopped, clock.Elapsed.TotalSeconds);
    }

    // The mean of all models but one.
    private static ParameterSet Others(ParameterSet[] models, int without)
    {
        using var scope = NewDisposeScope();
        var sum = models.Where((_, k) => k != without).Select(m => m.Flat).Aggregate((x, y) => x + y);
        return new ParameterSet(models[0].Network, sum / (models.Length - 1));
    }
}
