using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// A parameter in which several groups have an order in each of the same copies, such as a query's weight with its heads and the units of
/// each within a head of keys. The first group's matrix moves the copies as well; of the others counts how their units lie where one copy takes
/// another's place, for each pair of copies: else the copies would be counted more than once. All pairs (i, i + s) of one shift s are one batch.
/// </summary>
/// <param name="copies">How many copies.</param>
/// <param name="copiesAxis">Where they lie.</param>
/// <param name="axes">The axes of the groups within them.</param>
internal sealed class CopyBlocks(int copies, PermutedAxis copiesAxis, PermutedAxis[] axes)
{
    /// <summary>Whether each of some axes has the same copies as the others, and no further ones.</summary>
    /// <param name="axes">The axes.</param>
    public static bool Fit(IReadOnlyList<PermutedAxis> axes) =>
        axes.All(axis => axis.Copies.Length == 1 && axis.Copies[0] == axes[0].Copies[0]);

    /// <summary>Multiplies all axes: the sum over the copies that come to each place.</summary>
    /// <param name="carrier">The first group's matrix, over all units of all copies.</param>
    /// <param name="within">Of each further group, for each pair of copies, <c>[copies * copies, units, units]</c>.</param>
    /// <param name="values">The parameter; left as it is.</param>
    /// <returns>The product, of the parameter's shape, in the caller's dispose scope.</returns>
    public Tensor Apply(Tensor carrier, IReadOnlyList<Tensor> within, Tensor values)
    {
        var sum = zeros_like(values);
        for (var shift = 0; shift < copies; shift++)
        {
            using var scope = NewDisposeScope();
            sum.add_(Moved(carrier, within, values, shift, without: -1));
        }

        return sum;
    }

    /// <summary>The gradient of ⟨reference, product⟩ with respect to one axis' matrix.</summary>
    /// <param name="own">Which axis: 0 is the first group's.</param>
    /// <param name="carrier">The first group's matrix.</param>
    /// <param name="within">The further groups'.</param>
    /// <param name="reference">The other factor.</param>
    /// <param name="values">The parameter, other groups' axes multiplied already.</param>
    /// <returns>As the axis' matrix lies, in the caller's dispose scope.</returns>
    public Tensor Gradient(int own, Tensor carrier, IReadOnlyList<Tensor> within, Tensor reference, Tensor values)
    {
        var units = axes[own].Units;
        var pairs = zeros([copies, copies, units, units], device: values.device);
        for (var shift = 0; shift < copies; shift++)
        {
            using var scope = NewDisposeScope();
            var moved = Moved(carrier, within, values, shift, own);
            var gain = Rows(reference, axes[own]).bmm(Rows(moved, axes[own]).transpose(1, 2));
            for (var i = 0; i < copies; i++) pairs[i, (i + shift) % copies].copy_(gain[i]);
        }

        return own == 0 ? pairs.transpose(1, 2).reshape([copies * units, copies * units]) : pairs.reshape([copies * copies, units, units]);
    }

    // Copy i + shift in the place of copy i, for all i, every axis but one multiplied by what its matrix says of the pair.
    private Tensor Moved(Tensor carrier, IReadOnlyList<Tensor> within, Tensor values, int shift, int without)
    {
        var moved = values.clone();
        int[] from = [.. Enumerable.Range(0, copies).Select(i => (i + shift) % copies)];
        UnitView.Permute(moved, copiesAxis, new Permutation(from));
        for (var k = 0; k < axes.Length; k++)
        {
            if (k == without) continue;
            var pairs = k == 0
                ? carrier.reshape([copies, axes[0].Units, copies, axes[0].Units]).transpose(1, 2)
                : within[k - 1].reshape([copies, copies, axes[k].Units, axes[k].Units]);
            Transformation.Turn(moved, axes[k], stack(from.Select((j, i) => pairs[i, j])));
        }

        return moved;
    }

    private Tensor Rows(Tensor tensor, PermutedAxis axis) => UnitView.Front(tensor, axis).reshape([copies, axis.Units, -1]);
}
