using LmcDsl.Core.Architectures;
using LmcDsl.Core.Data;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Permutations;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// Two folded and balanced models, the second one matched, and angles by which its residual stream is turned on: each rotation is the Cayley
/// map (I - S)^-1 (I + S) of a skew matrix S, of centred streams within what is orthogonal to ones.
/// </summary>
internal sealed class RotationLearner : IDisposable
{
    private readonly Network network;
    private readonly Transformation matched;
    private readonly Tensor[] a;
    private readonly Tensor[] b;
    private readonly int[] turns; // those that are learned
    private readonly Tensor?[] bases; // orthonormal columns in which a turn's skew matrix is written; null for all

    public RotationLearner(ParameterSet reference, ParameterSet other, Transformation matched)
    {
        this.matched = matched;
        network = matched.Permutations.Network;
        using var quiet = no_grad();
        using var scope = NewDisposeScope();
        var (one, two) = RotatedMatching.CanonicalPair(reference, other);
        matched.ApplyInPlace(two);
        Tensor Single(Tensor tensor) => tensor.to(ScalarType.Float32).DetachFromDisposeScope();
        (a, b) = ([.. one.Select(Single)], [.. two.Select(Single)]);
        turns =
        [
            .. Enumerable.Range(0, network.Turns.Length).Where(t =>
                network.Turns[t] is { Parent: < 0, Class: SymmetryClass.Orthogonal or SymmetryClass.Centred } turn && Size(turn) > 1),
        ];
        bases = [.. turns.Select(t => network.Turns[t].Class == SymmetryClass.Centred
            ? Single(ClassMatrix.Complement(network.Turns[t].Units, one[0])) : null)];
        Angles = zeros(turns.Sum(t => Count(Size(network.Turns[t]))), device: a[0].device).DetachFromDisposeScope();
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
        foreach (var (k, rotation) in Rotations(point.to(ScalarType.Float64)).Index())
        {
            var known = matrices[turns[k]];
            matrices[turns[k]] = known is null ? rotation.unsqueeze(0) : rotation.unsqueeze(0).matmul(known);
        }

        return new Transformation(matched.Permutations, matrices);
    }

    public void Dispose()
    {
        foreach (var tensor in a.Concat(b)) tensor.Dispose();
        foreach (var basis in bases) basis?.Dispose();
        Angles.Dispose();
    }

    private Tensor[] Mixture(Tensor point, double lambda)
    {
        Tensor[] moved = [.. b];
        foreach (var (k, rotation) in Rotations(point).Index())
            foreach (var axis in network.Turns[turns[k]].Axes)
                moved[axis.Parameter] = Transformation.Turned(moved[axis.Parameter], axis, rotation.unsqueeze(0));

        return [.. a.Zip(moved, (one, other) => other.lerp(one, lambda))];
    }

    private Tensor[] Rotations(Tensor point)
    {
        var at = 0L;
        return [.. turns.Zip(bases, (t, basis) =>
        {
            var size = Size(network.Turns[t]);
            var own = point.narrow(0, at, Count(size));
            at += Count(size);
            var places = triu_indices(size, size, 1, device: point.device);
            var upper = zeros(size * size, dtype: point.dtype, device: point.device)
                .scatter(0, places[0] * size + places[1], own).view(size, size);
            var skew = (upper - upper.t()) / 2;
            var one = eye(size, dtype: point.dtype, device: point.device);
            var rotation = linalg.solve(one - skew, one + skew);
            if (basis is null) return rotation;
            var columns = basis.to(point.dtype);
            return columns.matmul(rotation).matmul(columns.t()) + 1.0 / network.Turns[t].Units;
        })];
    }

    // Of a centred stream one direction, that of ones, does not turn.
    private static long Size(PermutationGroup turn) => turn.Class == SymmetryClass.Centred ? turn.Units - 1 : turn.Units;

    private static long Count(long size) => size * (size - 1) / 2;
}
