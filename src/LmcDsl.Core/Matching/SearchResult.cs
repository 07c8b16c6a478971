using System.Collections.Immutable;
using LmcDsl.Core.Permutations;

namespace LmcDsl.Core.Matching;

/// <summary>Why a search stopped.</summary>
public enum StopReason
{
    /// <summary>A full pass over the groups changed no permutation.</summary>
    NothingChanged,

    /// <summary>The limit on passes was reached first.</summary>
    SweepLimit,
}

/// <summary>What a search found, and how it ended. Not converging is a result, not an error.</summary>
/// <param name="Permutations">To apply to the second model.</param>
/// <param name="Sweeps">Passes over the groups, the last one, which changed nothing, included.</param>
/// <param name="Objective">The objective before the first pass and after each.</param>
/// <param name="Stopped">Why it stopped.</param>
/// <param name="Seconds">Wall-clock time of the search.</param>
public sealed record SearchResult(
    PermutationSet Permutations, int Sweeps, ImmutableArray<double> Objective, StopReason Stopped, double Seconds)
{
    /// <summary>
    /// Of searches over more than permutations: the element of the network's folded form, for <see cref="RotatedMatching.Apply"/>; null else.
    /// </summary>
    public Transformation? Transformation { get; init; }
}
