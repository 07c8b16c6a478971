using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Merging;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Measures;

/// <summary>A place of a plane in parameter space, in units of L2 distance.</summary>
/// <param name="X">Along the way from the first model to the second.</param>
/// <param name="Y">At a right angle to it.</param>
public readonly record struct PlanePoint(double X, double Y);

/// <summary>Scores over a plane through three models.</summary>
/// <param name="Models">Where the three models lie; the first at the origin, the second on the x axis.</param>
/// <param name="X">The grid's abscissae, ascending.</param>
/// <param name="Y">The grid's ordinates, ascending.</param>
/// <param name="Scores">By ordinate, then abscissa: <c>Scores[j * X.Length + i]</c>.</param>
public sealed record LandscapeScores(
    ImmutableArray<PlanePoint> Models, ImmutableArray<double> X, ImmutableArray<double> Y, ImmutableArray<Score> Scores);

/// <summary>
/// Loss and accuracy over the plane through three models (Garipov et al., 1802.10026, section 3): the plane's axes are at a
/// right angle, so that distances in the picture are L2 distances.
/// </summary>
public static class Landscape
{
    /// <summary>The most points of a side.</summary>
    public const int MostPoints = 1_000;

    /// <summary>Scores the models at the points of a grid that holds the three models and a margin round them.</summary>
    /// <param name="a">At the origin.</param>
    /// <param name="b">On the x axis.</param>
    /// <param name="c">Above or below it.</param>
    /// <param name="split">Examples, on the models' device.</param>
    /// <param name="points">Points of the grid on each side, 2 to <see cref="MostPoints"/>.</param>
    /// <param name="margin">Room round the models, as a share of their extent, 0 or more.</param>
    /// <param name="progress">Called after each point with the share done.</param>
    /// <param name="resetOn">
    /// Training examples on which each point's batch-norm statistics are recomputed; none to mix them like parameters, variances no smaller
    /// than the least of the three models': the margin's corners lie so far outside of the models that a mixture of them can be below 0.
    /// </param>
    /// <param name="resetExamples">How many of them are read at each point.</param>
    /// <returns>The scores.</returns>
    /// <exception cref="LmcException">
    /// Two architectures, examples that do not fit, three models on one line, an option out of range, or a point without finite scores;
    /// the line names it.
    /// </exception>
    public static LandscapeScores Over(
        ParameterSet a, ParameterSet b, ParameterSet c, DataSplit split, int points = 21, double margin = 0.25,
        Action<double>? progress = null, DataSplit? resetOn = null, int resetExamples = 10_000)
    {
        ParameterSet.RequireSameArchitecture(a, b);
        ParameterSet.RequireSameArchitecture(a, c);
        Guard.Require(
            points is >= 2 and <= MostPoints && margin >= 0 && double.IsFinite(margin),
            $"landscape: expected 2 or more points, {MostPoints} at most, and a margin of 0 or more, found {points} and {margin}");
        Fit.Require(a, split, "landscape");
        if (resetOn is not null) StatisticsReset.Require(a, resetOn, resetExamples, "landscape, statistics reset");
        foreach (var (model, name) in new[] { (a, "first"), (b, "second"), (c, "third") })
            Overflow.Refuse(model, $"landscape: the {name} model");
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        // Weights of the three models at a place: of b and c by solving for the two axes, the rest is a's.
        var (toB, toC) = (b.Learned() - a.Learned(), c.Learned() - a.Learned());
        var length = Math.Sqrt(InnerProduct.Of(toB, toB));
        var along = length > 0 ? InnerProduct.Of(toC, toB) / length : 0;
        var height = Math.Sqrt(Math.Max(0, InnerProduct.Of(toC, toC) - along * along));
        Guard.Require(
            length > 0 && height > 1e-6 * length, $"landscape: expected three models that are not on one line, found a triangle of height {height} over a side of {length}");
        var (x, y) = (Grid(0, length, along), Grid(0, 0, height));
        using var mixed = a.Clone();
        var variances = a.Network.Architecture.Nodes.Where(node => node.Layer.Statistics is not null)
            .Select(node => $"{node.Name}.{node.Layer.Statistics!.Variance}").ToArray();
        var least = variances.Select(name => minimum(minimum(a[name], b[name]), c[name])).ToArray();
        var scores = ImmutableArray.CreateBuilder<Score>(points * points);
        foreach (var v in y)
        {
            foreach (var u in x)
            {
                var ofC = v / height;
                var ofB = (u - ofC * along) / length;
                mixed.Flat.copy_(a.Flat).mul_(1 - ofB - ofC).add_(b.Flat, alpha: ofB).add_(c.Flat, alpha: ofC);
                scores.Add(Guard.Within(FormattableString.Invariant($"landscape at ({u:g4}, {v:g4})"), () =>
                {
                    foreach (var (name, bound) in variances.Zip(least)) mixed[name].clamp_(min: bound);
                    if (resetOn is not null) StatisticsReset.Apply(mixed, resetOn, resetExamples);
                    return Evaluator.Evaluate(mixed, split);
                }));
                progress?.Invoke((double)scores.Count / (points * points));
            }
        }

        return new LandscapeScores([new(0, 0), new(length, 0), new(along, height)], x, y, scores.MoveToImmutable());

        ImmutableArray<double> Grid(params double[] hold)
        {
            var (low, high) = (hold.Min(), hold.Max());
            var room = margin * (high - low);
            return [.. Enumerable.Range(0, points).Select(k => low - room + (high - low + 2 * room) * k / (points - 1))];
        }
    }
}
