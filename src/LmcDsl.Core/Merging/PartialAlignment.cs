using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Merging;

/// <summary>
/// Alignment of a network's first groups only, for partial merges: what Git Re-Basin (2209.04836) aligns layer by layer, stopped after
/// some. Units of the later groups stay where they are; the network computes the same function either way.
/// </summary>
public static class PartialAlignment
{
    /// <summary>The permutations of the first groups, nothing moved in the others.</summary>
    /// <param name="permutations">What a search found.</param>
    /// <param name="groups">
    /// How many groups, in the order of the network's, from 0 to all; of units within copies (heads, channels of groups) those go with
    /// their copies and are not counted.
    /// </param>
    /// <returns>The permutations.</returns>
    /// <exception cref="LmcException">The network has fewer groups, or the number is below 0.</exception>
    public static PermutationSet First(PermutationSet permutations, int groups)
    {
        var all = permutations.Network.Groups;
        int[] outer = [.. Enumerable.Range(0, all.Length).Where(k => all[k].Parent < 0)];
        Guard.Require(
            groups >= 0 && groups <= outer.Length,
            $"first groups: expected 0 to {outer.Length}, the groups of '{permutations.Network.Architecture.Name}', found {groups}");
        var kept = outer.Take(groups).ToHashSet();
        return new PermutationSet(
            permutations.Network,
            permutations.Permutations.Select((found, k) => kept.Contains(permutations.Network.Around(k).First()) ? found : Permutation.Identity(found.Count)));
    }
}
