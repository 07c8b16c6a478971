using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Merging;

/// <summary>
/// A way to make one model of several that are aligned: for each learned parameter a function of the models' numbers, in double. What
/// batch norms have counted is no weight and is averaged whatever the method, each model's by its share.
/// </summary>
public abstract record MergeMethod
{
    /// <summary>Requires that the method can be used on so many models of a network.</summary>
    /// <param name="network">The network.</param>
    /// <param name="models">How many models.</param>
    /// <exception cref="LmcException">It cannot; the line says what it expects.</exception>
    public abstract void Require(Network network, int models);

    /// <summary>The merged numbers of one parameter.</summary>
    /// <param name="values">The models' numbers, float64, all of one shape; left as they are.</param>
    /// <param name="network">The network.</param>
    /// <param name="parameter">Index of the parameter, a learned one.</param>
    /// <returns>float64 of the same shape, in the caller's dispose scope.</returns>
    protected abstract Tensor OfLearned(IReadOnlyList<Tensor> values, Network network, int parameter);

    /// <summary>What each model counts for in a running statistic: where the method has weights, those; all alike where it has none.</summary>
    /// <param name="network">The network.</param>
    /// <param name="parameter">Index of the parameter, a running statistic.</param>
    /// <param name="models">How many models.</param>
    /// <returns>A point of the simplex.</returns>
    protected virtual IReadOnlyList<double> Shares(Network network, int parameter, int models) => Even(models);

    /// <summary>The merged numbers of one parameter, a running statistic or not.</summary>
    /// <param name="values">The models' numbers, float64, all of one shape; left as they are.</param>
    /// <param name="network">The network.</param>
    /// <param name="parameter">Index of the parameter.</param>
    /// <returns>float64 of the same shape, in the caller's dispose scope.</returns>
    public Tensor Of(IReadOnlyList<Tensor> values, Network network, int parameter) =>
        network.Parameters[parameter].Learned ? OfLearned(values, network, parameter) : Sum(values, Shares(network, parameter, values.Count));

    /// <summary>Merges models.</summary>
    /// <param name="models">One or more models of one architecture, on one device, already aligned.</param>
    /// <returns>The merged model.</returns>
    /// <exception cref="LmcException">No model, two architectures, or models that the method is not for.</exception>
    public ParameterSet Merge(IReadOnlyList<ParameterSet> models)
    {
        Guard.Require(models.Count >= 1, $"merge: expected 1 or more models, found none");
        foreach (var model in models) ParameterSet.RequireSameArchitecture(models[0], model);
        var network = models[0].Network;
        Require(network, models.Count);
        using var quiet = no_grad();
        var merged = models[0].Clone();
        for (var k = 0; k < network.Parameters.Length; k++)
        {
            using var scope = NewDisposeScope();
            merged.Views[k].copy_(Of([.. models.Select(model => model.Views[k].to(ScalarType.Float64))], network, k));
        }

        return merged;
    }

    /// <summary>One weight for each of so many models, all alike.</summary>
    private protected static double[] Even(int models) => [.. Enumerable.Repeat(1.0 / models, models)];

    /// <summary>The sum of tensors, each by its weight.</summary>
    private protected static Tensor Sum(IReadOnlyList<Tensor> values, IReadOnlyList<double> weights)
    {
        var sum = zeros_like(values[0]);
        foreach (var (value, weight) in values.Zip(weights)) sum.add_(value, alpha: weight);
        return sum;
    }

    /// <summary>Requires weights that are a point of the simplex, one for each model.</summary>
    private protected static void RequireWeights(string what, IReadOnlyList<double> weights, int models) => Guard.Require(
        weights.Count == models && weights.All(w => w >= 0) && Math.Abs(weights.Sum() - 1) < 1e-9,
        $"{what}: expected {models} weights of 0 or more that sum to 1, found [{string.Join(", ", weights)}]");

    /// <summary>Requires a share that is above 0 and at most 1.</summary>
    private protected static void RequireDensity(string what, double density) =>
        Guard.Require(density > 0 && density <= 1, $"{what}: expected a density above 0 and at most 1, found {density}");

    /// <summary>Requires a finite scale.</summary>
    private protected static void RequireScale(string what, double? scale) =>
        Guard.Require(scale is null || double.IsFinite(scale.Value), $"{what}: expected a finite scale, found {scale}");
}
