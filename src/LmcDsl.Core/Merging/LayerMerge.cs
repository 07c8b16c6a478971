using System.Text.RegularExpressions;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Merging;

/// <summary>Weights of some layers.</summary>
/// <param name="Layer">A layer's name; <c>*</c> stands for any letters, as in <c>block1.*</c>.</param>
/// <param name="Weights">A point of the simplex, one weight for each model.</param>
public sealed record WeightsOfLayer(string Layer, IReadOnlyList<double> Weights);

/// <summary>
/// The weighted mean with weights of their own for some layers (mergekit's weights by filter). A layer takes the weights of the first line
/// that names it; a layer that none names is averaged evenly.
/// </summary>
/// <param name="Layers">Layers and their weights.</param>
public sealed record LayerMerge(IReadOnlyList<WeightsOfLayer> Layers) : MergeMethod
{
    /// <inheritdoc/>
    public override void Require(Network network, int models)
    {
        var names = network.Parameters.Select(parameter => parameter.Layer).Distinct().ToArray();
        foreach (var layer in Layers)
        {
            RequireWeights($"weights of layer '{layer.Layer}'", layer.Weights, models);
            Guard.Require(
                names.Any(name => Names(layer, name)),
                $"weights of layer '{layer.Layer}': expected a layer with parameters of '{network.Architecture.Name}', found none of that name{Nearest.Hint(layer.Layer, names)}");
        }
    }

    /// <inheritdoc/>
    protected override Tensor OfLearned(IReadOnlyList<Tensor> values, Network network, int parameter) =>
        Sum(values, Shares(network, parameter, values.Count));

    /// <inheritdoc/>
    protected override IReadOnlyList<double> Shares(Network network, int parameter, int models) =>
        Layers.FirstOrDefault(layer => Names(layer, network.Parameters[parameter].Layer))?.Weights ?? Even(models);

    private static bool Names(WeightsOfLayer layer, string name) =>
        Regex.IsMatch(name, $"^{Regex.Escape(layer.Layer).Replace("\\*", ".*")}$", RegexOptions.CultureInvariant);
}
