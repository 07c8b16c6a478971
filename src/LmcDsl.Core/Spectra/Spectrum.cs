using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Spectra;

/// <summary>The singular values of one weight.</summary>
/// <param name="Name">The weight's name.</param>
/// <param name="Values">All of them, descending.</param>
public sealed record LayerSpectrum(string Name, ImmutableArray<double> Values)
{
    /// <summary>How many are at least <paramref name="gamma"/> times the largest: the dominant ones.</summary>
    /// <param name="gamma">The threshold, 0 to 1.</param>
    /// <returns>The count; 1 or more.</returns>
    /// <exception cref="Runtime.LmcException">A threshold outside of 0..1.</exception>
    public int Dominant(double gamma)
    {
        ThinSvd.RequireThreshold(gamma);
        return Values.Count(value => value >= gamma * Values[0]);
    }
}

/// <summary>
/// Singular values of a model's weights: what independently trained models share before any alignment (2402.04051, figure 1),
/// since a permutation of units changes singular vectors only.
/// </summary>
public static class Spectrum
{
    /// <summary>Decomposes every weight; a kernel counts as the matrix <c>[out, in * positions]</c>.</summary>
    /// <param name="model">The model.</param>
    /// <returns>One spectrum for each weight, in the network's order.</returns>
    /// <exception cref="Runtime.LmcException">A weight is zero or not finite; the line names it.</exception>
    public static ImmutableArray<LayerSpectrum> Of(ParameterSet model)
    {
        using var quiet = no_grad();
        return
        [
            .. ThinSvd.WeightsOf(model).Select(weight =>
            {
                using var scope = NewDisposeScope();
                var values = ThinSvd.Of(weight.Name, weight.Weight).S.to(ScalarType.Float64).cpu();
                return new LayerSpectrum(weight.Name, [.. values.data<double>()]);
            }),
        ];
    }

    /// <summary>The share of dominant singular values among all, one quotient over all layers.</summary>
    /// <param name="layers">A model's spectra.</param>
    /// <param name="gamma">The threshold, 0 to 1.</param>
    /// <returns>Above 0, at most 1.</returns>
    public static double DominantShare(IEnumerable<LayerSpectrum> layers, double gamma)
    {
        var all = layers.ToArray();
        return (double)all.Sum(l => l.Dominant(gamma)) / all.Sum(l => l.Values.Length);
    }
}
