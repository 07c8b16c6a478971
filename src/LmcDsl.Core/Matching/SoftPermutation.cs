using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>Matrices in the place of permutations: what they do to the axes of parameters.</summary>
internal static class SoftPermutation
{
    /// <summary>Multiplies an axis by a matrix.</summary>
    /// <param name="matrix"><c>[units, units]</c>.</param>
    /// <param name="tensor">The parameter.</param>
    /// <param name="axis">Its axis.</param>
    /// <returns>The product, of the parameter's shape, in the caller's dispose scope.</returns>
    public static Tensor Apply(Tensor matrix, Tensor tensor, PermutedAxis axis)
    {
        if (!axis.IsWhole)
        {
            var result = tensor.clone();
            var units = UnitView.Front(result, axis);
            units.copy_(matrix.mm(units.reshape([matrix.shape[0], -1])).reshape(units.shape));
            return result;
        }

        var front = tensor.transpose(0, axis.Dimension);
        return matrix.mm(front.reshape([matrix.shape[0], -1])).reshape(front.shape).transpose(0, axis.Dimension);
    }

    /// <summary>Multiplies every axis of every learned parameter by its group's matrix.</summary>
    /// <param name="matrices">One for each group.</param>
    /// <param name="parameters">The parameters; left as they are.</param>
    /// <returns>New parameters; running statistics as they were.</returns>
    public static ParameterSet Apply(IReadOnlyList<Tensor> matrices, ParameterSet parameters)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var result = parameters.Clone();
        for (var g = 0; g < matrices.Count; g++)
        {
            foreach (var axis in parameters.Network.Groups[g].Axes)
            {
                if (!parameters.Network.Parameters[axis.Parameter].Learned) continue;
                using var inner = NewDisposeScope();
                result.Views[axis.Parameter].copy_(Apply(matrices[g], result.Views[axis.Parameter], axis));
            }
        }

        return result;
    }

    /// <summary>A parameter with the units of one axis in front: <c>[units, everything else]</c>.</summary>
    /// <param name="tensor">The parameter.</param>
    /// <param name="axis">Its axis.</param>
    /// <returns>The matrix, in the caller's dispose scope.</returns>
    public static Tensor ByUnit(Tensor tensor, PermutedAxis axis)
    {
        if (!axis.IsWhole) return UnitView.Matrix(tensor, axis);
        var units = tensor.shape[axis.Dimension] / axis.Block;
        return tensor.transpose(0, axis.Dimension).reshape([units, -1]);
    }
}
