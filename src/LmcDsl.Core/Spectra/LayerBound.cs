using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Spectra;

/// <summary>How far one layer's outputs differ between two models on the same inputs, and a bound on it.</summary>
/// <param name="Name">The layer's name.</param>
/// <param name="Measured">Mean over samples of |f_a(x) - f_b(x)|, after the activation where one follows the layer alone.</param>
/// <param name="Bound">Mean over samples of the bound.</param>
/// <param name="DominantPart">The part of the mean bound that is due to the dominant singular vectors' disagreement.</param>
/// <param name="LargestRatio">The largest quotient of measured by bound over samples; at most 1 but for rounding.</param>
public readonly record struct LayerDifference(
    string Name, double Measured, double Bound, double DominantPart, double LargestRatio);

/// <summary>
/// A bound on how far a layer's output changes when its weight is replaced by another model's (2402.04051, theorem 4.2 in our
/// derivation; docs/definitions.md has the proof). With the dominant parts D (s_i >= gamma s_1) and the tails T of the
/// decompositions, K the activation's Lipschitz constant and x the layer's input:
/// <c>|f_a(x) - f_b(x)| &lt;= K (|D_a - D_b|_F |x| + |T_a x| + |T_b x| + |b_a - b_b|)</c>, where |D_a - D_b|_F follows from the
/// dominant vectors' agreement alone and |T x|² = sum s_i² (v_i . x)² over the tail.
/// </summary>
public static class LayerBound
{
    /// <summary>Measures each layer's difference on model a's own inputs, and the bound for one threshold.</summary>
    /// <param name="a">The model whose inputs are taken.</param>
    /// <param name="b">The other, of the same architecture and already aligned, on the same device.</param>
    /// <param name="split">The examples, on the models' device.</param>
    /// <param name="gamma">Singular vectors with s_i >= gamma s_1 are dominant.</param>
    /// <param name="examples">How many are read, from the first on.</param>
    /// <param name="progress">Called with the share done.</param>
    /// <returns>One result for each layer with a weight, in the network's order.</returns>
    /// <exception cref="LmcException">
    /// Two architectures, a threshold outside of 0..1, fewer than 1 example, a weight that is zero or not finite, or
    /// outputs that are not finite; the line names the layer.
    /// </exception>
    public static ImmutableArray<LayerDifference> Between(
        ParameterSet a, ParameterSet b, DataSplit split, double gamma, int examples = 1_000, Action<double>? progress = null)
    {
        ParameterSet.RequireSameArchitecture(a, b);
        Guard.Require(gamma is >= 0 and <= 1, $"gamma: expected 0 to 1, found {gamma}");
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var nodes = a.Network.Architecture.Nodes.Where(node => node.Layer.Linear?.Columns is not null).ToArray();
        var layers = nodes.ToDictionary(node => node.Name, node => new Comparison(a, b, node, gamma));
        LayerInputs.Visit(a, split, examples, (node, inputs) => layers[node.Name].Add(inputs), progress);
        LayerDifference[] found = [.. nodes.Select(node => layers[node.Name].Result())];
        foreach (var layer in found)
            Guard.Require(
                double.IsFinite(layer.Measured) && double.IsFinite(layer.Bound) && double.IsFinite(layer.LargestRatio),
                $"output bound: expected finite outputs of layer '{layer.Name}', found a mean difference of {layer.Measured} and a bound of {layer.Bound}");
        return [.. found];
    }

    // One layer of both models, and what its samples add up to.
    private sealed class Comparison
    {
        private readonly string name;
        private readonly Layer? activation; // a function of each entry, which follows the layer alone
        private readonly (Tensor Weight, Tensor? Bias, Tensor Tail) one, other;
        private readonly double dominant, bias;
        private double measured, bound, dominantPart, largest;
        private long samples;

        public Comparison(ParameterSet a, ParameterSet b, LayerNode node, double gamma)
        {
            name = node.Name;
            var readers = a.Network.Architecture.Nodes.Where(other => other.Inputs.Contains(node.Name)).ToArray();
            activation = readers.Length == 1 && readers[0].Layer.Lipschitz is not null ? readers[0].Layer : null;
            var linear = node.Layer.Linear!;
            var (svdA, svdB) = (Decompose(a), Decompose(b));
            var (m, n) = (svdA.Kept(gamma), svdB.Kept(gamma));
            dominant = Math.Sqrt(Math.Max(0, SpectralForm.SquaredDistance(svdA, m, svdB, n)));
            one = (WeightOf(a), BiasOf(a), Tail(svdA, m));
            other = (WeightOf(b), BiasOf(b), Tail(svdB, n));
            bias = one.Bias is null ? 0 : Math.Sqrt(Measures.InnerProduct.SquaredDistance(one.Bias, other.Bias!));

            Tensor WeightOf(ParameterSet model) => model[$"{node.Name}.{linear.Weight}"].flatten(start_dim: 1);
            ThinSvd Decompose(ParameterSet model) => ThinSvd.Of(node.Name, WeightOf(model));
            Tensor? BiasOf(ParameterSet model) => linear.Bias is null ? null : model[$"{node.Name}.{linear.Bias}"];
        }

        public void Add(Tensor inputs)
        {
            var difference = (Output(one, inputs) - Output(other, inputs)).to(ScalarType.Float64).norm(0);
            var byDominant = inputs.to(ScalarType.Float64).norm(0) * dominant;
            var limit = (byDominant + Length(one.Tail, inputs) + Length(other.Tail, inputs) + bias) * (activation?.Lipschitz ?? 1);
            measured += difference.sum().ToDouble();
            bound += limit.sum().ToDouble();
            dominantPart += byDominant.sum().ToDouble() * (activation?.Lipschitz ?? 1);
            largest = Math.Max(largest, where(limit > 0, difference / limit, zeros_like(limit)).max().ToDouble());
            samples += inputs.shape[1];
        }

        public LayerDifference Result() => new(name, measured / samples, bound / samples, dominantPart / samples, largest);

        private Tensor Output((Tensor Weight, Tensor? Bias, Tensor Tail) side, Tensor inputs)
        {
            var sums = side.Weight.mm(inputs);
            if (side.Bias is not null) sums.add_(side.Bias.unsqueeze(1));
            return activation is null ? sums : activation.Forward([], [sums], Mode.Evaluation);
        }

        // Rows s_i v_i of the vectors that are not dominant: their product with x has the length of T x.
        private static Tensor Tail(ThinSvd svd, int kept)
        {
            var rest = svd.S.shape[0] - kept;
            return (svd.V.narrow(1, kept, rest) * svd.S.narrow(0, kept, rest)).t();
        }

        private static Tensor Length(Tensor tail, Tensor inputs) => tail.shape[0] == 0
            ? zeros(inputs.shape[1], ScalarType.Float64, inputs.device)
            : tail.mm(inputs).to(ScalarType.Float64).norm(0);
    }
}
