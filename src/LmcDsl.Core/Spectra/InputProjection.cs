using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Spectra;

/// <summary>How a layer's inputs lie to the right singular vectors of its weight.</summary>
/// <param name="Name">The weight's name.</param>
/// <param name="Values">Singular values s_i, descending.</param>
/// <param name="Shares">
/// For each, E[(v_i . x)^2] / E[|x|^2] over the layer's inputs x: its vector's share of the inputs' energy. They sum to at most 1.
/// </param>
public sealed record LayerProjection(string Name, ImmutableArray<double> Values, ImmutableArray<double> Shares);

/// <summary>
/// The inner product of each layer's inputs with the right singular vectors of its weight, against the singular value (2402.04051,
/// figure 4): where inputs lie along the vectors of large singular values, those decide what the layer gives.
/// </summary>
public static class InputProjection
{
    /// <summary>Projects the inputs of each layer. Second moments are summed in double, so memory does not grow with the examples.</summary>
    /// <param name="model">The model.</param>
    /// <param name="split">The examples, on the model's device.</param>
    /// <param name="examples">How many are read, from the first on.</param>
    /// <param name="progress">Called with the share done.</param>
    /// <returns>One projection for each layer with a weight, in the network's order.</returns>
    /// <exception cref="LmcException">Fewer than 1 example, or a weight or a layer's inputs that are all zero or not finite; the line names it.</exception>
    public static ImmutableArray<LayerProjection> Of(
        ParameterSet model, DataSplit split, int examples = 1_000, Action<double>? progress = null)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var moments = new Dictionary<string, Tensor>();
        LayerInputs.Visit(model, split, examples, (node, inputs) =>
        {
            var name = $"{node.Name}.weight";
            var moment = inputs.mm(inputs.t()).to(ScalarType.Float64);
            if (moments.TryGetValue(name, out var sum)) sum.add_(moment);
            else moments.Add(name, moment.MoveToOuterDisposeScope().MoveToOuterDisposeScope());
        }, progress);

        return
        [
            .. ThinSvd.WeightsOf(model).Where(weight => moments.ContainsKey(weight.Name)).Select(weight =>
            {
                using var inner = NewDisposeScope();
                var svd = ThinSvd.Of(weight.Name, weight.Weight);
                var (moment, v) = (moments[weight.Name], svd.V.to(ScalarType.Float64));
                var energy = moment.trace().ToDouble();
                Guard.Require(
                    double.IsFinite(energy) && energy > 0,
                    $"input projection: expected inputs of '{weight.Name}' that are finite and not all zero, found a mean square of {energy}");
                var shares = (moment.mm(v) * v).sum(dim: 0L) / moment.trace();
                return new LayerProjection(
                    weight.Name, [.. svd.S.to(ScalarType.Float64).cpu().data<double>()], [.. shares.cpu().data<double>()]);
            }),
        ];
    }
}
