using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Spectra;

/// <summary>How far one layer's singular vectors agree between two models.</summary>
/// <param name="Name">The weight's name.</param>
/// <param name="Agreement">sum_ij (u_i^a . u_j^b)(v_i^a . v_j^b) over the kept vectors, not yet divided.</param>
/// <param name="Kept">How many vectors were kept: the smaller of the two models' counts.</param>
public readonly record struct LayerAlignment(string Name, double Agreement, int Kept)
{
    /// <summary>The layer's own R: agreement over count.</summary>
    public double R => Agreement / Kept;
}

/// <summary>R of two models for one threshold.</summary>
/// <param name="Gamma">Singular vectors with s_i >= gamma s_1 are kept, layer by layer.</param>
/// <param name="Layers">The layers in the network's order.</param>
public sealed record AlignmentAtThreshold(double Gamma, ImmutableArray<LayerAlignment> Layers)
{
    /// <summary>One quotient over all layers: 1 where every kept vector agrees, about 0 for independent models.</summary>
    public double R => Layers.Sum(l => l.Agreement) / Layers.Sum(l => l.Kept);
}

/// <summary>
/// R, the agreement of two models' singular vectors (2402.04051, section 5): the sum over layers and pairs of kept
/// vectors of (u_i^a . u_j^b)(v_i^a . v_j^b), over the number of kept vectors. Parameters are compared as they stand, so a
/// permutation is applied before.
/// </summary>
public static class SingularAlignment
{
    /// <summary>Computes R for several thresholds from one decomposition of each weight.</summary>
    /// <param name="a">One model.</param>
    /// <param name="b">The other, of the same architecture.</param>
    /// <param name="gammas">Thresholds, each 0 to 1.</param>
    /// <returns>One result for each threshold, in their order.</returns>
    /// <exception cref="LmcException">
    /// Two architectures, a threshold outside of 0..1, or a weight that is zero or not finite.
    /// </exception>
    public static ImmutableArray<AlignmentAtThreshold> Between(ParameterSet a, ParameterSet b, params double[] gammas)
    {
        ParameterSet.RequireSameArchitecture(a, b);
        foreach (var gamma in gammas) ThinSvd.RequireThreshold(gamma);
        var layers = gammas.Select(_ => ImmutableArray.CreateBuilder<LayerAlignment>()).ToArray();
        using var quiet = no_grad();
        foreach (var ((name, left), (_, right)) in ThinSvd.WeightsOf(a).Zip(ThinSvd.WeightsOf(b)))
        {
            using var scope = NewDisposeScope();
            ThinSvd one = ThinSvd.Of(name, left), other = ThinSvd.Of(name, right);
            for (var k = 0; k < gammas.Length; k++)
            {
                int m = one.Kept(gammas[k]), n = other.Kept(gammas[k]);
                layers[k].Add(new LayerAlignment(name, Agreement(one, m, other, n), Math.Min(m, n)));
            }
        }

        return [.. gammas.Zip(layers, (gamma, list) => new AlignmentAtThreshold(gamma, list.ToImmutable()))];
    }

    /// <summary>The agreement of each pair of a layer's singular vectors: what R sums up.</summary>
    /// <param name="layer">The layer's name, for messages.</param>
    /// <param name="left">One model's weight, <c>[out, in, ...]</c>.</param>
    /// <param name="right">The other's, of the same shape.</param>
    /// <param name="gamma">Singular vectors with s_i >= gamma s_1 are kept, of each weight by itself.</param>
    /// <returns>(u_i . u'_j)(v_i . v'_j), float32 <c>[kept of left, kept of right]</c>, in the caller's dispose scope.</returns>
    /// <exception cref="LmcException">
    /// Two shapes, a threshold outside of 0..1, or a weight that is zero or not finite; the line names the layer.
    /// </exception>
    public static Tensor Pairs(string layer, Tensor left, Tensor right, double gamma = 0)
    {
        Guard.Shape($"weight of '{layer}'", right, left.shape);
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        ThinSvd one = ThinSvd.Of(layer, left), other = ThinSvd.Of(layer, right);
        return Products(one, one.Kept(gamma), other, other.Kept(gamma)).MoveToOuterDisposeScope();
    }

    private static Tensor Products(ThinSvd a, int m, ThinSvd b, int n) =>
        a.U.narrow(1, 0, m).t().mm(b.U.narrow(1, 0, n)) * a.V.narrow(1, 0, m).t().mm(b.V.narrow(1, 0, n));

    // sum_ij (u_i . u'_j)(v_i . v'_j): the inner product of the two matrices of inner products.
    private static double Agreement(ThinSvd a, int m, ThinSvd b, int n)
    {
        var left = a.U.narrow(1, 0, m).t().mm(b.U.narrow(1, 0, n));
        var right = a.V.narrow(1, 0, m).t().mm(b.V.narrow(1, 0, n));
        return (left.to(ScalarType.Float64) * right.to(ScalarType.Float64)).sum().ToDouble();
    }
}
