using LmcDsl.Core.Architectures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Permutations;

/// <summary>Matrices of a <see cref="SymmetryClass"/>: drawn, and the nearest one to a matrix.</summary>
public static class ClassMatrix
{
    /// <summary>Draws a matrix of a class, well conditioned, in double. Of the classes of permutations and signs: the signs.</summary>
    /// <param name="class">The class; of <see cref="SymmetryClass.Pairs"/> the number of units is even.</param>
    /// <param name="units">Number of units.</param>
    /// <param name="generator">The source of chance.</param>
    /// <returns>float64 <c>[units, units]</c>, in the caller's dispose scope.</returns>
    public static Tensor Draw(SymmetryClass @class, long units, Generator generator)
    {
        using var scope = NewDisposeScope();
        var drawn = @class switch
        {
            SymmetryClass.Invertible =>
                Rotation(units, generator).mul(Normal([units], generator).mul(0.3).exp().unsqueeze(0)).matmul(Rotation(units, generator)),
            SymmetryClass.Orthogonal => Rotation(units, generator),
            SymmetryClass.Centred => Centred(Rotation(units - 1, generator)),
            SymmetryClass.Signed => diag(Normal([units], generator).sign()),
            SymmetryClass.Pairs => Pairs(Normal([units / 2, 2], generator)),
            _ => eye(units, dtype: ScalarType.Float64),
        };
        return drawn.MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The orthogonal matrix O of a class for which ⟨O, gain⟩ is greatest: Procrustes' problem (Schönemann, 1966), by a singular value
    /// decomposition. For pairs each is turned by its best angle.
    /// </summary>
    /// <param name="class">The class. Invertible units are matched by rotations: the objective has no greatest value over all matrices.</param>
    /// <param name="gain">Entry (i, j): how much unit i of the reference has in common with unit j of the other, float64 <c>[..., units, units]</c>.</param>
    /// <returns>The matrices, and ⟨O, gain⟩ of each, in the caller's dispose scope.</returns>
    public static (Tensor Matrix, Tensor Value) Nearest(SymmetryClass @class, Tensor gain)
    {
        using var scope = NewDisposeScope();
        var units = gain.shape[^1];
        var matrix = @class switch
        {
            SymmetryClass.Invertible or SymmetryClass.Orthogonal => Polar(gain),
            SymmetryClass.Centred => CentredPolar(gain),
            SymmetryClass.Signed => diag_embed(gain.diagonal(dim1: -2, dim2: -1).ge(0).to(gain.dtype).mul(2).sub(1)),
            SymmetryClass.Pairs => PairsOf(gain),
            _ => eye(units, dtype: gain.dtype, device: gain.device).expand(gain.shape),
        };
        var value = (matrix * gain).sum([-2L, -1L]);
        return (matrix.MoveToOuterDisposeScope(), value.MoveToOuterDisposeScope());
    }

    private static Tensor Normal(long[] shape, Generator generator) => randn(shape, dtype: ScalarType.Float64, generator: generator);

    // Uniform over rotations and reflections once the signs of R are taken out (Mezzadri, math-ph/0609050).
    private static Tensor Rotation(long units, Generator generator)
    {
        if (units == 0) return zeros(0, 0, dtype: ScalarType.Float64);
        var (q, r) = linalg.qr(Normal([units, units], generator));
        return q * r.diagonal().sign().unsqueeze(0);
    }

    private static Tensor Polar(Tensor gain)
    {
        var (u, _, v) = linalg.svd(gain, fullMatrices: false);
        return u.matmul(v);
    }

    /// <summary>An orthonormal basis of what is orthogonal to ones, by the reflection that takes the first unit to it.</summary>
    /// <returns><c>[units, units - 1]</c>, of another tensor's type and device.</returns>
    internal static Tensor Complement(long units, Tensor like)
    {
        var one = full([units], 1 / Math.Sqrt(units), dtype: like.dtype, device: like.device);
        var normal = -one;
        normal[0] += 1;
        var length = normal.dot(normal);
        var reflection = eye(units, dtype: like.dtype, device: like.device);
        if (units > 1) reflection = reflection - normal.outer(normal) * (2 / length);
        return reflection.narrow(1, 1, units - 1);
    }

    private static Tensor Centred(Tensor inside)
    {
        var units = inside.shape[^1] + 1;
        var basis = Complement(units, inside);
        return basis.matmul(inside).matmul(basis.t()) + 1.0 / units;
    }

    private static Tensor CentredPolar(Tensor gain)
    {
        var units = gain.shape[^1];
        if (units == 1) return ones_like(gain);
        var basis = Complement(units, gain);
        return basis.matmul(Polar(basis.t().matmul(gain).matmul(basis))).matmul(basis.t()) + 1.0 / units;
    }

    /// <summary>Each pair's turn and scale from (a, b): [[a, -b], [b, a]] on units j and j + n/2.</summary>
    /// <param name="pairs"><c>[..., n/2, 2]</c>.</param>
    /// <returns><c>[..., n, n]</c>, in the caller's dispose scope.</returns>
    internal static Tensor Pairs(Tensor pairs)
    {
        var (a, b) = (diag_embed(pairs.select(-1, 0)), diag_embed(pairs.select(-1, 1)));
        return cat([cat([a, -b], -1), cat([b, a], -1)], -2);
    }

    private static Tensor PairsOf(Tensor gain)
    {
        var half = gain.shape[^1] / 2;
        Tensor Block(long row, long column) => gain.narrow(-2, row, half).narrow(-1, column, half).diagonal(dim1: -2, dim2: -1);
        var pairs = stack([Block(0, 0) + Block(half, half), Block(half, 0) - Block(0, half)], -1);
        var length = pairs.norm(-1, keepdim: true);
        // A pair that has nothing in common stays as it is.
        var still = tensor(new[] { 1.0, 0.0 }, dtype: gain.dtype, device: gain.device);
        return Pairs(where(length > 0, pairs / length.clamp_min(1e-300), still));
    }
}
