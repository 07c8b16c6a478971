using System.Collections.Immutable;
using System.Diagnostics;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using LmcDsl.Core.Symmetries;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// Weight matching of several models over all symmetries: each but the first in turn is matched to the sum of the others, permutations and
/// rotations together, until nothing changes. With rotations alone this is generalised Procrustes analysis (Gower, 1975); with permutations
/// alone MergeMany. The sum over pairs of ⟨g_p p, g_q q⟩ never goes down.
/// </summary>
public static class RotatedMergeManyMatching
{
    /// <summary>Searches for transformations that bring all models to the first.</summary>
    /// <param name="models">Two or more models of one architecture, on one device.</param>
    /// <param name="options">Options; the defaults where none are given.</param>
    /// <param name="progress">Called after each pass with the number of passes and the objective.</param>
    /// <returns>
    /// The transformations of the folded and balanced models, for <see cref="RotatedMatching.Apply"/> with the first as the reference and all
    /// models given; the first model's moves nothing.
    /// </returns>
    /// <exception cref="LmcException">Fewer than two models, two architectures, or NaN or infinity.</exception>
    public static JointResult Match(
        IReadOnlyList<ParameterSet> models, RotatedMatchingOptions? options = null, Action<int, double>? progress = null)
    {
        options ??= new RotatedMatchingOptions();
        RotatedMatching.RequireOptions(options);
        JointResult.RequireModels("rotated merge many", models);
        var clock = Stopwatch.StartNew();
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var folding = Folding.Of(models[0].Network, [.. models.Select(model => model.Views)]);
        var canonical = models.Select(model => RotatedMatching.Canonical(folding, model)).ToArray();
        if (options.Centred)
            foreach (var model in canonical) Centring.ApplyInPlace(folding.Folded, model);
        var terms = new RotatedTerms(folding.Folded, options);
        // Each by its own norms, so that products of any two are those that a pair has.
        var moved = canonical.Select(model => terms.Of(model, model)).ToArray();
        var descents = moved.Select(own => new RotatedDescent(folding.Folded, own, own)).ToArray();
        var objective = ImmutableArray.CreateBuilder<double>();
        objective.Add(OfPairs(moved));
        var (sweeps, stopped) = (0, StopReason.SweepLimit);
        while (sweeps < options.MaxSweeps && stopped == StopReason.SweepLimit)
        {
            var changed = false;
            for (var m = 1; m < models.Count; m++)
            {
                using var inner = NewDisposeScope();
                // At first nothing but the model before is aligned: the sum of all would say nothing.
                var others = Enumerable.Range(0, models.Count).Where(k => k != m && (sweeps > 0 || k < m)).ToArray();
                var sum = moved[0].Select((_, p) => others.Select(k => moved[k][p]).Aggregate((x, y) => x + y)).ToArray();
                descents[m].Towards(sum);
                changed |= descents[m].Pass(first: sweeps == 0);
                while (sweeps == 0 && descents[m].Pass(first: false))
                {
                }
            }

            sweeps++;
            objective.Add(OfPairs(moved));
            progress?.Invoke(sweeps, objective[^1]);
            if (!changed) stopped = StopReason.NothingChanged;
        }

        var found = descents.Select(descent => descent.Found()).ToImmutableArray();
        foreach (var descent in descents) descent.Dispose();
        return new JointResult(
            [.. models.Select(model => PermutationSet.Identity(model.Network))], sweeps, objective.ToImmutable(), stopped,
            clock.Elapsed.TotalSeconds)
        {
            Transformations = found,
        };
    }

    // From |sum|² = sum of |p|² + twice the pairs.
    private static double OfPairs(Tensor[][] models)
    {
        using var scope = NewDisposeScope();
        return Enumerable.Range(0, models[0].Length).Sum(p =>
        {
            var sum = models.Select(model => model[p]).Aggregate((x, y) => x + y);
            return (sum.square().sum().ToDouble() - models.Sum(model => model[p].square().sum().ToDouble())) / 2;
        });
    }
}
