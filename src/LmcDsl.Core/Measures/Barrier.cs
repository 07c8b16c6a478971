using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Merging;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Measures;

/// <summary>One point of the line between two models.</summary>
/// <param name="Lambda">The share of the first model: the point is <c>lambda a + (1 - lambda) b</c>.</param>
/// <param name="Score">Loss and accuracy there.</param>
public readonly record struct CurvePoint(double Lambda, Score Score);

/// <summary>Loss and accuracy along the line between two models, and the barriers that follow.</summary>
/// <param name="Points">In order of lambda, 0 (model b) first and 1 (model a) last.</param>
/// <exception cref="LmcException">A score is not finite: of such a curve there is no largest; the line names the lambda.</exception>
public sealed record BarrierCurve(ImmutableArray<CurvePoint> Points)
{
    /// <summary>In order of lambda, 0 (model b) first and 1 (model a) last.</summary>
    public ImmutableArray<CurvePoint> Points { get; } = Finite(Points);

    /// <summary>
    /// The largest excess of the loss over the line between the end points' losses, in nats. It is 0 at the ends, so 0 or
    /// above; where every mixture is better than the line, <see cref="MidpointLoss"/> shows by how much.
    /// </summary>
    public double Loss => Points.Max(LossExcess);

    /// <summary>
    /// The largest shortfall of the accuracy under the line between the end points', in percentage points; 0 or above.
    /// </summary>
    public double Accuracy => Points.Max(AccuracyShortfall);

    /// <summary>The loss's excess at lambda = 1/2, in nats; below 0 where the merged model is better than the line.</summary>
    public double MidpointLoss => LossExcess(Midpoint);

    /// <summary>The accuracy's shortfall at lambda = 1/2, in percentage points; below 0 where the merged model is better.</summary>
    public double MidpointAccuracy => AccuracyShortfall(Midpoint);

    /// <summary>The point nearest to lambda = 1/2.</summary>
    public CurvePoint Midpoint => Points.MinBy(p => Math.Abs(p.Lambda - 0.5));

    private double LossExcess(CurvePoint p) =>
        p.Score.Loss - (p.Lambda * Points[^1].Score.Loss + (1 - p.Lambda) * Points[0].Score.Loss);

    private double AccuracyShortfall(CurvePoint p) =>
        100 * (p.Lambda * Points[^1].Score.Accuracy + (1 - p.Lambda) * Points[0].Score.Accuracy - p.Score.Accuracy);

    private static ImmutableArray<CurvePoint> Finite(ImmutableArray<CurvePoint> points)
    {
        foreach (var (lambda, score) in points)
            Guard.Require(
                double.IsFinite(score.Loss) && double.IsFinite(score.Accuracy),
                $"barrier at lambda = {lambda}: expected a finite loss and accuracy, found {score.Loss} and {score.Accuracy}");
        return points;
    }
}

/// <summary>
/// The barrier between two models: how much worse the worst point of the line between them is than the line between
/// their losses (Frankle et al., 1912.05671; Entezari et al., 2110.06296).
/// </summary>
public static class Barrier
{
    /// <summary>The most points of a curve.</summary>
    public const int MostPoints = 100_000;

    /// <summary>Evaluates the line between two models.</summary>
    /// <param name="a">The model at lambda = 1.</param>
    /// <param name="b">The model at lambda = 0, of the same architecture and on the same device.</param>
    /// <param name="split">The examples, on the models' device.</param>
    /// <param name="points">Number of evenly spaced lambdas, both ends included; 3 to <see cref="MostPoints"/>, odd to have 1/2 among them.</param>
    /// <param name="progress">Called after each point with the number done.</param>
    /// <param name="resetOn">
    /// Training examples on which each mixture's batch-norm statistics are recomputed; none to interpolate them like parameters.
    /// The ends keep their own.
    /// </param>
    /// <param name="resetExamples">How many of them are read at each point.</param>
    /// <returns>The curve.</returns>
    /// <exception cref="LmcException">
    /// The models are of two architectures, the examples do not fit them, the number of points is out of range, or a point's scores are
    /// not finite; the line names its lambda and what overflowed.
    /// </exception>
    public static BarrierCurve Along(
        ParameterSet a, ParameterSet b, DataSplit split, int points = 25, Action<int>? progress = null,
        DataSplit? resetOn = null, int resetExamples = 10_000)
    {
        ParameterSet.RequireSameArchitecture(a, b);
        Guard.Require(
            points is >= 3 and <= MostPoints, $"barrier: expected 3 or more points on the line, {MostPoints} at most, found {points}");
        Fit.Require(b, split, "barrier");
        if (resetOn is not null) StatisticsReset.Require(b, resetOn, resetExamples, "barrier, statistics reset");
        using var quiet = no_grad();
        using var mixed = b.Clone();
        using var first = SharedFirstLayer.TryMake(a, b, split);
        var curve = ImmutableArray.CreateBuilder<CurvePoint>(points);
        for (var k = 0; k < points; k++)
        {
            var lambda = (double)k / (points - 1);
            using (NewDisposeScope()) mixed.Flat.copy_(b.Flat).lerp_(a.Flat, lambda);
            var isInner = k > 0 && k < points - 1;
            curve.Add(new CurvePoint(lambda, Guard.Within(FormattableString.Invariant($"barrier at lambda = {lambda}"), () =>
            {
                if (resetOn is not null && isInner) StatisticsReset.Apply(mixed, resetOn, resetExamples);
                return first is null ? Evaluator.Evaluate(mixed, split) : first.Evaluate(mixed, lambda);
            })));
            progress?.Invoke(k + 1);
        }

        return new BarrierCurve(curve.MoveToImmutable());
    }
}
