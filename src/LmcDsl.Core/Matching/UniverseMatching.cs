using System.Collections.Immutable;
using System.Diagnostics;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>Options of cycle-consistent matching by Frank-Wolfe.</summary>
public sealed record UniverseMatchingOptions
{
    /// <summary>Frank-Wolfe steps after which the search ends though it could still gain.</summary>
    public int MaxSteps { get; init; } = 100;

    /// <summary>The share of the objective below which what a step could gain at most is not worth it.</summary>
    public double Tolerance { get; init; } = 1e-4;

    /// <summary>Whether the rounded maps are bettered by <see cref="MergeManyMatching"/>, so that no single group can do better.</summary>
    public bool Polish { get; init; } = true;

    /// <summary>Seed of the polishing's order.</summary>
    public long Seed { get; init; }
}

/// <summary>
/// Cycle-consistent matching of several models to a shared order of units, the universe (C2M3, Crisostomi et al.,
/// 2405.17897): all maps of all models climb the sum over pairs of ⟨P_p p, P_q q⟩ together, over doubly stochastic matrices,
/// by Frank-Wolfe: to the best vertex for the gradient, a linear assignment problem for each map, as far as the exact line
/// search says; units within copies together with their copies. At the end the matrices are rounded to the nearest permutations.
/// </summary>
public static class UniverseMatching
{
    /// <summary>Searches for permutations that bring all models into one order of units.</summary>
    /// <param name="models">Two or more models of one architecture, on one device.</param>
    /// <param name="options">Options; the defaults where none are given.</param>
    /// <param name="progress">Called after each step with the number of steps and the relaxed objective.</param>
    /// <returns>The permutations; the first model's is the identity. The objective is relaxed but for the last entries.</returns>
    /// <exception cref="LmcException">Fewer than two models, two architectures, NaN or infinity, or an option out of range.</exception>
    public static JointResult Match(
        IReadOnlyList<ParameterSet> models, UniverseMatchingOptions? options = null, Action<int, double>? progress = null)
    {
        options ??= new UniverseMatchingOptions();
        JointResult.RequireModels("universe matching", models);
        Guard.Require(
            options is { MaxSteps: >= 1, Tolerance: >= 0 }, $"universe matching: expected 1 or more steps and a tolerance of 0 or more, found {options}");
        if (RelaxedObjective.Twice(models[0].Network) is { } parameter)
            throw new LmcException(
                $"universe matching: expected parameters in which one group at most has an order in each of the same copies, found '{models[0].Network.Parameters[parameter].Name}', in which two have (as with grouped queries, or from one grouped convolution to the next); MergeMany knows such orders");
        var clock = Stopwatch.StartNew();
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        using var relaxation = new Relaxation(models);
        var objective = ImmutableArray.CreateBuilder<double>();
        objective.Add(relaxation.Value);
        var (steps, stopped) = (0, StopReason.SweepLimit);
        while (steps < options.MaxSteps && stopped == StopReason.SweepLimit)
        {
            var gap = relaxation.Step();
            steps++;
            objective.Add(relaxation.Value);
            progress?.Invoke(steps, objective[^1]);
            if (gap <= options.Tolerance * Math.Abs(objective[^1])) stopped = StopReason.NothingChanged;
        }

        var found = relaxation.Round();
        ParameterSet[] moved = [.. models.Zip(found, (m, p) => p.Apply(m))];
        objective.Add(JointResult.OfPairs(moved));
        foreach (var m in moved) m.Dispose();
        if (options.Polish)
        {
            var polished = MergeManyMatching.Match(models, new MergeManyOptions { Seed = options.Seed }, found);
            objective.AddRange(polished.Objective.Skip(1));
            (found, steps) = ([.. polished.Permutations], steps + polished.Sweeps);
        }

        return new JointResult(
            JointResult.FromFirst(found), steps, objective.ToImmutable(), stopped, clock.Elapsed.TotalSeconds);
    }

    /// <summary>The doubly stochastic maps, and the models under them.</summary>
    private sealed class Relaxation(IReadOnlyList<ParameterSet> models) : IDisposable
    {
        private readonly Tensor[][] maps =
        [
            .. models.Select(m => m.Network.Groups
                .Select(g => eye(g.Units, device: m.Flat.device).DetachFromDisposeScope()).ToArray()),
        ];

        private readonly ParameterSet[] soft = [.. models.Select(m => m.Clone())];

        public double Value => JointResult.OfPairs(soft);

        // A Frank-Wolfe step. Returns the gap: by how much, at most, the objective could rise were it concave.
        public double Step()
        {
            using var scope = NewDisposeScope();
            var directions = new Tensor[models.Count][];
            var gap = 0.0;
            for (var p = 0; p < models.Count; p++)
            {
                using var others = Others(p);
                var scale = new MatchingScale(others, models[p]);
                using var objective = new RelaxedObjective(others, models[p], scale);
                var (_, gradients, _) = objective.At(maps[p]);
                var vertex = SoftPermutation.Nearest(models[p].Network, gradients, scale.Unit);
                directions[p] = [.. vertex.Zip(maps[p], (best, map) => SoftPermutation.Matrix(best, map.device) - map)];
                gap += gradients.Zip(directions[p], (gradient, d) => (gradient * d).sum(ScalarType.Float64).ToDouble())
                    .Select((sum, g) => scale.Unit(g) * sum).Sum();
            }

            Move(directions, LineSearch(directions));
            return gap;
        }

        public PermutationSet[] Round() =>
            [.. models.Zip(maps, (m, own) => new PermutationSet(m.Network, SoftPermutation.Nearest(m.Network, own)))];

        public void Dispose()
        {
            foreach (var map in maps.SelectMany(own => own)) map.Dispose();
            foreach (var model in soft) model.Dispose();
        }

        private ParameterSet Others(int without)
        {
            using var scope = NewDisposeScope();
            return new ParameterSet(
                models[0].Network, soft.Where((_, k) => k != without).Select(m => m.Flat).Aggregate((x, y) => x + y).clone());
        }

        private void Move(Tensor[][] directions, double step)
        {
            for (var p = 0; p < models.Count; p++)
            {
                for (var g = 0; g < maps[p].Length; g++) maps[p][g].add_(directions[p][g], alpha: step);
                using var moved = SoftPermutation.Apply(maps[p], models[p]);
                soft[p].Flat.copy_(moved.Flat);
            }
        }

        // A parameter has two permuted axes at most, so the objective is of degree 4 in the step: five values tell it.
        private double LineSearch(Tensor[][] directions)
        {
            double[] at = [0, 0.25, 0.5, 0.75, 1];
            double[] values = [.. at.Select(step => ValueAt(directions, step))];
            var best = Enumerable.Range(0, 1001).Select(k => k / 1000.0).MaxBy(step => Interpolate(at, values, step));
            return best;
        }

        private double ValueAt(Tensor[][] directions, double step)
        {
            if (step == 0) return Value;
            using var scope = NewDisposeScope();
            ParameterSet[] there =
                [.. models.Select((m, p) => SoftPermutation.Apply([.. maps[p].Zip(directions[p], (map, d) => map + d * step)], m))];
            var value = JointResult.OfPairs(there);
            foreach (var m in there) m.Dispose();
            return value;
        }

        private static double Interpolate(double[] at, double[] values, double x) =>
            Enumerable.Range(0, at.Length).Sum(i =>
                values[i] * Enumerable.Range(0, at.Length).Where(j => j != i).Aggregate(1.0, (y, j) => y * (x - at[j]) / (at[i] - at[j])));
    }
}
