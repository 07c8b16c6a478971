using System.Collections.Immutable;
using System.Diagnostics;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>Options of weight matching by annealing.</summary>
public sealed record AnnealedMatchingOptions
{
    /// <summary>The first level's temperature, in deviations of a group's costs.</summary>
    public double Highest { get; init; } = 0.3;

    /// <summary>The last level's.</summary>
    public double Lowest { get; init; } = 0.1;

    /// <summary>Levels, the temperature falling by the same factor from each to the next.</summary>
    public int Levels { get; init; } = 2;

    /// <summary>Passes over rows and columns for each doubly stochastic matrix.</summary>
    public int Iterations { get; init; } = 20;

    /// <summary>
    /// How often at most the best answer is heated to the lowest temperature and cooled again, until that changes nothing. Each takes about
    /// half of an annealing's time. A single one is left out where the descent after annealing was short: then, as in networks with
    /// residual sums, it would change nothing.
    /// </summary>
    public int Reheats { get; init; } = 1;

    /// <summary>Passes of a descent after which it ends though something still changed.</summary>
    public int MaxSweeps { get; init; } = 1000;

    /// <summary>Seed of the order in which descents visit the groups, and of where the starts after the first begin.</summary>
    public long Seed { get; init; }

    /// <summary>
    /// Starts, the best of which counts. Each begins its plain descent elsewhere, the first as told or outwards, the others at
    /// permutations drawn at random; and each anneals more slowly than the one before, with as many levels again, from twice its highest
    /// temperature (up to eight times the first one's).
    /// </summary>
    public int Starts { get; init; } = 1;
}

/// <summary>
/// Weight matching by mean-field annealing (graduated assignment, Gold and Rangarajan, IEEE PAMI 18, 1996, on the objective of Git Re-Basin,
/// 2209.04836): all groups' permutations begin as matrices that prefer nothing, and are sharpened together while a temperature falls, so
/// that what many parameters agree on is decided before what few say; then coordinate descent. The coordinate descent of
/// <see cref="WeightMatching"/> from an outward start is made as well, and the better answer counts.
/// </summary>
/// <remarks>
/// Models are laid out on the CPU (<see cref="PackedPair"/>): up to three times the memory of a model, besides the two. Of a network
/// with units that fill a part of a dimension only, or have an order of their own in each copy, the plain descent is all that is made.
/// </remarks>
public static class AnnealedMatching
{
    // Passes of a descent, the last of which changes nothing, that show the way from the mean field to an optimum to be plain.
    private const int Short = 3;

    /// <summary>Searches for the permutations of model b that bring it nearest to model a.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model to permute, of the same architecture and on the same device.</param>
    /// <param name="options">Options; the defaults where none are given.</param>
    /// <param name="start">
    /// Where the first plain descent starts; where each group is matched outwards (<see cref="OutwardStart"/>) where none is given. Annealing
    /// does not depend on it.
    /// </param>
    /// <param name="progress">Called after each stage with the passes so far and the best objective.</param>
    /// <returns>
    /// The permutations. The objective is ⟨a, pi(b)⟩: at the start, and the best after the plain descent, after annealing, and after each
    /// reheating; it never goes down.
    /// </returns>
    /// <exception cref="LmcException">Two architectures, a model with NaN or infinity, or an option out of range.</exception>
    public static SearchResult Match(
        ParameterSet a, ParameterSet b, AnnealedMatchingOptions? options = null, PermutationSet? start = null,
        Action<int, double>? progress = null)
    {
        options ??= new AnnealedMatchingOptions();
        ParameterSet.RequireSameArchitecture(a, b);
        Guard.Require(
            options is { Lowest: > 0, Highest: < 1e6, Levels: >= 1, Iterations: >= 1, Reheats: >= 0, MaxSweeps: >= 1 }
                && options.Lowest <= options.Highest,
            $"annealed matching: expected temperatures above 0, the highest first, levels, iterations and passes of 1 or more and reheats of 0 or more, found {options}");
        // Units in parts of a dimension, or with an order in each copy, are matched by the plain descent alone.
        if (!PackedPair.Fits(a.Network))
            return WeightMatching.Match(
                a, b, new WeightMatchingOptions { MaxSweeps = options.MaxSweeps, Seed = options.Seed, Starts = options.Starts, Outward = true }, start, progress);
        using var quiet = no_grad();
        using var pair = new PackedPair(a, b);
        var slower = 0;
        return Restarts.Best(
            "annealed matching", options.Starts, options.Seed, b.Network, start,
            (from, seed) => Search(pair, Slower(options, slower++), from, seed, progress), found => found.Objective[^1],
            () => OutwardStart.Find(pair));
    }

    private static AnnealedMatchingOptions Slower(AnnealedMatchingOptions options, int start) => options with
    {
        Highest = options.Highest * (1 << Math.Min(start, 3)),
        Levels = options.Levels * (start + 1),
    };

    private static SearchResult Search(
        PackedPair pair, AnnealedMatchingOptions options, PermutationSet start, long seed, Action<int, double>? progress)
    {
        var clock = Stopwatch.StartNew();
        using var scope = NewDisposeScope();
        var random = Seeds.Random(seed, "order of groups");
        // The network's own order, in which what one group decides is what the next one reads.
        int[] order = [.. Enumerable.Range(0, pair.Units.Length)];
        int[][] best = [.. start.Permutations.Select(p => p.Sources.ToArray())];
        var objective = ImmutableArray.CreateBuilder<double>();
        objective.Add(pair.Objective(best));
        var (sweeps, stopped) = (0, StopReason.NothingChanged);
        int passes;

        Try(new PackedDescent(pair, best));
        using (var field = new MeanField(pair))
        {
            for (var k = 0; k < options.Levels; k++)
            {
                var fall = options.Levels == 1 ? 0 : (double)k / (options.Levels - 1);
                field.Level(options.Highest * Math.Pow(options.Lowest / options.Highest, fall), options.Iterations, order);
            }

            sweeps += options.Levels + 1;
            var (found, answers) = field.Harden(order);
            passes = Try(new PackedDescent(pair, found, answers));
        }

        for (var k = 0; k < options.Reheats && (options.Reheats > 1 || passes > Short); k++)
        {
            using var field = new MeanField(pair, best);
            // Backwards every other time: what was decided first is heard last.
            var turn = k % 2 == 0 ? order.Reverse().ToArray() : order;
            field.Level(options.Lowest, options.Iterations, turn);
            sweeps += 2;
            var (found, answers) = field.Harden(turn);
            if (found.Zip(best).All(orders => orders.First.AsSpan().SequenceEqual(orders.Second))) break;
            Try(new PackedDescent(pair, found, answers));
        }

        return new SearchResult(
            new PermutationSet(pair.Network, best.Select(order => new Permutation(order))), sweeps, objective.ToImmutable(), stopped,
            clock.Elapsed.TotalSeconds);

        int Try(PackedDescent descent)
        {
            using var own = descent;
            var (made, how) = descent.Run(random, options.MaxSweeps);
            sweeps += made;
            var value = descent.Objective;
            if (value > objective[^1])
            {
                best = [.. descent.Orders];
                stopped = how;
            }

            objective.Add(Math.Max(value, objective[^1]));
            progress?.Invoke(sweeps, objective[^1]);
            return made;
        }
    }
}
