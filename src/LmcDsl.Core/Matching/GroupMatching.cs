using System.Runtime.InteropServices;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Solvers;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// One group's part in weight matching: the linear assignment problem of its units, all other groups held, between the
/// reference and the model as it is permuted so far.
/// </summary>
internal sealed class GroupMatching(ParameterSet reference, ParameterSet moved, int group)
{
    private readonly PermutationGroup symmetry = reference.Network.Groups[group];
    private Assignment? last;

    /// <summary>
    /// Solves the problem and, where the answer is better than staying, applies it to the moved model. Better means that
    /// the exact objective rises, summed in double: rounding in the scores never decides.
    /// </summary>
    /// <returns>What was applied, or nothing.</returns>
    public Permutation? Improve()
    {
        using var scope = NewDisposeScope();
        var answer = Solve();
        var step = new Permutation(answer.Columns);
        if (step.IsIdentity)
        {
            last = answer;
            return null;
        }

        var parameters = symmetry.Axes.Select(axis => axis.Parameter).Distinct()
            .Where(p => reference.Network.Parameters[p].Learned).ToArray();
        var before = parameters.Select(p => moved.Views[p].clone()).ToArray();
        var gain = -Objective(parameters);
        PermutationSet.ApplyInPlace(moved, group, step);
        gain += Objective(parameters);
        if (gain > 0)
        {
            last = Reordered(answer);
            return step;
        }

        foreach (var (p, old) in parameters.Zip(before)) moved.Views[p].copy_(old);
        return null;
    }

    private double Objective(int[] parameters) =>
        parameters.Sum(p => InnerProduct.Of(reference.Views[p], moved.Views[p]));

    private Assignment Solve()
    {
        var n = symmetry.Units;
        var cost = Cost().cpu();
        return LinearAssignment.Minimize(MemoryMarshal.Cast<byte, float>(cost.bytes), n, last);
    }

    // cost[i, j] = -<unit i of the reference, unit j of the moved model>, over all that belongs to a unit.
    private Tensor Cost()
    {
        long n = symmetry.Units;
        var cost = zeros(n, n, device: reference.Flat.device);
        foreach (var (parameter, dimension, _) in symmetry.Axes)
        {
            if (!reference.Network.Parameters[parameter].Learned) continue;
            var left = ByUnit(reference.Views[parameter], dimension, n);
            var right = ByUnit(moved.Views[parameter], dimension, n);
            cost.addmm_(left, right.t(), beta: 1, alpha: -1);
        }

        return cost;
    }

    // [units, everything else]; for a matrix's second dimension this is a transposed view, nothing is copied.
    private static Tensor ByUnit(Tensor tensor, int dimension, long units) =>
        tensor.dim() == 2 && dimension == 1 && tensor.shape[1] == units
            ? tensor.t()
            : tensor.transpose(0, dimension).reshape([units, -1]);

    // Once the answer is applied its columns stand in the rows' order, and the next problem's best guess is to stay.
    private static Assignment Reordered(Assignment answer) => answer with
    {
        Columns = [.. Enumerable.Range(0, answer.Columns.Length)],
        ColumnPotentials = [.. answer.Columns.Select(j => answer.ColumnPotentials[j])],
    };
}
