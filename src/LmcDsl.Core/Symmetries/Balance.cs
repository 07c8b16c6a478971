using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Symmetries;

/// <summary>
/// Units that may be transformed by any invertible matrix, written so that what writes them and what reads them are equally large: in each
/// head the thin singular value decomposition of the product of the two, U S V', as U S^½ and V S^½. Two models balanced so, that compute the
/// same, differ by a rotation (of generic ones by signs).
/// </summary>
public static class Balance
{
    // Of eigenvalues below this share of the largest a matrix counts as singular: its inverse would be rounding.
    private const double Rank = 1e-10;

    // The product of two such can be singular though neither is.
    private const double RankOfBoth = 1e-14;

    /// <summary>The transformation that balances a model.</summary>
    /// <param name="network">The network.</param>
    /// <param name="model">Tensors of its parameters, of any floating type.</param>
    /// <returns>Matrices in double; of groups that cannot be balanced, since what writes or reads their units is not of full rank, none moves.</returns>
    public static Transformation Of(Network network, IReadOnlyList<Tensor> model)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        return new Transformation(
            PermutationSet.Identity(network), network.Turns.Select(turn => turn.Class switch
            {
                SymmetryClass.Invertible => Matrices(Gram(turn, model, isDual: false), Gram(turn, model, isDual: true)),
                SymmetryClass.Pairs => Scales(Gram(turn, model, isDual: false), Gram(turn, model, isDual: true)),
                _ => null,
            }));
    }

    /// <summary>The matrices that undo others.</summary>
    /// <param name="balance">A transformation without permutations.</param>
    /// <returns>Its inverse.</returns>
    public static Transformation Inverse(Transformation balance)
    {
        Guard.Require(balance.Permutations.Permutations.All(p => p.IsIdentity), $"balance: expected matrices alone, found permutations");
        using var scope = NewDisposeScope();
        return new Transformation(balance.Permutations, balance.Matrices.Select(matrix => matrix is null ? null : linalg.inv(matrix)));
    }

    // [copies, units, units]: of each copy the inner products of its units' numbers.
    private static Tensor Gram(PermutationGroup turn, IReadOnlyList<Tensor> model, bool isDual)
    {
        var units = turn.Units / turn.Copies;
        var sum = zeros([turn.Copies, units, units], dtype: ScalarType.Float64, device: model[0].device);
        foreach (var axis in turn.Axes.Where(axis => axis.IsDual == isDual))
        {
            var rows = UnitView.Front(model[axis.Parameter].to(ScalarType.Float64), axis).reshape([turn.Copies, units, -1]);
            sum += rows.bmm(rows.transpose(1, 2));
        }

        return sum;
    }

    // With G = L L' what is written and H what is read, L' H L = U T U': M = T^(1/4) U' L^-1 makes of both the diagonal T^(1/2).
    private static Tensor? Matrices(Tensor written, Tensor read)
    {
        if (!IsFull(written) || !IsFull(read)) return null;
        var root = linalg.cholesky(written);
        var (values, vectors) = linalg.eigh(root.transpose(1, 2).bmm(read).bmm(root));
        if (!IsFull(values, RankOfBoth)) return null;
        var scale = values.pow(0.25).unsqueeze(2);
        return scale * vectors.transpose(1, 2).bmm(linalg.inv(root));
    }

    private static Tensor? Scales(Tensor written, Tensor read)
    {
        var half = written.shape[1] / 2;
        Tensor Sizes(Tensor gram) => gram.diagonal(dim1: 1, dim2: 2) is var d ? d.narrow(1, 0, half) + d.narrow(1, half, half) : gram;
        var (one, other) = (Sizes(written), Sizes(read));
        if ((one.min(), other.min()) is var (least, least2) && (least.ToDouble() <= 0 || least2.ToDouble() <= 0)) return null;
        var scale = (other / one).pow(0.25);
        return diag_embed(cat([scale, scale], 1));
    }

    private static bool IsFull(Tensor gram) => IsFull(linalg.eigvalsh(gram), Rank);

    // By eigenvalues in ascending order.
    private static bool IsFull(Tensor values, double rank) => (values.select(1, 0) > rank * values.select(1, -1)).all().item<bool>();
}
