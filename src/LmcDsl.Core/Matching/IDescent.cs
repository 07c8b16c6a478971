using LmcDsl.Core.Permutations;

namespace LmcDsl.Core.Matching;

/// <summary>A coordinate descent of weight matching from one start, however its models are laid out.</summary>
internal interface IDescent : IDisposable
{
    /// <summary>The permutations so far.</summary>
    PermutationSet Found { get; }

    /// <summary>⟨a, pi(b)⟩ over all learned parameters, summed in double.</summary>
    /// <remarks>Of parameters that have not changed since it was last asked for, the sum is known.</remarks>
    double Objective { get; }

    /// <summary>The most that updates have added to a group's costs, as a multiple of their own terms.</summary>
    double Updated { get; }

    /// <summary>The most that they may have when the search ends: costs with more are computed whole, and have the last word.</summary>
    double MostUpdated { get; init; }

    /// <summary>Passes over the groups, in random order, until one changes nothing.</summary>
    /// <param name="random">Gives the order of each pass.</param>
    /// <param name="maxSweeps">Passes after which to end though something still changed.</param>
    /// <param name="told">Called after each pass with their number.</param>
    /// <returns>The number of passes and why it stopped.</returns>
    (int Sweeps, StopReason Stopped) Run(Random random, int maxSweeps, Action<int>? told = null);
}
