using LmcDsl.Core.Permutations;
using LmcDsl.Core.Solvers;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// Mean-field annealing of a packed pair: each group has a doubly stochastic matrix in the place of a permutation, at first 1 / units
/// everywhere, and takes in turn the one that its costs under the others' matrices have at a temperature, which falls from level to level.
/// At the end each group is matched exactly under what the others have by then.
/// </summary>
internal sealed class MeanField : IDisposable
{
    private readonly PackedPair pair;
    private readonly Tensor?[] matrices;

    /// <summary>Begins where every order is as good as any other.</summary>
    /// <param name="pair">The models.</param>
    public MeanField(PackedPair pair)
    {
        this.pair = pair;
        matrices = new Tensor?[pair.Units.Length];
    }

    /// <summary>Begins at permutations.</summary>
    /// <param name="pair">The models.</param>
    /// <param name="found">Of each group, which unit of the second model is in each place.</param>
    public MeanField(PackedPair pair, int[][] found)
        : this(pair)
    {
        for (var g = 0; g < found.Length; g++) Put(g, Hard(zeros(pair.Units[g], pair.Units[g]), found[g]));
    }

    /// <summary>One level: each group takes the matrix of its costs at a temperature.</summary>
    /// <param name="temperature">In deviations of the group's costs; see <see cref="SoftAssign"/>.</param>
    /// <param name="iterations">Passes over rows and columns for each matrix.</param>
    /// <param name="order">The order in which the groups take theirs.</param>
    public void Level(double temperature, int iterations, IEnumerable<int> order)
    {
        foreach (var g in order)
        {
            var cost = pair.Cost(g, matrices);
            SoftAssign.Apply(UnitLayout.Numbers(cost), pair.Units[g], temperature, iterations);
            Put(g, cost);
        }
    }

    /// <summary>The last level, at temperature 0: each group takes the permutation of its least costs.</summary>
    /// <param name="order">The order in which the groups take theirs.</param>
    /// <returns>The permutations, and the assignments that gave them.</returns>
    public (int[][] Found, Assignment[] Answers) Harden(IEnumerable<int> order)
    {
        var answers = new Assignment[matrices.Length];
        foreach (var g in order)
        {
            var cost = pair.Cost(g, matrices);
            answers[g] = LinearAssignment.Minimize(UnitLayout.Numbers(cost), pair.Units[g]);
            Put(g, Hard(cost.zero_(), answers[g].Columns));
        }

        return ([.. answers.Select(answer => answer.Columns)], answers);
    }

    /// <summary>Frees the matrices.</summary>
    public void Dispose()
    {
        foreach (var matrix in matrices) matrix?.Dispose();
    }

    private void Put(int group, Tensor matrix)
    {
        matrices[group]?.Dispose();
        matrices[group] = matrix.DetachFromDisposeScope();
    }

    private static Tensor Hard(Tensor zeros, int[] columns)
    {
        var entries = UnitLayout.Numbers(zeros);
        for (var i = 0; i < columns.Length; i++) entries[i * columns.Length + columns[i]] = 1;
        return zeros;
    }
}
