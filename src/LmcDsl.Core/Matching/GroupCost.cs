using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// One group's assignment costs, kept up to date while other groups move:
/// <c>cost[i, j] = -⟨unit i of the reference, unit j of the moved model⟩</c> over all that belongs to a unit, in the group's unit of
/// <see cref="MatchingScale"/>.
/// </summary>
/// <param name="reference">The reference.</param>
/// <param name="moved">The model to match.</param>
/// <param name="scale">Of the two.</param>
/// <param name="group">The group.</param>
/// <param name="only">The parameters that count; all where none are given.</param>
internal sealed class GroupCost(
    ParameterSet reference, ParameterSet moved, MatchingScale scale, int group, IReadOnlySet<int>? only = null) : IDisposable
{
    private readonly PermutationGroup symmetry = reference.Network.Groups[group];
    private Tensor? cost;
    private CostTerms terms;

    /// <summary>Terms that updates have added to the costs, as a multiple of their own; 0 where they are not known.</summary>
    public double Updated => cost is null ? 0 : terms.Updated;

    /// <summary>Whether the costs have been computed, so that updates count.</summary>
    public bool IsKnown => cost is not null;

    /// <summary>The costs, <c>[units, units]</c>; computed whole where they are not known.</summary>
    /// <returns>The tensor; owned by this object.</returns>
    public Tensor Current() => cost ??= Whole();

    /// <summary>Forgets the costs; they are computed whole when next asked for.</summary>
    public void Forget()
    {
        cost?.Dispose();
        cost = null;
    }

    /// <summary>Follows a move of this group itself: columns change place.</summary>
    /// <param name="move">The move.</param>
    public void Reorder(GroupMove move)
    {
        if (cost is null) return;
        using var scope = NewDisposeScope();
        var to = tensor(move.Units.Select(u => (long)u).ToArray()).to(cost.device);
        var from = tensor(move.Sources.Select(u => (long)u).ToArray()).to(cost.device);
        cost.index_copy_(1, to, cost.index_select(1, from));
    }

    /// <summary>Follows a move of a neighbour: a product as thin as the move.</summary>
    /// <param name="axis">This group's axis of the parameter.</param>
    /// <param name="slice">The reference's slice of the parameter at the units that moved.</param>
    /// <param name="change">The change of the moved model's slice.</param>
    public void Update(PermutedAxis axis, Tensor slice, Tensor change)
    {
        if (cost is null) return;
        Accumulate(cost, axis, slice, change);
        terms.Add((double)change.numel() / symmetry.Units);
    }

    /// <summary>Frees the costs.</summary>
    public void Dispose() => cost?.Dispose();

    private Tensor Whole()
    {
        using var scope = NewDisposeScope();
        var whole = zeros(symmetry.Units, symmetry.Units, device: reference.Flat.device);
        double summed = 0;
        foreach (var axis in symmetry.Axes.Where(axis => reference.Network.Parameters[axis.Parameter].Learned && only?.Contains(axis.Parameter) != false))
        {
            Accumulate(whole, axis, reference.Views[axis.Parameter], moved.Views[axis.Parameter]);
            summed += (double)moved.Views[axis.Parameter].numel() / symmetry.Units;
        }

        terms.Computed(summed);
        return whole.DetachFromDisposeScope();
    }

    private void Accumulate(Tensor into, PermutedAxis axis, Tensor left, Tensor right)
    {
        if (!axis.IsWhole)
        {
            var share = scale.Share(group, axis.Parameter);
            if (share == 0) return;
            using var scope = NewDisposeScope();
            into.addmm_(
                UnitView.Matrix(scale.Left(group, axis.Parameter, left), axis),
                UnitView.Matrix(scale.Right(group, axis.Parameter, right), axis).t(), beta: 1, alpha: (float)-share);
            return;
        }

        if (axis.Dimension == 0 || left.dim() == 2 && left.shape[1] == symmetry.Units)
        {
            AddProduct(into, axis, left, right);
            return;
        }

        // What must be copied to lie by units is copied a part at a time.
        foreach (var (at, count) in Parts.Of(left.shape[0], left.numel(), Parts.Within(moved.Flat.numel())))
            AddProduct(into, axis, left.narrow(0, at, count), right.narrow(0, at, count));
    }

    private void AddProduct(Tensor into, PermutedAxis axis, Tensor left, Tensor right)
    {
        var share = scale.Share(group, axis.Parameter);
        if (share == 0) return;
        using var scope = NewDisposeScope();
        var (one, other) = (scale.Left(group, axis.Parameter, left), scale.Right(group, axis.Parameter, right));
        into.addmm_(ByUnit(one, axis.Dimension), ByUnit(other, axis.Dimension).t(), beta: 1, alpha: (float)-share);
    }

    // [units, everything else]; for a matrix's second dimension this is a transposed view, nothing is copied.
    private Tensor ByUnit(Tensor tensor, int dimension) =>
        tensor.dim() == 2 && dimension == 1 && tensor.shape[1] == symmetry.Units
            ? tensor.t()
            : tensor.transpose(0, dimension).reshape([symmetry.Units, -1]);
}
