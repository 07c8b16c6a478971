using LmcDsl.Core.Architectures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// What one parameter makes a group's costs take from a neighbour: the second model's numbers laid out by the neighbour's units, so that
/// those that a permutation puts in order are rows; the first model's as they lie in the model where that will do.
/// </summary>
internal sealed class PackedLink : IDisposable
{
    private readonly int units; // of the group
    private readonly int depth; // numbers that a unit of the group and one of the neighbour share
    private readonly bool isSmall;
    private readonly Tensor left; // the parameter as it lies in the model, or laid out as the other one
    private readonly bool isAsItLies;
    private readonly bool unitsFirst; // it lies so, the group's units first: [group's, neighbour's, depth]
    private readonly (int From, int Depth, int Unit) strides; // of the first model's numbers, where the group is small

    /// <summary>Lays out two models' numbers.</summary>
    /// <param name="neighbour">The neighbour.</param>
    /// <param name="from">Its axis.</param>
    /// <param name="to">The group's axis.</param>
    /// <param name="a">The first model's parameter, on the CPU; kept.</param>
    /// <param name="b">The second model's.</param>
    public PackedLink(int neighbour, PermutedAxis from, PermutedAxis to, Tensor a, Tensor b)
    {
        (From, units) = (neighbour, to.Units);
        depth = (int)(a.numel() / from.Units / units);
        isSmall = units <= SmallProduct.MostUnits;
        var regular = UnitLayout.IsRegular(from, to) && a.is_contiguous();
        unitsFirst = regular && to.Dimension == 0;
        isAsItLies = unitsFirst || regular && isSmall;
        strides = unitsFirst ? (depth, 1, from.Units * depth) : isAsItLies ? (units * depth, 1, depth) : (depth * units, units, 1);
        left = isAsItLies
            ? a.view(unitsFirst ? [units, from.Units, depth] : [from.Units, units, depth]).DetachFromDisposeScope()
            : LaidOut(a, from, to);
        Right = LaidOut(b, from, to);
    }

    /// <summary>The neighbour; the group itself where it is on both sides of the parameter.</summary>
    public int From { get; }

    /// <summary>The second model's numbers, <c>[neighbour's units, depth * group's units]</c>.</summary>
    public Tensor Right { get; }

    /// <summary>Of how many products each cost is the sum.</summary>
    public long Terms => Right.numel() / units;

    /// <summary>Takes the products from the group's costs, the neighbour as it is.</summary>
    /// <param name="cost"><c>[units, units]</c>, to change.</param>
    /// <param name="found">Which of the neighbour's units is in each place.</param>
    public void Subtract(Tensor cost, int[] found)
    {
        if (isSmall) Small(cost, [.. Enumerable.Range(0, found.Length)], [], found);
        else
        {
            using var scope = NewDisposeScope();
            Subtract(cost, Take(Right, found));
        }
    }

    /// <summary>The same of rows that are made of the second model's numbers.</summary>
    /// <param name="cost"><c>[units, units]</c>, to change.</param>
    /// <param name="rows"><c>[neighbour's units, depth * group's units]</c>.</param>
    public void Subtract(Tensor cost, Tensor rows)
    {
        using var scope = NewDisposeScope();
        cost.addmm_(Transposed(left), rows.view(-1, units), beta: 1, alpha: -1);
    }

    /// <summary>The same where the neighbour's units are in no order at all: each place has the mean of all of them.</summary>
    /// <param name="cost"><c>[units, units]</c>, to change.</param>
    public void SubtractMean(Tensor cost)
    {
        using var scope = NewDisposeScope();
        var sums = Transposed(left).view(units, -1, depth).sum(dim: 1L);
        cost.addmm_(sums, Right.mean([0]).view(depth, units), beta: 1, alpha: -1);
    }

    /// <summary>Takes a move of the neighbour into the costs, by a product as thin as the move.</summary>
    /// <param name="cost"><c>[units, units]</c>, to change.</param>
    /// <param name="places">The neighbour's places that change.</param>
    /// <param name="before">The units that were there.</param>
    /// <param name="now">Those that are.</param>
    public void Update(Tensor cost, int[] places, int[] before, int[] now)
    {
        if (isSmall)
        {
            Small(cost, places, before, now);
            return;
        }

        using var scope = NewDisposeScope();
        var change = Take(Right, now).sub_(Take(Right, before));
        var own = places.Length == Right.shape[0] ? left : unitsFirst ? left.index_select(1, tensor(places)) : Take(left, places);
        cost.addmm_(Transposed(own), change.view(-1, units), beta: 1, alpha: -1);
    }

    /// <summary>Frees what was laid out.</summary>
    public void Dispose()
    {
        left.Dispose();
        Right.Dispose();
    }

    // [group's, neighbour's * depth]
    private Tensor Transposed(Tensor numbers) =>
        unitsFirst ? numbers.view(units, -1)
        : isAsItLies ? numbers.transpose(0, 1).reshape(units, -1) : numbers.view(-1, units).t();

    private void Small(Tensor cost, int[] places, int[] before, int[] now) =>
        SmallProduct.Subtract(
            UnitLayout.Numbers(cost), units, depth, UnitLayout.Numbers(left), strides, UnitLayout.Numbers(Right), places, now, before);

    private static Tensor LaidOut(Tensor values, PermutedAxis from, PermutedAxis to)
    {
        if (from.Dimension == 0 && values.dim() == 2 && from.Block == 1 && to.Block == 1 && values.is_contiguous())
            return values.alias().DetachFromDisposeScope(); // lies so
        var result = empty(from.Units, values.numel() / from.Units).DetachFromDisposeScope();
        UnitLayout.Write(values, from, to, result);
        return result;
    }

    private static Tensor Take(Tensor rows, int[] units) => rows.index_select(0, tensor(units));
}
