using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Spectra;

/// <summary>One weight's squared distance between two models, computed in two ways.</summary>
/// <param name="Name">The weight's name.</param>
/// <param name="Direct">|W_a - W_b|^2, from the entries.</param>
/// <param name="Spectral">
/// sum_i (s_i^a)^2 + sum_j (s_j^b)^2 - 2 sum_ij s_i^a s_j^b (u_i^a . u_j^b)(v_i^a . v_j^b), from the decompositions.
/// </param>
public readonly record struct DistanceForms(string Name, double Direct, double Spectral);

/// <summary>
/// The objective of weight matching in terms of singular vectors (2402.04051, theorem 4.1): singular values are the weights with
/// which vectors' agreement counts. Equal to the direct one but for rounding.
/// </summary>
public static class SpectralForm
{
    /// <summary>Computes both forms for each weight of two models as they stand, so a permutation is applied before.</summary>
    /// <param name="a">One model.</param>
    /// <param name="b">The other, of the same architecture.</param>
    /// <returns>One pair of numbers for each weight, in the network's order.</returns>
    /// <exception cref="Runtime.LmcException">Two architectures, or a weight that is zero or not finite.</exception>
    public static ImmutableArray<DistanceForms> Between(ParameterSet a, ParameterSet b)
    {
        ParameterSet.RequireSameArchitecture(a, b);
        using var quiet = no_grad();
        return
        [
            .. ThinSvd.WeightsOf(a).Zip(ThinSvd.WeightsOf(b), (left, right) =>
            {
                using var scope = NewDisposeScope();
                ThinSvd one = ThinSvd.Of(left.Name, left.Weight), other = ThinSvd.Of(right.Name, right.Weight);
                var direct = InnerProduct.SquaredDistance(left.Weight.contiguous(), right.Weight.contiguous());
                return new DistanceForms(left.Name, direct, SquaredDistance(one, one.Kept(0), other, other.Kept(0)));
            }),
        ];
    }

    /// <summary>
    /// The squared distance of two sums of the leading singular parts, from singular values and inner products of vectors.
    /// </summary>
    /// <param name="a">One decomposition.</param>
    /// <param name="m">How many of its vectors count.</param>
    /// <param name="b">The other.</param>
    /// <param name="n">How many of its vectors count.</param>
    /// <returns>The distance; a rounding error below 0 where the two are equal.</returns>
    internal static double SquaredDistance(ThinSvd a, int m, ThinSvd b, int n)
    {
        using var scope = NewDisposeScope();
        var (left, right) = (Leading(a, m), Leading(b, n));
        var agreement = left.U.t().mm(right.U) * left.V.t().mm(right.V) * left.S.outer(right.S);
        return (left.S.square().sum() + right.S.square().sum() - 2 * agreement.sum()).ToDouble();
    }

    private static ThinSvd Leading(ThinSvd svd, int count) => new(
        svd.U.narrow(1, 0, count).to(ScalarType.Float64),
        svd.S.narrow(0, 0, count).to(ScalarType.Float64),
        svd.V.narrow(1, 0, count).to(ScalarType.Float64));
}
