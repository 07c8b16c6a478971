using System.Collections.Immutable;
using System.Diagnostics;
using System.Text.Json.Serialization;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>Options of weight matching.</summary>
public sealed record WeightMatchingOptions
{
    /// <summary>Seed of the order in which each pass visits the groups, and of the starts after the first.</summary>
    public long Seed { get; init; }

    /// <summary>Starts, the best of which counts: the first as told or the identity, the others drawn at random.</summary>
    public int Starts { get; init; } = 1;

    /// <summary>
    /// Whether the first start, where none is told, is not the identity: each group is matched once, from what is fixed outwards, on what is
    /// decided already (<see cref="OutwardStart"/>). Takes a copy of model b while it is found.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Outward { get; init; }

    /// <summary>Passes after which the search ends though something still changed.</summary>
    public int MaxSweeps { get; init; } = 1000;

    /// <summary>Whether models that could be laid out for the search are not: the answer is the same, and a test holds the two against each other.</summary>
    internal bool AsTheyLie { get; init; }

    internal bool LaysOut(ParameterSet model) => !AsTheyLie && PackedPair.Suits(model);
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
    /// <param name="start">Where the first start is; the identity where none is given.</param>
    /// <param name="progress">Called after each pass with the number of passes and the objective.</param>
    /// <returns>The permutations and how the search ended. The objective is ⟨a, pi(b)⟩.</returns>
    /// <exception cref="LmcException">Two architectures, a model with NaN or infinity, or an option out of range.</exception>
    public static SearchResult Match(
        ParameterSet a, ParameterSet b, WeightMatchingOptions? options = null, PermutationSet? start = null,
        Action<int, double>? progress = null)
    {
        options ??= new WeightMatchingOptions();
        RequirePasses(options);
        RequireMatchable(a, b);
        using var pair = options.LaysOut(a) ? new PackedPair(a, b) : null;
        return Restarts.Best(
            "weight matching", options.Starts, options.Seed, b.Network, start,
            (from, seed) =>
            {
                if (pair is not null) return Descend(pair, from, seed, options.MaxSweeps, progress);
                using var moved = from.Apply(b);
                return Descend(a, moved, from, seed, options.MaxSweeps, progress);
            },
            found => found.Objective[^1], Outwards(a, b, pair, options));
    }

    /// <summary>
    /// The same from one start: model b itself is permuted, and is the aligned model when the search ends. Models that are large beside the
    /// memory at hand are not copied; small ones are laid out anew for the search (<see cref="PackedPair"/>), which is sooner done.
    /// </summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">
    /// The model to permute; changed. Where the search ends early, by an exception from <paramref name="progress"/>, its learned parameters
    /// are permuted as far as it came, or not at all.
    /// </param>
    /// <param name="options">Options, of one start; the defaults where none are given.</param>
    /// <param name="start">Where the search begins; the identity where none is given. Applied to model b first.</param>
    /// <param name="progress">Called after each pass with the number of passes and the objective.</param>
    /// <returns>The permutations that took b from what it was, and how the search ended. The objective is ⟨a, pi(b)⟩.</returns>
    /// <exception cref="LmcException">
    /// Two architectures, one model given twice, a model with NaN or infinity, or more than one start.
    /// </exception>
    public static SearchResult MatchInPlace(
        ParameterSet a, ParameterSet b, WeightMatchingOptions? options = null, PermutationSet? start = null,
        Action<int, double>? progress = null)
    {
        options ??= new WeightMatchingOptions();
        RequirePasses(options);
        Guard.Require(options.Starts == 1, $"weight matching in place: expected 1 start, found {options.Starts}");
        Guard.Require(!ReferenceEquals(a, b), $"weight matching in place: expected two models, found one given twice");
        if (options.LaysOut(a))
        {
            var matched = Match(a, b, options, start, progress);
            matched.Permutations.ApplyInPlace(b);
            return matched;
        }

        RequireMatchable(a, b);
        using var quiet = no_grad();
        return Restarts.Best(
            "weight matching", 1, options.Seed, b.Network, start,
            (from, seed) =>
            {
                from.ApplyInPlace(b, parameter => parameter.Learned);
                var found = Descend(a, b, from, seed, options.MaxSweeps, progress);
                found.Permutations.ApplyInPlace(b, parameter => !parameter.Learned);
                return found;
            },
            found => found.Objective[^1], Outwards(a, b, null, options));
    }

    private static SearchResult Descend(
        ParameterSet a, ParameterSet moved, PermutationSet start, long seed, int maxSweeps, Action<int, double>? progress)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        return Trace(() => new CoordinateDescent(a, moved, start), seed, maxSweeps, progress);
    }

    private static SearchResult Descend(PackedPair pair, PermutationSet start, long seed, int maxSweeps, Action<int, double>? progress)
    {
        using var quiet = no_grad();
        return Trace(
            () => new PackedDescent(pair, [.. start.Permutations.Select(p => p.Sources.ToArray())]), seed, maxSweeps, progress);
    }

    private static SearchResult Trace(Func<IDescent> begin, long seed, int maxSweeps, Action<int, double>? progress)
    {
        var clock = Stopwatch.StartNew();
        using var descent = begin();
        var objective = ImmutableArray.CreateBuilder<double>();
        objective.Add(descent.Objective);
        var (sweeps, stopped) = descent.Run(Seeds.Random(seed, "order of groups"), maxSweeps, sweep =>
        {
            objective.Add(descent.Objective);
            progress?.Invoke(sweep, objective[^1]);
        });
        return new SearchResult(descent.Found, sweeps, objective.ToImmutable(), stopped, clock.Elapsed.TotalSeconds);
    }

    private static Func<PermutationSet>? Outwards(ParameterSet a, ParameterSet b, PackedPair? pair, WeightMatchingOptions options) =>
        !options.Outward ? null : pair is null ? () => OutwardStart.Find(a, b) : () => OutwardStart.Find(pair);

    private static void RequirePasses(WeightMatchingOptions options) =>
        Guard.Require(options.MaxSweeps >= 1, $"weight matching: expected passes of 1 or more, found {options.MaxSweeps}");

    private static void RequireMatchable(ParameterSet a, ParameterSet b)
    {
        ParameterSet.RequireSameArchitecture(a, b);
        RequireFinite(a, "the reference model");
        RequireFinite(b, "the model to align");
    }

    /// <summary>Requires a model's learned parameters to be finite.</summary>
    /// <param name="model">The model.</param>
    /// <param name="what">What the message calls it.</param>
    internal static void RequireFinite(ParameterSet model, string what)
    {
        using var scope = NewDisposeScope();
        if (double.IsFinite(InnerProduct.Of(model.Learned(), model.Learned()))) return; // float's squares do not overflow in double
        var broken = model.Network.Parameters.Zip(model.Views)
            .First(p => p.First.Learned && !p.Second.isfinite().all().item<bool>()).First.Name;
        throw new LmcException($"weight matching: {what} has NaN or infinity in '{broken}', expected finite numbers");
    }
}
