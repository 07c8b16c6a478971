using System.Diagnostics;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Matching;

/// <summary>Searching from several starts and keeping the best.</summary>
internal static class Restarts
{
    /// <summary>
    /// Runs a search from several starts: the first from where the caller says or the identity, the others from permutations
    /// drawn at random, each with a seed of its own.
    /// </summary>
    /// <param name="name">The search, for messages.</param>
    /// <param name="count">How many starts.</param>
    /// <param name="seed">The seed that theirs follow from; the first start has it itself.</param>
    /// <param name="network">The network whose groups are searched over.</param>
    /// <param name="start">Where the first one begins.</param>
    /// <param name="search">Searches from a start with a seed.</param>
    /// <param name="value">What is to be greatest.</param>
    /// <param name="otherwise">Finds where the first one begins, where that is not told; the identity where this is not given either.</param>
    /// <returns>The best result, with the seconds of all.</returns>
    /// <exception cref="LmcException">The count is below 1, the start is of another network, or an objective is not finite.</exception>
    public static SearchResult Best(
        string name, int count, long seed, Network network, PermutationSet? start,
        Func<PermutationSet, long, SearchResult> search, Func<SearchResult, double> value,
        Func<PermutationSet>? otherwise = null)
    {
        Guard.Require(count >= 1, $"{name}: expected 1 or more starts, found {count}");
        if (start is not null) _ = new PermutationSet(network, start.Permutations); // of the network's own sizes
        var clock = Stopwatch.StartNew();
        var from = start ?? otherwise?.Invoke() ?? PermutationSet.Identity(network);
        var finding = clock.Elapsed.TotalSeconds;
        var first = search(from, seed);
        var (best, seconds) = (first, finding + first.Seconds);
        RequireNumber(first);
        for (var k = 1; k < count; k++)
        {
            var own = Seeds.Derive(seed, "restart", k);
            var next = search(PermutationSet.Random(network, own), own);
            seconds += next.Seconds;
            RequireNumber(next);
            if (value(next) > value(best)) best = next;
        }

        return best with { Seconds = seconds };

        // Of numbers that are none there is no best.
        void RequireNumber(SearchResult found) =>
            Guard.Require(double.IsFinite(value(found)), $"{name}: expected a finite objective, found {value(found)}");
    }
}
