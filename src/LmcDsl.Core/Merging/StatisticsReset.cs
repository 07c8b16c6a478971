using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Merging;

/// <summary>
/// Recomputes the running statistics of batch norms on data (the reset of REPAIR, Jordan et al., 2211.08403, section 4). The
/// mean of two models' statistics are not the merged model's: its activations vary less, and without the reset a merged
/// network with batch norm is far worse than it need be.
/// </summary>
public static class StatisticsReset
{
    /// <summary>
    /// Whether a network has running statistics, so that the reset does anything; a table that is stored and never learned, as of positions, is none.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <returns>True where it has.</returns>
    public static bool Concerns(Network network) => network.Architecture.Nodes.Any(node => node.Layer.Statistics is not null);

    /// <summary>
    /// Sets each norm's running mean and variance to the average over batches of the batch's own, all norms normalising
    /// by the batch's statistics meanwhile.
    /// </summary>
    /// <param name="model">The model; changed in place. Its learned parameters stay as they are.</param>
    /// <param name="data">Training examples, on the model's device.</param>
    /// <param name="examples">How many are read, from the first on; all where fewer are there.</param>
    /// <param name="batch">Examples in one forward pass; 2 or more.</param>
    /// <exception cref="LmcException">
    /// Fewer than 1 example or a batch below 2, examples that do not fit or are too few for a deviation, or statistics that are not finite;
    /// the line names the layer.
    /// </exception>
    public static void Apply(ParameterSet model, DataSplit data, int examples = 10_000, int batch = 500)
    {
        Require(model, data, examples, "statistics reset", batch);
        var norms = model.Network.Architecture.Nodes.Where(node => node.Layer.Statistics is not null).ToArray();
        if (norms.Length == 0) return;
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        using var scratch = model.Clone(); // training mode moves its statistics
        var sums = norms.ToDictionary(node => node.Name, node => (Mean: zeros_like(Mean(node)), Variance: zeros_like(Variance(node))));
        var batches = Batches.Cut(model.Network, Math.Min(examples, data.Count), batch, "statistics reset");
        foreach (var (start, count) in batches)
        {
            using var inner = NewDisposeScope();
            var readers = norms.ToLookup(node => node.Inputs[0]);
            model.Network.Forward(
                scratch.Views, data.Images.narrow(0, start, count), Mode.Training, (name, output) =>
                {
                    foreach (var norm in readers[name])
                    {
                        var channels = output.transpose(0, 1).flatten(start_dim: 1);
                        sums[norm.Name].Mean.add_(channels.mean([1]));
                        sums[norm.Name].Variance.add_(channels.var(1));
                    }
                });
        }

        foreach (var norm in norms)
        {
            var (mean, variance) = sums[norm.Name];
            var (largest, widest) = (Magnitude.Of(mean), Magnitude.Of(variance));
            Guard.Require(
                float.IsFinite(largest) && float.IsFinite(widest),
                $"statistics reset: expected finite statistics of '{norm.Name}', found means up to {largest} and variances up to {widest}");
            Mean(norm).copy_(mean / batches.Length);
            Variance(norm).copy_(variance / batches.Length);
        }

        Tensor Mean(LayerNode node) => model[$"{node.Name}.{node.Layer.Statistics!.Mean}"];
        Tensor Variance(LayerNode node) => model[$"{node.Name}.{node.Layer.Statistics!.Variance}"];
    }

    /// <summary>Requires what <see cref="Apply"/> needs, before anything runs.</summary>
    internal static void Require(ParameterSet model, DataSplit data, int examples, string what, int batch = 500)
    {
        Guard.Require(
            examples >= 1 && batch >= 2, $"{what}: expected 1 or more examples and a batch of 2 or more, found {examples} and {batch}");
        Fit.Require(model, data, what);
        if (Concerns(model.Network)) Batches.Require(model.Network, Math.Min(examples, data.Count), what);
    }
}
