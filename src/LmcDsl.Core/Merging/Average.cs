using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Merging;

/// <summary>Merging by averaging parameters.</summary>
public static class Average
{
    private const long Part = 1 << 22; // numbers, 32 MB

    /// <summary>The weighted mean of several models' parameters, running statistics included.</summary>
    /// <param name="models">One or more models of one architecture, on one device, already aligned.</param>
    /// <param name="weights">A point of the simplex, one weight for each model; the plain mean where none are given.</param>
    /// <returns>The merged model.</returns>
    /// <exception cref="LmcException">
    /// No model, two architectures, or weights that are negative, of another number or do not sum to 1.
    /// </exception>
    public static ParameterSet Of(IReadOnlyList<ParameterSet> models, IReadOnlyList<double>? weights = null)
    {
        Guard.Require(models.Count >= 1, $"merge: expected 1 or more models, found none");
        foreach (var model in models) ParameterSet.RequireSameArchitecture(models[0], model);
        weights ??= [.. models.Select(_ => 1.0 / models.Count)];
        Guard.Require(
            weights.Count == models.Count && weights.All(w => w >= 0) && Math.Abs(weights.Sum() - 1) < 1e-9,
            $"merge: expected {models.Count} weights of 0 or more that sum to 1, found [{string.Join(", ", weights)}]");

        using var quiet = no_grad();
        var merged = ParameterSet.Zeros(models[0].Network, models[0].Flat.device);
        // In double: the mean does not depend on the order of the models beyond the last rounding. In parts: doubles of whole models are large.
        for (var start = 0L; start < merged.Flat.shape[0]; start += Part)
        {
            using var scope = NewDisposeScope();
            var count = Math.Min(Part, merged.Flat.shape[0] - start);
            var sum = zeros(count, ScalarType.Float64, merged.Flat.device);
            foreach (var (model, weight) in models.Zip(weights)) sum.add_(model.Flat.narrow(0, start, count).to(ScalarType.Float64), alpha: weight);
            merged.Flat.narrow(0, start, count).copy_(sum);
        }

        return merged;
    }
}
