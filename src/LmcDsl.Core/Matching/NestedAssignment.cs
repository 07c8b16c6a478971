using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Solvers;

namespace LmcDsl.Core.Matching;

/// <summary>
/// The assignment of units that have an order of their own in each copy, such as heads and the units within them: for each pair of
/// copies the best inner assignment is what the outer one costs, so that the answer is exact, at any depth. The units of n copies of
/// m take n² problems of size m and one of size n.
/// </summary>
/// <param name="network">The network.</param>
/// <param name="costs">
/// For each group that takes part its costs, row by row over all units of all copies: what unit i costs in the place of which unit j
/// stands; null for 0. The groups form a tree: each but one has its parent among them.
/// </param>
internal sealed class NestedAssignment(Network network, IReadOnlyDictionary<int, float[]?> costs)
{
    private readonly ILookup<int, int> inner = costs.Keys.ToLookup(group => network.Groups[group].Parent);

    /// <summary>Solves the problem.</summary>
    /// <param name="answers">Each group's permutation, added to what is there.</param>
    /// <returns>The least cost.</returns>
    public double Minimize(Dictionary<int, Permutation> answers)
    {
        var root = costs.Keys.First(group => !costs.ContainsKey(network.Groups[group].Parent));
        var (cost, columns) = Solve(root, 0, 0);
        var found = new Permutation(columns);
        answers[root] = found;
        Descend(root, found, answers);
        return cost;
    }

    // The units of copy `to` in the reference, matched with those of copy `from` in the other model.
    private (double Cost, ImmutableArray<int> Columns) Solve(int group, int to, int from)
    {
        var symmetry = network.Groups[group];
        var (units, table) = (symmetry.Units / symmetry.Copies, costs[group]);
        var problem = new float[units * units];
        for (var u = 0; u < units; u++)
            for (var v = 0; v < units; v++)
            {
                var (row, column) = (to * units + u, from * units + v);
                var cost = (double)(table is null ? 0 : table[(long)row * symmetry.Units + column]);
                foreach (var within in inner[group]) cost += Solve(within, row, column).Cost;
                problem[u * units + v] = (float)cost;
            }

        var answer = LinearAssignment.Minimize(problem, units);
        return (answer.Cost, [.. answer.Columns]);
    }

    private void Descend(int group, Permutation found, Dictionary<int, Permutation> answers)
    {
        foreach (var within in inner[group])
        {
            var each = Enumerable.Range(0, found.Count).Select(place => new Permutation(Solve(within, place, found.Sources[place]).Columns));
            answers[within] = PermutationSet.Inside(found, [.. each]);
            Descend(within, answers[within], answers);
        }
    }
}
