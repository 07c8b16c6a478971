using System.Diagnostics;
using System.Runtime.InteropServices;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using LmcDsl.Core.Solvers;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>Options of activation matching.</summary>
public sealed record ActivationMatchingOptions
{
    /// <summary>Match by correlation, each unit's activations scaled to deviation 1, and not by covariance.</summary>
    public bool Correlation { get; init; }

    /// <summary>How many examples are read, from the first on; all where fewer are there.</summary>
    public int Examples { get; init; } = 10_000;

    /// <summary>Examples in one forward pass.</summary>
    public int Batch { get; init; } = 500;
}

/// <summary>
/// Activation matching (Li et al., 1511.07543; Git Re-Basin, 2209.04836, section 3.1): units are matched whose activations
/// vary together over the data, by a linear assignment problem on the cross-covariance of each group's units. Groups do not
/// depend on each other. Covariances are summed batch by batch, so memory does not grow with the data; a convolution's
/// channels are compared over all positions.
/// </summary>
public static class ActivationMatching
{
    /// <summary>Searches for the permutations of model b whose activations go best with model a's.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model to permute, of the same architecture and on the same device.</param>
    /// <param name="data">Examples, on the models' device; training data, by custom.</param>
    /// <param name="options">Options; the defaults where none are given.</param>
    /// <param name="progress">Called after each batch with the share done.</param>
    /// <returns>
    /// The permutations. The objective is the sum over groups of the matched units' covariances (or correlations), before
    /// and after.
    /// </returns>
    /// <exception cref="LmcException">
    /// Two architectures, examples that do not fit, none asked for, or activations that are not finite or do not vary; the line names the
    /// group and the model.
    /// </exception>
    public static SearchResult Match(
        ParameterSet a, ParameterSet b, DataSplit data, ActivationMatchingOptions? options = null, Action<double>? progress = null)
    {
        options ??= new ActivationMatchingOptions();
        var clock = Stopwatch.StartNew();
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var together = new ActivationSimilarity("activation matching", a, b, data, options.Examples, options.Batch, progress);
        double before = 0, after = 0;
        var found = new Permutation[a.Network.Groups.Length];
        foreach (var g in Enumerable.Range(0, found.Length).Where(g => a.Network.Groups[g].Parent < 0))
        {
            var group = a.Network.Groups[g];
            if (a.Network.Groups.Any(other => other.Parent == g))
            {
                var (stay, go) = Nested(a.Network, g, together.Reads, Similarity, found);
                (before, after) = (before + stay, after + go);
                continue;
            }

            if (!together.Reads(g))
            {
                found[g] = Permutation.Identity(group.Units); // nothing is known of its units
                continue;
            }

            var similarity = Similarity(g);
            before += similarity.diagonal().sum().ToDouble();
            var unit = Unit(similarity);
            var answer = LinearAssignment.Minimize(Costs(similarity, unit), group.Units);
            after -= answer.Cost * unit;
            found[g] = new Permutation(answer.Columns);
        }

        return new SearchResult(
            new PermutationSet(b.Network, found), 1, [before, after], StopReason.NothingChanged, clock.Elapsed.TotalSeconds);

        Tensor Similarity(int g)
        {
            var similarity = together.Between(g, options.Correlation);
            together.RequireVarying(g);
            return similarity;
        }
    }

    // A power of two by which similarities are divided where float32 does not hold them; an assignment does not see it.
    private static double Unit(params IEnumerable<Tensor> similarities)
    {
        var size = Math.ILogB(similarities.Select(similarity => similarity.abs().max().ToDouble()).DefaultIfEmpty().Max());
        return size is (> -1000 and < -60) or > 60 ? Math.ScaleB(1, size) : 1;
    }

    private static float[] Costs(Tensor similarity, double unit)
    {
        using var scope = NewDisposeScope();
        return MemoryMarshal.Cast<byte, float>(similarity.div(-unit).to(ScalarType.Float32).cpu().contiguous().bytes).ToArray();
    }

    // Copies, and all that has orders of its own within them, at once. Returns the sums of similarities before and after.
    private static (double Before, double After) Nested(
        Network network, int root, Func<int, bool> reads, Func<int, Tensor> similarityOf, Permutation[] found)
    {
        var similarities = new Dictionary<int, Tensor?>();
        foreach (var g in network.Order())
            if (g == root || similarities.ContainsKey(network.Groups[g].Parent)) similarities[g] = reads(g) ? similarityOf(g) : null;
        // One unit for all: what is within copies adds up to what these cost.
        var unit = Unit(similarities.Values.OfType<Tensor>());
        var costs = similarities.ToDictionary(at => at.Key, at => at.Value is { } similarity ? Costs(similarity, unit) : null);
        var answers = new Dictionary<int, Permutation>();
        var cost = new NestedAssignment(network, costs).Minimize(answers);
        foreach (var (g, answer) in answers) found[g] = answer;
        return (similarities.Values.Sum(similarity => similarity?.diagonal().sum().ToDouble() ?? 0), -cost * unit);
    }
}
