using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Spectra;

/// <summary>Leading singular vectors of a matrix, and how much of it they leave out at most.</summary>
/// <param name="U">Left singular vectors, <c>[rows, rank]</c>.</param>
/// <param name="S">Singular values, <c>[rank]</c>, descending.</param>
/// <param name="V">Right singular vectors, <c>[columns, rank]</c>.</param>
/// <param name="Bound">
/// The spectral norm of the part of the matrix outside the basis that was searched is below this, but for a chance of 1 in
/// 10^10.
/// </param>
public sealed record LeadingSvd(Tensor U, Tensor S, Tensor V, double Bound) : IDisposable
{
    /// <summary>Frees the tensors.</summary>
    public void Dispose()
    {
        U.Dispose();
        S.Dispose();
        V.Dispose();
    }
}

/// <summary>
/// Truncated singular value decomposition by a randomised search of the range (Halko, Martinsson and Tropp, 0909.4061,
/// algorithms 4.4 and 5.1): for a few leading vectors of a large matrix, far cheaper than the full decomposition.
/// </summary>
public static class RandomisedSvd
{
    // The bound's chance of failing is 10 to the minus this (0909.4061, equation 4.3).
    private const int Probes = 10;

    /// <summary>Finds the leading singular values and vectors.</summary>
    /// <param name="matrix">The matrix, float32 <c>[rows, columns]</c>, finite.</param>
    /// <param name="rank">How many, 1 to the lesser side.</param>
    /// <param name="seed">Seed of the search.</param>
    /// <param name="oversampling">Further directions that are searched and then dropped.</param>
    /// <param name="powers">Passes that sharpen the search; for spectra that fall slowly.</param>
    /// <returns>The decomposition, with a bound on what it leaves out.</returns>
    /// <exception cref="LmcException">Not a matrix, a rank out of range, or numbers that are not finite.</exception>
    public static LeadingSvd Compute(Tensor matrix, int rank, long seed = 0, int oversampling = 10, int powers = 2)
    {
        Guard.Require(matrix.dim() == 2, $"singular values: expected a matrix, found shape {Guard.Show(matrix.shape)}");
        var least = (int)Math.Min(matrix.shape[0], matrix.shape[1]);
        Guard.Require(rank >= 1 && rank <= least, $"singular values: expected a rank of 1 to {least}, found {rank}");
        Guard.Require(
            oversampling >= 0 && powers >= 0, $"singular values: expected oversampling and powers of 0 or more, found {oversampling} and {powers}");
        Guard.Require(matrix.isfinite().all().item<bool>(), $"singular values: expected finite numbers, found NaN or infinity");
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        using var generator = Seeds.Generator(seed, "range");
        var wide = Math.Min(rank + oversampling, least);
        var basis = Orthonormal(matrix.mm(Draw(wide)));
        for (var k = 0; k < powers; k++)
        {
            basis = Orthonormal(matrix.t().mm(basis));
            basis = Orthonormal(matrix.mm(basis));
        }

        var (u, s, vt) = linalg.svd(basis.t().mm(matrix), fullMatrices: false);
        var probe = matrix.mm(Draw(Probes));
        var outside = (probe - basis.mm(basis.t().mm(probe))).square().sum(dim: 0L).sqrt().max().ToDouble();
        Guard.Require(double.IsFinite(outside), $"singular values: expected numbers whose squares float32 holds, found a remainder of {outside}");
        return new LeadingSvd(
            basis.mm(u.narrow(1, 0, rank)).DetachFromDisposeScope(),
            s.narrow(0, 0, rank).clone().DetachFromDisposeScope(),
            vt.narrow(0, 0, rank).t().contiguous().DetachFromDisposeScope(),
            10 * Math.Sqrt(2 / Math.PI) * outside);

        Tensor Draw(int columns) => randn(matrix.shape[1], columns, generator: generator).to(matrix.dtype, matrix.device);
    }

    private static Tensor Orthonormal(Tensor matrix) => linalg.qr(matrix).Q;
}
