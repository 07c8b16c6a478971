using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// Two folded and balanced models, the second one matched, and angles by which its residual stream, and what is within heads, is moved on
/// (<see cref="LearnedTurn"/>).
/// </summary>
internal sealed class RotationLearner : IDisposable
{
    private readonly Network network;
    private readonly Transformation matched;
    private readonly Tensor[] a;
    private readonly Tensor[] b;
    private readonly LearnedTurn[] turns;

    public RotationLearner(ParameterSet reference, ParameterSet other, Transformation matched, bool withinHeads)
    {
        this.matched = matched;
        network = matched.Permutations.Network;
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var (one, two) = RotatedMatching.CanonicalPair(reference, other);
        matched.ApplyInPlace(two);
        static Tensor Single(Tensor tensor) => tensor.to(ScalarType.Float32).DetachFromDisposeScope();
        (a, b) = ([.. one.Select(Single)], [.. two.Select(Single)]);
        turns =
        [
            .. Enumerable.Range(0, network.Turns.Length)
                .Where(t => withinHeads
                    || network.Turns[t] is { Parent: < 0, Class: SymmetryClass.Orthogonal or SymmetryClass.Centred })
                .Select(t => new LearnedTurn(network, t, a[0])).Where(turn => turn.Count > 0),
        ];
        Angles = zeros(turns.Sum(turn => turn.Count), device: a[0].device).DetachFromDisposeScope();
    }

    /// <summary>The angles, which whoever learns them moves in place; 0 at first.</summary>
    public Tensor Angles { get; }

    /// <summary>The loss halfway between the two models.</summary>
    public double Loss(DataSplit check)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var sum = 0.0;
        const long Batch = 100;
        var mixture = Mixture(Angles, 0.5);
        for (var start = 0L; start < check.Count; start += Batch)
        {
            using var inner = NewDisposeScope();
            var count = Math.Min(Batch, check.Count - start);
            sum += CrossEntropy.Sum(network.Forward(mixture, check.Images.narrow(0, start, count)), check.Labels.narrow(0, start, count)).ToDouble();
        }

        return sum / check.Labels.numel();
    }

    /// <summary>The loss of a mixture on a batch, and its gradient by the angles, in the caller's dispose scope.</summary>
    public (double Loss, Tensor Gradient) Gradient(Tensor images, Tensor labels, double lambda) =>
        Differentiation.Differentiate.Gradient(
            point => CrossEntropy.Mean(network.Forward(Mixture(point, lambda), images, Mode.Training), labels), Angles);

    /// <summary>What takes the second model, folded and balanced, to where angles turn it.</summary>
    public Transformation Found(Tensor point)
    {
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        Tensor?[] matrices = [.. matched.Matrices.Select(matrix => matrix?.clone())];
        foreach (var (turn, angles) in Parted(point.to(ScalarType.Float64)))
        {
            var (moved, known) = (turn.Matrices(angles).Straight, matrices[turn.Index]);
            matrices[turn.Index] = known is null ? moved : moved.matmul(known);
        }

        return new Transformation(matched.Permutations, matrices);
    }

    public void Dispose()
    {
        foreach (var tensor in a.Concat(b)) tensor.Dispose();
        foreach (var turn in turns) turn.Dispose();
        Angles.Dispose();
    }

    private Tensor[] Mixture(Tensor point, double lambda)
    {
        Tensor[] moved = [.. b];
        foreach (var (turn, angles) in Parted(point))
        {
            var (straight, dual) = turn.Matrices(angles);
            foreach (var axis in turn.Axes)
                moved[axis.Parameter] = Transformation.Turned(moved[axis.Parameter], axis, axis.IsDual ? dual : straight);
        }

        return [.. a.Zip(moved, (one, other) => other.lerp(one, lambda))];
    }

    // Each turn with its own angles.
    private IEnumerable<(LearnedTurn Turn, Tensor Angles)> Parted(Tensor point)
    {
        var at = 0L;
        foreach (var turn in turns)
        {
            yield return (turn, point.narrow(0, at, turn.Count));
            at += turn.Count;
        }
    }
}
