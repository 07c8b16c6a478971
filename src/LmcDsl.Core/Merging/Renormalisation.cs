using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Matching;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Merging;

/// <summary>
/// REPAIR's renormalisation (Jordan et al., 2211.08403, section 4): the units of a merged network vary less than its
/// parents' do, more so the deeper they lie. Each hidden layer's outputs are given back the mean and the deviation, unit by
/// unit, that the parents' have on average; the correction is an affine one and goes into the layer's own weights.
/// </summary>
/// <remarks>
/// Layers are corrected one after another, each on what those before it now give. Concerns dense layers and convolutions
/// that have a bias, the last layer left out; where batch norm follows there is none, and resetting the statistics does the same.
/// </remarks>
public static class Renormalisation
{
    /// <summary>Corrects a merged model.</summary>
    /// <param name="merged">The model; changed in place.</param>
    /// <param name="parents">The models that it is the mean of, as they were merged: already aligned.</param>
    /// <param name="data">Training examples, on the models' device.</param>
    /// <param name="examples">How many are read, from the first on; all where fewer are there.</param>
    /// <param name="batch">Examples in one forward pass.</param>
    /// <exception cref="LmcException">
    /// No parents, two architectures, fewer than 2 examples, examples that do not fit, or outputs that are not finite; the line names the
    /// layer.
    /// </exception>
    public static void Apply(
        ParameterSet merged, IReadOnlyList<ParameterSet> parents, DataSplit data, int examples = 10_000, int batch = 500)
    {
        Guard.Require(parents.Count >= 1, $"renormalisation: expected 1 or more parents, found none");
        foreach (var parent in parents) ParameterSet.RequireSameArchitecture(merged, parent);
        Guard.Require(
            examples >= 2 && batch >= 1, $"renormalisation: expected 2 or more examples and a batch of 1 or more, found {examples} and {batch}");
        Fit.Require(merged, data, "renormalisation");
        Guard.Require(data.Count >= 2, $"renormalisation: expected 2 or more examples, found {data.Count}");
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var layers = Layers(merged.Network);
        var goal = parents.Select(parent => Moments(parent, layers, data, examples, batch)).ToArray();
        foreach (var layer in layers)
        {
            using var inner = NewDisposeScope();
            var (mean, deviation) = Moments(merged, [layer], data, examples, batch)[layer.Name];
            var (wantedMean, wantedDeviation) = (goal.Mean(g => g[layer.Name].Mean), goal.Mean(g => g[layer.Name].Deviation));
            // A unit that never varies keeps its scale.
            var scale = where(deviation > 0, wantedDeviation / deviation, ones_like(deviation));
            var linear = layer.Layer.Linear!;
            var (weight, bias) = (merged[$"{layer.Name}.{linear.Weight}"], merged[$"{layer.Name}.{linear.Bias}"]);
            weight.mul_(scale.reshape([-1, .. Enumerable.Repeat(1L, (int)weight.dim() - 1)]));
            bias.sub_(mean).mul_(scale).add_(wantedMean);
        }
    }

    // Layers whose outputs are units of a group and which have a bias to correct, in the order in which they compute.
    private static LayerNode[] Layers(Network network)
    {
        var moved = network.Groups
            .SelectMany(g => g.Axes).Select(axis => (network.Parameters[axis.Parameter].Layer, network.Parameters[axis.Parameter].Local))
            .ToHashSet();
        return
        [
            .. network.Architecture.Nodes
                .Where(node => node.Layer.Linear is { Bias: { } bias } && moved.Contains((node.Name, bias))),
        ];
    }

    // Mean and deviation of each unit of some layers, over examples and positions.
    private static Dictionary<string, (Tensor Mean, Tensor Deviation)> Moments(
        ParameterSet model, LayerNode[] layers, DataSplit data, int examples, int batch)
    {
        var sums = layers.ToDictionary(layer => layer.Name, _ => zeros(2, 1, ScalarType.Float64, model.Flat.device));
        var samples = layers.ToDictionary(layer => layer.Name, _ => 0L);
        var count = Math.Min(examples, data.Count);
        for (var start = 0L; start < count; start += batch)
        {
            using var inner = NewDisposeScope();
            var images = data.Images.narrow(0, start, Math.Min(batch, count - start));
            model.Network.Forward(model.Views, images, Mode.Evaluation, (name, output) =>
            {
                if (!sums.TryGetValue(name, out var sum)) return;
                var units = output.transpose(0, 1).flatten(start_dim: 1);
                sums[name] = (sum + SampleSums.Of(units).to(sum.device)).MoveToOuterDisposeScope();
                samples[name] += units.shape[1];
            });
        }

        return sums.ToDictionary(s => s.Key, s =>
        {
            var mean = s.Value[0] / samples[s.Key];
            var deviation = (s.Value[1] / samples[s.Key] - mean.square()).clamp_min(0).sqrt();
            Guard.Require(
                float.IsFinite(Magnitude.Of(mean.to(ScalarType.Float32))) && float.IsFinite(Magnitude.Of(deviation.to(ScalarType.Float32))),
                $"renormalisation: expected finite outputs of '{s.Key}', found {Overflow.In(model, data.Images.narrow(0, 0, Math.Min(batch, count)))}");
            return (mean.to(ScalarType.Float32), deviation.to(ScalarType.Float32));
        });
    }

    private static Tensor Mean(
        this Dictionary<string, (Tensor Mean, Tensor Deviation)>[] parents,
        Func<Dictionary<string, (Tensor Mean, Tensor Deviation)>, Tensor> of) =>
        stack(parents.Select(of)).mean([0]);
}
