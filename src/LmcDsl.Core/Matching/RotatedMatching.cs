using System.Collections.Immutable;
using System.Diagnostics;
using System.Text.Json.Serialization;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Runtime;
using LmcDsl.Core.Symmetries;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>Options of weight matching over all symmetries.</summary>
public sealed record RotatedMatchingOptions
{
    /// <summary>Passes after which the search ends though something still changed.</summary>
    public int MaxSweeps { get; init; } = 100;

    /// <summary>
    /// Whether each parameter counts alike: its inner product over the product of its two norms. Else large parameters count most, as in
    /// weight matching.
    /// </summary>
    public bool Normalised { get; init; }

    /// <summary>
    /// Whether means over the stream, which layer norms do not see, are taken away before weights are compared (<see cref="Centring"/>). The
    /// aligned model keeps its own: no mixture sees them either.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Centred { get; init; }

    /// <summary>The power that weights' singular values are raised to before they are compared; above 1 the large ones decide.</summary>
    public double Power { get; init; } = 1;
}

/// <summary>
/// Weight matching over all symmetries of a network, and not permutations alone: find the element g of the derived group, of the networks
/// without what norms and biases can be written with (<see cref="Folding"/>), heads balanced (<see cref="Balance"/>), for which ⟨a, g b⟩ is
/// greatest. Coordinate descent: units by a linear assignment, rotations by Procrustes' problem (a singular value decomposition), heads by
/// an assignment whose costs are the best of each pair of heads, all that is within them rotated at once. Each step is the exact maximiser
/// for what it moves, so the objective never goes down. Needs no data.
/// </summary>
/// <remarks>
/// Of networks whose groups are permutations only it is weight matching. The aligned model is one of the same network, with the reference's
/// gains, shifts and scales within heads: mixtures of the two are those of the folded and balanced models.
/// </remarks>
public static class RotatedMatching
{
    /// <summary>Searches for the transformation of model b that brings it nearest to model a.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model to transform, of the same architecture and on the same device.</param>
    /// <param name="options">Options; the defaults where none are given.</param>
    /// <param name="progress">Called after each pass with the number of passes and the objective.</param>
    /// <param name="frequencies">
    /// Shares of tokens, as <see cref="TokenFrequencies.Of"/> gives them, by which rows of tokens count; all alike where none are given.
    /// </param>
    /// <returns>
    /// The transformation of the folded and balanced model b, for <see cref="Apply"/>, and how the search ended. The objective is ⟨a, g b⟩,
    /// weighted as the options say.
    /// </returns>
    /// <exception cref="LmcException">Two architectures, a model with NaN or infinity, or an option out of range.</exception>
    public static SearchResult Match(
        ParameterSet a, ParameterSet b, RotatedMatchingOptions? options = null, Action<int, double>? progress = null,
        IReadOnlyList<double>? frequencies = null)
    {
        options ??= new RotatedMatchingOptions();
        RequireOptions(options);
        ParameterSet.RequireSameArchitecture(a, b);
        WeightMatching.RequireFinite(a, "the reference model");
        WeightMatching.RequireFinite(b, "the model to align");
        var clock = Stopwatch.StartNew();
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var folding = Folding.Of(a.Network, a.Views, b.Views);
        var (reference, other) = (Canonical(folding, a), Canonical(folding, b));
        if (options.Centred)
            foreach (var model in (ReadOnlySpan<Tensor[]>)[reference, other]) Centring.ApplyInPlace(folding.Folded, model);
        Guard.Require(
            frequencies is null || frequencies.Count == a.Network.Vocabulary,
            $"rotated matching: expected a share for each of {a.Network.Vocabulary} tokens, found {frequencies?.Count}");
        var terms = new RotatedTerms(folding.Folded, options, frequencies);
        using var descent = new RotatedDescent(folding.Folded, terms.Of(reference, other), terms.Of(other, reference));
        var objective = ImmutableArray.CreateBuilder<double>();
        objective.Add(descent.Objective());
        var stopped = StopReason.SweepLimit;
        var sweeps = 0;
        while (stopped != StopReason.NothingChanged && sweeps < options.MaxSweeps)
        {
            var changed = descent.Pass(first: sweeps == 0);
            sweeps++;
            objective.Add(descent.Objective());
            progress?.Invoke(sweeps, objective[^1]);
            if (!changed) stopped = StopReason.NothingChanged;
        }

        return new SearchResult(
            PermutationSet.Identity(a.Network), sweeps, objective.ToImmutable(), stopped, clock.Elapsed.TotalSeconds)
        {
            Transformation = descent.Found(),
        };
    }

    /// <summary>Transforms a model as a search found, and writes it as the reference is written.</summary>
    /// <param name="a">The reference.</param>
    /// <param name="b">The model that was given to the search.</param>
    /// <param name="found">What the search found.</param>
    /// <param name="others">Where the search was of several models, all of them: what is folded depends on each.</param>
    /// <returns>A model of the same network that computes what b does, up to rounding.</returns>
    /// <exception cref="LmcException">Two architectures, or what was found is of other models.</exception>
    public static ParameterSet Apply(ParameterSet a, ParameterSet b, Transformation found, params ParameterSet[] others)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        ParameterSet.RequireSameArchitecture(a, b);
        var folding = FoldingOf([a, b, .. others]);
        Guard.Require(
            found.Permutations.Network.Described == folding.Folded.Described,
            $"rotated matching: expected what a search of these models found, found one of a network that is folded otherwise; where it was of several models all of them are given");
        var moved = Canonical(folding, b);
        found.ApplyInPlace(moved);
        using var balance = Balance.Of(folding.Folded, folding.Fold(Doubles(a)));
        using var back = Balance.Inverse(balance);
        back.ApplyInPlace(moved);
        var result = b.Clone();
        foreach (var (view, tensor) in result.Views.Zip(folding.Unfold(moved, Doubles(a)))) view.copy_(tensor);
        return result;
    }

    /// <summary>The network whose symmetries two models are matched over: that of <see cref="SearchResult.Transformation"/>.</summary>
    /// <param name="models">The models: reference, the other one, and more where there are.</param>
    /// <returns>The folded network.</returns>
    public static Network NetworkOf(params ParameterSet[] models) => FoldingOf(models).Folded;

    /// <summary>Two models, folded and balanced, in double, in the caller's dispose scope.</summary>
    internal static (Tensor[] A, Tensor[] B) CanonicalPair(ParameterSet a, ParameterSet b)
    {
        var folding = FoldingOf([a, b]);
        return (Canonical(folding, a), Canonical(folding, b));
    }

    /// <summary>Requires options in range.</summary>
    internal static void RequireOptions(RotatedMatchingOptions options) =>
        Guard.Require(
            options is { MaxSweeps: >= 1, Power: > 0 }, $"rotated matching: expected passes of 1 or more and a power above 0, found {options}");

    private static Folding FoldingOf(IReadOnlyList<ParameterSet> models) => Folding.Of(models[0].Network, [.. models.Select(model => model.Views)]);

    /// <summary>A model, folded and balanced, in double, in the caller's dispose scope.</summary>
    internal static Tensor[] Canonical(Folding folding, ParameterSet model)
    {
        var folded = folding.Fold(Doubles(model));
        using var balance = Balance.Of(folding.Folded, folded);
        balance.ApplyInPlace(folded);
        return folded;
    }

    private static Tensor[] Doubles(ParameterSet model) => [.. model.Views.Select(view => view.to(ScalarType.Float64))];
}
