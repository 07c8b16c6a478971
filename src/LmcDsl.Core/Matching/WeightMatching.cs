using System.Collections.Immutable;
using System.Diagnostics;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>Options of weight matching.</summary>
public sealed record WeightMatchingOptions
{
    /// <summary>Seed of the order in which each pass visits the groups.</summary>
    public long Seed { get; init; }

    /// <summary>Passes after which the search ends though something still changed.</summary>
    public int MaxSweeps { get; init; } = 1000;
}

/// <summary>
/// Weight matching by coordinate descent (Git Re-Basin, 2209.04836, algorithm 1): find the permutations pi for which
/// ‖a − pi(b)‖² is least, that is ⟨a, pi(b)⟩ over all learned parameters greatest. One group at a time is matched
/// exactly, by a linear assignment problem, with the others held; the objective never goes down.
/// </summary>
public static class WeightMatching
{
    /// <summary>Searches for the permutations of model b that bring it nearest to model a.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model to permute, of the same architecture and on the same device.</param>
    /// <param name="options">Options; the defaults where none are given.</param>
    /// <param name="start">Where to start; the identity where none is given.</param>
    /// <param name="progress">Called after each pass with the number of passes and the objective.</param>
    /// <returns>The permutations and how the search ended. The objective is ⟨a, pi(b)⟩.</returns>
    /// <exception cref="LmcException">Two architectures, or a model with NaN or infinity.</exception>
    public static SearchResult Match(
        ParameterSet a, ParameterSet b, WeightMatchingOptions? options = null, PermutationSet? start = null,
        Action<int, double>? progress = null)
    {
        options ??= new WeightMatchingOptions();
        ParameterSet.RequireSameArchitecture(a, b);
        RequireFinite(a, "the reference model");
        RequireFinite(b, "the model to align");
        var clock = Stopwatch.StartNew();
        using var quiet = no_grad();
        using var scope = NewDisposeScope();

        var found = (start ?? PermutationSet.Identity(b.Network)).Permutations.ToArray();
        using var moved = new PermutationSet(b.Network, found).Apply(b);
        var groups = Enumerable.Range(0, found.Length).Select(g => new GroupMatching(a, moved, g)).ToArray();
        var random = Seeds.Random(options.Seed, "order of groups");
        var stale = Enumerable.Repeat(true, found.Length).ToArray();
        var objective = ImmutableArray.CreateBuilder<double>();
        objective.Add(InnerProduct.Of(a.Learned(), moved.Learned()));

        var stopped = StopReason.SweepLimit;
        var sweeps = 0;
        while (sweeps < options.MaxSweeps && stopped == StopReason.SweepLimit)
        {
            var changed = Pass(groups, found, stale, Permutation.Random(found.Length, random));
            sweeps++;
            objective.Add(InnerProduct.Of(a.Learned(), moved.Learned()));
            progress?.Invoke(sweeps, objective[^1]);
            // Costs that were updated carry rounding of their own: the last word is had on costs computed whole.
            if (!changed && !Refresh(groups, stale)) stopped = StopReason.NothingChanged;
        }

        foreach (var group in groups) group.Dispose();
        return new SearchResult(
            new PermutationSet(b.Network, found), sweeps, objective.ToImmutable(), stopped, clock.Elapsed.TotalSeconds);
    }

    // Matches each group whose costs have changed since it was last matched. Returns whether any permutation changed.
    private static bool Pass(GroupMatching[] groups, Permutation[] found, bool[] stale, Permutation order)
    {
        var changed = false;
        foreach (var g in order.Sources.Where(g => stale[g]))
        {
            using var scope = NewDisposeScope();
            stale[g] = false;
            if (groups[g].Improve(out var step) is not { } move) continue;
            found[g] = step.After(found[g]);
            changed = true;
            stale[g] = groups[g].IsOnBothSides;
            foreach (var (neighbour, axis, slice, change) in move.Neighbours())
            {
                groups[neighbour].Cost.Update(axis, slice, change);
                stale[neighbour] = true;
            }
        }

        return changed;
    }

    private static bool Refresh(GroupMatching[] groups, bool[] stale)
    {
        for (var g = 0; g < groups.Length; g++)
        {
            stale[g] = groups[g].Cost.IsUpdated;
            if (stale[g]) groups[g].Cost.Forget();
        }

        return stale.Any(again => again);
    }

    private static void RequireFinite(ParameterSet model, string what)
    {
        using var scope = NewDisposeScope();
        if (model.Learned().isfinite().all().item<bool>()) return;
        var broken = model.Network.Parameters.Zip(model.Views)
            .First(p => p.First.Learned && !p.Second.isfinite().all().item<bool>()).First.Name;
        throw new LmcException($"weight matching: {what} has NaN or infinity in '{broken}', expected finite numbers");
    }
}
