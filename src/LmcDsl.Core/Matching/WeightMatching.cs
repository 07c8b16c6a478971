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
        var neighbours = Neighbours(b.Network);
        var stale = Enumerable.Repeat(true, found.Length).ToArray();
        var random = Seeds.Random(options.Seed, "order of groups");
        var objective = ImmutableArray.CreateBuilder<double>();
        objective.Add(InnerProduct.Of(a.Learned(), moved.Learned()));

        var stopped = StopReason.SweepLimit;
        var sweeps = 0;
        while (sweeps < options.MaxSweeps && stopped == StopReason.SweepLimit)
        {
            var changed = false;
            foreach (var g in Permutation.Random(found.Length, random).Sources)
            {
                if (!stale[g]) continue;
                stale[g] = false;
                if (groups[g].Improve() is not { } step) continue;
                found[g] = step.After(found[g]);
                foreach (var neighbour in neighbours[g]) stale[neighbour] = true;
                changed = true;
            }

            sweeps++;
            objective.Add(InnerProduct.Of(a.Learned(), moved.Learned()));
            progress?.Invoke(sweeps, objective[^1]);
            if (!changed) stopped = StopReason.NothingChanged;
        }

        return new SearchResult(
            new PermutationSet(b.Network, found), sweeps, objective.ToImmutable(), stopped, clock.Elapsed.TotalSeconds);
    }

    // Groups that share a parameter: when one changes, the other's problem does. A group whose units are on both sides of
    // a weight is its own neighbour.
    private static int[][] Neighbours(Network network) =>
    [
        .. network.Groups.Select((group, g) => group.Axes
            .SelectMany(axis => Enumerable.Range(0, network.Groups.Length).Where(other =>
                network.Groups[other].Axes.Any(o =>
                    o.Parameter == axis.Parameter && (other != g || o.Dimension != axis.Dimension))))
            .Distinct().ToArray()),
    ];

    private static void RequireFinite(ParameterSet model, string what)
    {
        using var scope = NewDisposeScope();
        if (model.Learned().isfinite().all().item<bool>()) return;
        var broken = model.Network.Parameters.Zip(model.Views)
            .First(p => p.First.Learned && !p.Second.isfinite().all().item<bool>()).First.Name;
        throw new LmcException($"weight matching: {what} has NaN or infinity in '{broken}', expected finite numbers");
    }
}
