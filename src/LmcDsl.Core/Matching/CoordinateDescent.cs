using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// Coordinate descent of weight matching from one start: the moved model, every group's costs and the last answer of its
/// assignment problem. It may go on after the reference has changed, and then starts from those answers.
/// </summary>
internal sealed class CoordinateDescent : IDescent
{
    private readonly ParameterSet reference;
    private readonly MatchingScale scale;
    private readonly GroupMatching[] groups;
    private readonly Permutation[] found;
    private readonly NestedMatching?[] nested; // of groups with an order in each copy
    private readonly ILookup<int, int> inner; // the groups whose copies a group's units are
    private readonly bool[] stale;
    private readonly double?[] shares; // of each parameter in the objective, where known

    /// <summary>Begins at the given permutations.</summary>
    /// <param name="reference">The reference; read at each pass.</param>
    /// <param name="moved">
    /// The model, permuted so already; its learned parameters are permuted where they lie, the others left. The caller's to free.
    /// </param>
    /// <param name="start">Where to begin.</param>
    /// <exception cref="Runtime.LmcException">A model has NaN or infinity; the line names the parameter.</exception>
    public CoordinateDescent(ParameterSet reference, ParameterSet moved, PermutationSet start)
    {
        this.reference = reference;
        scale = new MatchingScale(reference, moved);
        Moved = moved;
        found = [.. start.Permutations];
        groups = [.. Enumerable.Range(0, found.Length).Select(g => new GroupMatching(reference, Moved, scale, g))];
        var symmetries = reference.Network.Groups;
        inner = Enumerable.Range(0, found.Length).ToLookup(g => symmetries[g].Parent);
        nested = [.. symmetries.Select((group, g) => group.Parent < 0 || inner[g].Any() ? null : new NestedMatching(reference, Moved, scale, g))];
        stale = [.. found.Select(_ => true)];
        shares = new double?[moved.Network.Parameters.Length];
    }

    /// <summary>The model as it is permuted so far.</summary>
    public ParameterSet Moved { get; }

    /// <inheritdoc/>
    public PermutationSet Found => new(Moved.Network, found);

    /// <inheritdoc/>
    public double Updated => groups.Select(group => group.Cost.Updated).DefaultIfEmpty().Max();

    /// <inheritdoc/>
    public double MostUpdated { get; init; } = CostTerms.Most;

    /// <inheritdoc/>
    public double Objective
    {
        get
        {
            using var scope = NewDisposeScope();
            for (var p = 0; p < shares.Length; p++)
                if (Moved.Network.Parameters[p].Learned) shares[p] ??= InnerProduct.Of(reference.Views[p], Moved.Views[p]);
            return shares.Sum() ?? 0;
        }
    }

    /// <summary>Takes note that the reference's parameters have changed.</summary>
    public void ReferenceChanged()
    {
        scale.LeftChanged(reference);
        foreach (var group in groups) group.Cost.Forget();
        Array.Fill(stale, true);
        Array.Clear(shares);
    }

    /// <inheritdoc/>
    public (int Sweeps, StopReason Stopped) Run(Random random, int maxSweeps, Action<int>? told = null)
    {
        for (var sweeps = 1; sweeps <= maxSweeps; sweeps++)
        {
            var changed = Pass(Permutation.Random(found.Length, random));
            told?.Invoke(sweeps);
            // Updates of costs carry rounding: where it is much, the last word is had on costs computed whole.
            if (!changed && !Refresh()) return (sweeps, StopReason.NothingChanged);
        }

        return (maxSweeps, StopReason.SweepLimit);
    }

    /// <summary>Frees the costs.</summary>
    public void Dispose()
    {
        foreach (var group in groups) group.Dispose();
    }

    // Matches each group whose costs have changed since it was last matched. Returns whether any permutation changed.
    private bool Pass(Permutation order)
    {
        var changed = false;
        foreach (var g in order.Sources.Where(g => stale[g]))
        {
            using var scope = NewDisposeScope();
            stale[g] = false;
            if (inner[g].Any()) continue; // copies are matched with what is in them
            if (nested[g] is { } copies)
            {
                changed |= Improve(copies);
                continue;
            }

            if (groups[g].Improve(other => groups[other].Cost, out var step) is not { } neighbours) continue;
            foreach (var neighbour in neighbours) Spoil(neighbour);
            found[g] = step.After(found[g]);
            foreach (var axis in Moved.Network.Groups[g].Axes) shares[axis.Parameter] = null;
            changed = true;
            stale[g] = groups[g].IsOnBothSides;
        }

        return changed;
    }

    private bool Improve(NestedMatching copies)
    {
        if (copies.Improve() is not { } steps) return false;
        foreach (var neighbour in copies.Neighbours)
        {
            groups[neighbour].Cost.Forget();
            Spoil(neighbour);
        }

        foreach (var (g, step) in steps)
        {
            found[g] = step.After(found[g]);
            foreach (var axis in Moved.Network.Groups[g].Axes) shares[axis.Parameter] = null;
        }

        return true;
    }

    private void Spoil(int group)
    {
        stale[group] = true;
        foreach (var g in inner[group]) Spoil(g);
    }

    private bool Refresh()
    {
        for (var g = 0; g < groups.Length; g++)
        {
            stale[g] = groups[g].Cost.Updated > MostUpdated;
            if (stale[g]) groups[g].Cost.Forget();
        }

        return stale.Any(again => again);
    }
}
