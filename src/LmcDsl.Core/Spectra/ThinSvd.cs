using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Spectra;

/// <summary>
/// A weight's singular value decomposition <c>W = sum_i S[i] U[:, i] V[:, i]^T</c>, r the smaller side of W.
/// </summary>
/// <param name="U">Left singular vectors, <c>[out, r]</c>, columns orthonormal.</param>
/// <param name="S">Singular values, <c>[r]</c>, descending.</param>
/// <param name="V">Right singular vectors, <c>[in, r]</c>, columns orthonormal.</param>
public sealed record ThinSvd(Tensor U, Tensor S, Tensor V)
{
    /// <summary>Decomposes a weight by LAPACK.</summary>
    /// <param name="layer">The layer's name, for messages.</param>
    /// <param name="weight">The weight <c>[out, in, ...]</c>; a kernel counts as the matrix <c>[out, in * positions]</c>.</param>
    /// <returns>The decomposition, in the caller's dispose scope.</returns>
    /// <exception cref="LmcException">The weight is all zero or not finite; the line names the layer.</exception>
    public static ThinSvd Of(string layer, Tensor weight)
    {
        var matrix = weight.flatten(start_dim: 1);
        var largest = matrix.abs().max().ToDouble();
        Guard.Require(
            double.IsFinite(largest) && largest > 0,
            $"layer '{layer}': expected a weight that is finite and not all zero, found {(largest == 0 ? "all zeros" : "NaN or infinity")}");
        var (u, s, vh) = linalg.svd(matrix, fullMatrices: false);
        Guard.Require(
            double.IsFinite(s.sum(ScalarType.Float64).ToDouble()) && s[0].ToDouble() > 0,
            $"layer '{layer}': expected singular values that float32 holds, found a largest of {s[0].ToDouble()}");
        return new ThinSvd(u, s, vh.t());
    }

    /// <summary>How many singular values are at least <paramref name="gamma"/> times the largest.</summary>
    /// <param name="gamma">The threshold, 0 to 1.</param>
    /// <returns>The count; 1 or more.</returns>
    /// <exception cref="LmcException">A threshold outside of 0..1.</exception>
    public int Kept(double gamma)
    {
        RequireThreshold(gamma);
        var values = S.to(ScalarType.Float64).cpu().data<double>().ToArray();
        return values.Count(value => value >= gamma * values[0]);
    }

    /// <summary>Requires a share of the largest singular value.</summary>
    /// <param name="gamma">The threshold.</param>
    /// <exception cref="LmcException">It is outside of 0..1.</exception>
    internal static void RequireThreshold(double gamma) => Guard.Require(gamma is >= 0 and <= 1, $"gamma: expected 0 to 1, found {gamma}");

    /// <summary>The weights of a model with their names: what has a spectrum.</summary>
    /// <param name="parameters">The model.</param>
    /// <returns>Name and tensor of each parameter of role <see cref="ParameterRole.Weight"/> that is a matrix or more: a vector has no spectrum.</returns>
    public static IEnumerable<(string Name, Tensor Weight)> WeightsOf(ParameterSet parameters) =>
        parameters.Network.Parameters.Zip(parameters.Views)
            .Where(p => p.First.Role == ParameterRole.Weight && p.Second.dim() >= 2)
            .Select(p => (p.First.Name, p.Second));
}
