namespace LmcDsl.Core.Permutations;

/// <summary>
/// How a permutation moves units: its cycles. A random one of n units has about ln n of them, the longest about 0.62 n (Golomb and
/// Dickman), and one unit that stays.
/// </summary>
public static class Cycles
{
    /// <summary>The lengths of a permutation's cycles, the longest first; units that stay are cycles of length 1.</summary>
    /// <param name="permutation">The permutation.</param>
    /// <returns>The lengths; they sum to the number of units.</returns>
    public static IReadOnlyList<int> Lengths(Permutation permutation)
    {
        var seen = new bool[permutation.Count];
        var lengths = new List<int>();
        for (var start = 0; start < permutation.Count; start++)
        {
            var length = 0;
            for (var at = start; !seen[at]; at = permutation.Sources[at])
            {
                seen[at] = true;
                length++;
            }

            if (length > 0) lengths.Add(length);
        }

        return [.. lengths.OrderDescending()];
    }
}
