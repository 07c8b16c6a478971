using System.Collections.Immutable;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Permutations;

/// <summary>
/// An element of a network's whole symmetry group: permutations, and after them a matrix for each of <see cref="Network.Turns"/>, or for each
/// of its copies, within its class. Where units are written the matrix is applied, where they are read its inverse transpose; so the network
/// computes the same function.
/// </summary>
public sealed class Transformation : IDisposable
{
    /// <summary>Takes permutations and matrices.</summary>
    /// <param name="permutations">One for each of the network's groups.</param>
    /// <param name="matrices">
    /// For each of <see cref="Network.Turns"/> float32 or float64 <c>[copies, units, units]</c>, or null where its units are not transformed;
    /// owned from now on.
    /// </param>
    /// <exception cref="LmcException">The number of matrices or a shape differs; the line names the group.</exception>
    public Transformation(PermutationSet permutations, IEnumerable<Tensor?> matrices)
    {
        Permutations = permutations;
        Matrices = [.. matrices.Select(matrix => matrix?.DetachFromDisposeScope())];
        var turns = permutations.Network.Turns;
        Guard.Require(
            Matrices.Length == turns.Length,
            $"network '{permutations.Network.Architecture.Name}': expected {turns.Length} matrices, found {Matrices.Length}");
        foreach (var (turn, matrix) in turns.Zip(Matrices))
            if (matrix is not null) Guard.Shape($"group '{turn.Name}'", matrix, turn.Copies, turn.Units / turn.Copies, turn.Units / turn.Copies);
    }

    /// <summary>What moves units, before the matrices.</summary>
    public PermutationSet Permutations { get; }

    /// <summary>The matrices, by the network's turns; null where units are not transformed.</summary>
    public ImmutableArray<Tensor?> Matrices { get; }

    /// <summary>Draws an element: permutations, and matrices of each group's class in double.</summary>
    /// <param name="network">The network.</param>
    /// <param name="seed">The seed.</param>
    /// <returns>The element.</returns>
    public static Transformation Random(Network network, long seed)
    {
        using var scope = NewDisposeScope();
        using var generator = Seeds.Generator(seed, "transformation");
        return new Transformation(
            PermutationSet.Random(network, seed),
            [
                .. network.Turns.Select(turn => (Tensor?)stack(
                    Enumerable.Range(0, turn.Copies).Select(_ => ClassMatrix.Draw(turn.Class, turn.Units / turn.Copies, generator)))),
            ]);
    }

    /// <summary>Transforms parameters.</summary>
    /// <param name="parameters">The parameters; left as they are.</param>
    /// <returns>New parameters, on the same device, that compute the same function up to rounding.</returns>
    public ParameterSet Apply(ParameterSet parameters)
    {
        using var quiet = no_grad();
        var result = Permutations.Apply(parameters);
        ApplyMatrices(result.Views);
        return result;
    }

    /// <summary>Transforms tensors of any floating type, one for each of the network's parameters, where they lie.</summary>
    /// <param name="parameters">The tensors; changed.</param>
    public void ApplyInPlace(IReadOnlyList<Tensor> parameters)
    {
        using var quiet = no_grad();
        Permutations.ApplyInPlace(parameters, _ => true);
        ApplyMatrices(parameters);
    }

    /// <summary>Frees the matrices.</summary>
    public void Dispose()
    {
        foreach (var matrix in Matrices) matrix?.Dispose();
    }

    private void ApplyMatrices(IReadOnlyList<Tensor> parameters)
    {
        foreach (var (turn, matrix) in Permutations.Network.Turns.Zip(Matrices))
        {
            if (matrix is null) continue;
            using var scope = NewDisposeScope();
            // In double: an inverse in single precision would be the largest of all roundings.
            var straight = matrix.to(ScalarType.Float64);
            var dual = turn.Class is SymmetryClass.Invertible or SymmetryClass.Pairs ? linalg.inv(straight).transpose(1, 2) : straight;
            foreach (var axis in turn.Axes)
            {
                var view = parameters[axis.Parameter];
                Turn(view, axis, (axis.IsDual ? dual : straight).to(view.dtype, view.device));
            }
        }
    }

    /// <summary>Multiplies the units of each copy by its matrix, where they lie.</summary>
    internal static void Turn(Tensor tensor, PermutedAxis axis, Tensor matrices)
    {
        using var scope = NewDisposeScope();
        Turn(tensor, tensor, axis, matrices);
    }

    /// <summary>The same in a copy, which gradients of the matrices go through.</summary>
    /// <returns>A new tensor, in the caller's dispose scope.</returns>
    internal static Tensor Turned(Tensor tensor, PermutedAxis axis, Tensor matrices)
    {
        var copy = tensor.clone();
        Turn(copy, tensor, axis, matrices);
        return copy;
    }

    private static void Turn(Tensor into, Tensor tensor, PermutedAxis axis, Tensor matrices)
    {
        var front = UnitView.Front(tensor, axis);
        UnitView.Front(into, axis).copy_(matrices.bmm(front.reshape([matrices.shape[0], matrices.shape[1], -1])).reshape(front.shape));
    }
}
