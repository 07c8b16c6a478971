using System.Runtime.InteropServices;
using LmcDsl.Core.Architectures;
using LmcDsl.Core.Permutations;
using LmcDsl.Core.Solvers;
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

    /// <summary>Multiplies every axis of every learned parameter by the matrix of its group, of the innermost where several move it.</summary>
    /// <param name="matrices">One for each group, over all units; of units within copies it moves the copies as well.</param>
    /// <param name="parameters">The parameters; left as they are.</param>
    /// <returns>New parameters; running statistics as they were.</returns>
    public static ParameterSet Apply(IReadOnlyList<Tensor> matrices, ParameterSet parameters)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var result = parameters.Clone();
        for (var g = 0; g < matrices.Count; g++)
        {
            foreach (var axis in parameters.Network.InnermostAxes[g])
            {
                if (!parameters.Network.Parameters[axis.Parameter].Learned) continue;
                using var inner = NewDisposeScope();
                result.Views[axis.Parameter].copy_(Apply(matrices[g], result.Views[axis.Parameter], axis));
            }
        }

        return result;
    }

    /// <summary>The permutations of whose matrices the inner products with some matrices sum to most.</summary>
    /// <param name="network">The network.</param>
    /// <param name="matrices">One for each group.</param>
    /// <param name="units">What 1 in each group's matrix stands for, beside the groups around and within it; 1 where nothing is given.</param>
    /// <returns>One permutation for each group; units within copies follow their copies.</returns>
    public static Permutation[] Nearest(Network network, IReadOnlyList<Tensor> matrices, Func<int, double>? units = null)
    {
        var found = new Permutation?[matrices.Count];
        foreach (var root in Enumerable.Range(0, matrices.Count).Where(g => network.Groups[g].Parent < 0))
        {
            int[] within = [.. Enumerable.Range(0, matrices.Count).Where(g => g != root && network.Around(g).First() == root)];
            if (within.Length == 0)
            {
                found[root] = new Permutation(LinearAssignment.Minimize(Costs(root), network.Groups[root].Units).Columns);
                continue;
            }

            var answers = new Dictionary<int, Permutation>();
            var most = units is null ? 1 : within.Append(root).Max(units);
            int[] all = [root, .. within];
            new NestedAssignment(network, all.ToDictionary(g => g, g => (float[]?)Costs(g, units is null ? 1 : units(g) / most))).Minimize(answers);
            foreach (var (g, answer) in answers) found[g] = answer;
        }

        return found!;

        float[] Costs(int g, double unit = 1)
        {
            using var scope = NewDisposeScope();
            var cost = matrices[g].neg();
            if (unit != 1) cost.mul_(unit);
            return MemoryMarshal.Cast<byte, float>(cost.cpu().contiguous().bytes).ToArray();
        }
    }

    /// <summary>A permutation as a matrix.</summary>
    /// <param name="permutation">The permutation.</param>
    /// <param name="device">Where the matrix lies.</param>
    /// <returns>The matrix, <c>[units, units]</c>, in the caller's dispose scope.</returns>
    public static Tensor Matrix(Permutation permutation, Device device) =>
        eye(permutation.Count, device: device)[tensor(permutation.Sources.ToArray(), ScalarType.Int64)];

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
