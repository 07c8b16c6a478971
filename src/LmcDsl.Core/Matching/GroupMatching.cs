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
internal sealed class GroupMatching(ParameterSet reference, ParameterSet moved, MatchingScale scale, int group) : IDisposable
{
    // Float32 costs are off by about 1e-6 of the units' norms: a gain above this share of the costs is real.
    private const double SureShare = 1e-3;

    private readonly PermutationGroup symmetry = reference.Network.Groups[group];
    private Assignment? last;

    /// <summary>Whether the group's units are on two sides of one weight, so that the objective is quadratic in it.</summary>
    public bool IsOnBothSides { get; } = reference.Network.Groups[group].Axes
        .GroupBy(axis => axis.Parameter).Any(axes => axes.Count() > 1);

    /// <summary>The group's costs.</summary>
    public GroupCost Cost { get; } = new(reference, moved, scale, group);

    /// <summary>
    /// Solves the problem and, where the answer is better than staying, applies it to the moved model and to the costs of the group and its
    /// neighbours. Better means that the objective rises: by far more than the costs' rounding, or else by a sum in double over the numbers
    /// themselves.
    /// </summary>
    /// <param name="costOf">The costs of a group.</param>
    /// <param name="step">What was applied.</param>
    /// <returns>The neighbours' indices, or nothing where the group stays as it is.</returns>
    public IReadOnlyCollection<int>? Improve(Func<int, GroupCost> costOf, out Permutation step)
    {
        using var onCpu = Cost.Current().cpu();
        var cost = MemoryMarshal.Cast<byte, float>(onCpu.bytes);
        var answer = LinearAssignment.Minimize(cost, symmetry.Units, last);
        step = new Permutation(answer.Columns);
        if (step.IsIdentity)
        {
            last = answer;
            return null;
        }

        var move = new GroupMove(reference, moved, group, step);
        if (!IsBetter(cost, move, step)) return null;
        var neighbours = move.Apply(costOf);
        last = Reordered(answer);
        if (IsOnBothSides) Cost.Forget();
        else Cost.Reorder(move);
        return neighbours;
    }

    /// <summary>Frees the costs.</summary>
    public void Dispose() => Cost.Dispose();

    private bool IsBetter(ReadOnlySpan<float> cost, GroupMove move, Permutation step)
    {
        if (IsOnBothSides) return GainOfTrying(step) > 0;
        double gain = 0, size = 0;
        foreach (var (unit, source) in move.Units.Zip(move.Sources))
        {
            double stay = cost[unit * symmetry.Units + unit], go = cost[unit * symmetry.Units + source];
            gain += stay - go;
            size += Math.Abs(stay) + Math.Abs(go);
        }

        return gain > SureShare * size || move.ExactGain() > 0;
    }

    // A group on both sides of a weight: the objective is quadratic in it, so the step is tried on copies.
    private double GainOfTrying(Permutation step)
    {
        var gain = 0.0;
        foreach (var axes in symmetry.Axes.GroupBy(axis => axis.Parameter))
        {
            if (!reference.Network.Parameters[axes.Key].Learned) continue;
            var tried = moved.Views[axes.Key].clone();
            foreach (var axis in axes) UnitView.Permute(tried, axis, step);
            gain += InnerProduct.Of(reference.Views[axes.Key], tried)
                - InnerProduct.Of(reference.Views[axes.Key], moved.Views[axes.Key]);
        }

        return gain;
    }

    // Once the answer is applied its columns stand in the rows' order, and the next problem's best guess is to stay.
    private static Assignment Reordered(Assignment answer) => answer with
    {
        Columns = [.. Enumerable.Range(0, answer.Columns.Length)],
        ColumnPotentials = [.. answer.Columns.Select(j => answer.ColumnPotentials[j])],
    };
}
