using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// The matrices of one of a network's turns as a smooth function of angles, within the turn's class; the identity where all angles are 0.
/// Rotations are the Cayley map (I - S)^-1 (I + S) of a skew matrix S, of centred units within what is orthogonal to ones; invertible
/// matrices are exponentials; pairs are turned by an angle and scaled by an exponential.
/// </summary>
internal sealed class LearnedTurn : IDisposable
{
    private readonly PermutationGroup turn;
    private readonly Tensor? basis; // orthonormal columns in which the skew matrix is written; null for all
    private readonly long size; // units of one copy that move

    public LearnedTurn(Network network, int index, Tensor like)
    {
        Index = index;
        turn = network.Turns[index];
        var units = turn.Units / turn.Copies;
        // Of a centred stream one direction, that of ones, does not turn.
        size = turn.Class == SymmetryClass.Centred ? units - 1 : units;
        if (turn.Class == SymmetryClass.Centred) basis = ClassMatrix.Complement(units, like).DetachFromDisposeScope();
        Count = turn.Copies * turn.Class switch
        {
            SymmetryClass.Orthogonal or SymmetryClass.Centred => size * (size - 1) / 2,
            SymmetryClass.Invertible => size * size,
            SymmetryClass.Pairs => size,
            _ => 0,
        };
    }

    /// <summary>Its place among the network's turns.</summary>
    public int Index { get; }

    /// <summary>How many angles there are.</summary>
    public long Count { get; }

    /// <summary>Where the matrices go.</summary>
    public IEnumerable<PermutedAxis> Axes => turn.Axes;

    /// <summary>The matrices, and the inverse transposes, for what reads the units.</summary>
    /// <param name="angles">The turn's own <see cref="Count"/> angles.</param>
    /// <returns><c>[copies, units, units]</c> each, in the caller's dispose scope.</returns>
    public (Tensor Straight, Tensor Dual) Matrices(Tensor angles)
    {
        switch (turn.Class)
        {
            case SymmetryClass.Invertible:
                var exponent = angles.view(turn.Copies, size, size);
                return (matrix_exp(exponent), matrix_exp(-exponent).transpose(1, 2));
            case SymmetryClass.Pairs:
                var (turns, scales) = (angles.view(2, turn.Copies, size / 2)[0], angles.view(2, turn.Copies, size / 2)[1]);
                var (cosine, sine) = (turns.cos(), turns.sin());
                return (Pairs(cosine, sine, scales.exp()), Pairs(cosine, sine, (-scales).exp()));
            default:
                var rotation = Rotation(angles.view(turn.Copies, -1));
                return (rotation, rotation);
        }
    }

    public void Dispose() => basis?.Dispose();

    private static Tensor Pairs(Tensor cosine, Tensor sine, Tensor scale) =>
        ClassMatrix.Pairs(stack([cosine * scale, sine * scale], -1));

    private Tensor Rotation(Tensor angles)
    {
        var places = triu_indices(size, size, 1, device: angles.device);
        var upper = zeros([turn.Copies, size * size], dtype: angles.dtype, device: angles.device)
            .scatter(1, (places[0] * size + places[1]).expand(turn.Copies, -1), angles).view(turn.Copies, size, size);
        var skew = (upper - upper.transpose(1, 2)) / 2;
        var one = eye(size, dtype: angles.dtype, device: angles.device);
        var rotation = linalg.solve(one - skew, one + skew);
        if (basis is null) return rotation;
        var columns = basis.to(angles.dtype);
        return columns.matmul(rotation).matmul(columns.t()) + 1.0 / (turn.Units / turn.Copies);
    }
}
