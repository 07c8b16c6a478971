using System.Diagnostics;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>Options of dual-space matching.</summary>
public sealed record DualSpaceMatchingOptions
{
    /// <summary>How much activations count beside weights: 0 for weights alone; the more, the nearer to activation matching.</summary>
    public double Share { get; init; } = 0.2;

    /// <summary>How many examples are read, from the first on; all where fewer are there.</summary>
    public int Examples { get; init; } = 10_000;

    /// <summary>Examples in one forward pass.</summary>
    public int Batch { get; init; } = 500;

    /// <summary>How often at most the best answer is heated again; see <see cref="AnnealedMatchingOptions"/>.</summary>
    public int Reheats { get; init; } = 1;

    /// <summary>Passes of a descent after which it ends though something still changed.</summary>
    public int MaxSweeps { get; init; } = 1000;

    /// <summary>Seed of the order in which descents visit the groups, and of the starts after the first.</summary>
    public long Seed { get; init; }

    /// <summary>Starts, the best of which counts; see <see cref="AnnealedMatchingOptions"/>.</summary>
    public int Starts { get; init; } = 1;
}

/// <summary>
/// Matching in the spaces of weights and of activations at once (MuDSC, 2403.01753): units go together whose weights are alike and whose
/// activations vary together. Weights see what no example shows, and hold for all layers at once; activations see what units do, and have
/// no local optima. Searched for by annealing (<see cref="AnnealedMatching"/>).
/// </summary>
/// <remarks>
/// The objective is ⟨a, pi(b)⟩ + Share · Σ over groups of s · Σ over units of the correlation of a unit's activations in a with its counterpart's in
/// pi(b), where s = ‖a_g‖ ‖b_g‖ / units, of the parameters that the group moves: so both sums would be as great of models that agree
/// in everything, whatever the size of their weights. The published combination is of similarities that are normalised for each group too.
/// Both models are copied, with units² numbers more for each group, beside what annealing takes.
/// </remarks>
public static class DualSpaceMatching
{
    /// <summary>Searches for the permutations of model b that bring it nearest to model a in weights and in activations.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model to permute, of the same architecture and on the same device.</param>
    /// <param name="data">Examples, on the models' device; training data, by custom.</param>
    /// <param name="options">Options; the defaults where none are given.</param>
    /// <param name="start">Where the first plain descent starts; outwards where none is given.</param>
    /// <param name="reading">Called after each batch of examples with the share done.</param>
    /// <param name="progress">Called after each stage of the search with the passes so far and the best objective.</param>
    /// <returns>The permutations, and the objective at the start and after each stage; it never goes down.</returns>
    /// <exception cref="LmcException">
    /// Two architectures, a model with NaN or infinity, examples that do not fit, activations that are not finite, or an option out of range.
    /// </exception>
    public static SearchResult Match(
        ParameterSet a, ParameterSet b, DataSplit data, DualSpaceMatchingOptions? options = null, PermutationSet? start = null,
        Action<double>? reading = null, Action<int, double>? progress = null)
    {
        options ??= new DualSpaceMatchingOptions();
        Guard.Require(
            options.Share is >= 0 and < 1e6, $"dual-space matching: expected a share of 0 to 1e6 for activations, found {options.Share}");
        var clock = Stopwatch.StartNew();
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var together = new ActivationSimilarity("dual-space matching", a, b, data, options.Examples, options.Batch, reading);
        var groups = a.Network.Groups;
        var anchors = new Anchors(
            a.Network,
            Enumerable.Range(0, groups.Length).Where(g => options.Share > 0 && together.Reads(g) && groups.All(other => other.Parent != g)));
        using var left = anchors.Add(a, g => together.Between(g, correlation: true) * (options.Share * Scale(a, b, g)));
        using var right = anchors.Add(b, g => eye(groups[g].Units, device: b.Flat.device));
        var annealing = new AnnealedMatchingOptions
        {
            Reheats = options.Reheats,
            MaxSweeps = options.MaxSweeps,
            Seed = options.Seed,
            Starts = options.Starts,
        };
        var found = AnnealedMatching.Match(left, right, annealing, start is null ? null : anchors.Add(start), progress);
        return found with { Permutations = new PermutationSet(b.Network, found.Permutations.Permutations), Seconds = clock.Elapsed.TotalSeconds };
    }

    // What a correlation of 1 counts.
    private static double Scale(ParameterSet a, ParameterSet b, int group)
    {
        double left = 0, right = 0;
        var moved = a.Network.Groups[group].Axes.Select(axis => axis.Parameter).Distinct().Where(p => a.Network.Parameters[p].Learned);
        foreach (var p in moved)
        {
            left += InnerProduct.Of(a.Views[p], a.Views[p]);
            right += InnerProduct.Of(b.Views[p], b.Views[p]);
        }

        return Math.Sqrt(left) * Math.Sqrt(right) / a.Network.Groups[group].Units;
    }
}
