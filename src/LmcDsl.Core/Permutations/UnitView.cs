using LmcDsl.Core.Architectures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Permutations;

/// <summary>A tensor seen by the units of a group, wherever in it they lie.</summary>
internal static class UnitView
{
    /// <summary>The units in front: <c>[copies..., units, everything else]</c>, a view of the tensor's own numbers.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="axis">Where the units lie.</param>
    /// <returns>The view, in the caller's dispose scope; entries along the axis that belong to other parts are left out.</returns>
    public static Tensor Front(Tensor tensor, PermutedAxis axis)
    {
        AxisView[] views = [.. axis.Copies, axis.View];
        var places = new int[views.Length];
        var (view, at) = (tensor, 0);
        for (var d = 0; d < tensor.dim(); d++)
        {
            var own = Enumerable.Range(0, views.Length).Where(k => views[k].Dimension == d).OrderByDescending(k => views[k].Block).ToArray();
            if (own.Length == 0)
            {
                at++;
                continue;
            }

            var first = views[own[0]];
            var sizes = new List<long> { first.Outer };
            for (var k = 0; k < own.Length; k++)
            {
                var next = views[own[k]];
                places[own[k]] = at + sizes.Count;
                sizes.Add(next.Units);
                sizes.Add(k + 1 < own.Length ? next.Block / views[own[k + 1]].Units / views[own[k + 1]].Block : next.Block);
            }

            view = view.narrow(at, first.Offset, first.Length).unflatten(at, [.. sizes]);
            at += sizes.Count;
        }

        return view.permute([.. places.Select(place => (long)place), .. Enumerable.Range(0, at).Except(places).Select(place => (long)place)]);
    }

    /// <summary>The units in front as a matrix: <c>[copies * units, everything else]</c>.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="axis">Where the units lie.</param>
    /// <returns>The matrix, in the caller's dispose scope; a copy where the units do not lie so.</returns>
    public static Tensor Matrix(Tensor tensor, PermutedAxis axis) => Front(tensor, axis).reshape([CountOf(axis), -1]);

    /// <summary>The number of units, in all copies.</summary>
    public static long CountOf(PermutedAxis axis) => axis.Copies.Aggregate((long)axis.Units, (product, copies) => product * copies.Units);

    /// <summary>Reorders the units where they lie.</summary>
    /// <param name="tensor">The tensor to change.</param>
    /// <param name="axis">Where the units lie.</param>
    /// <param name="permutation">Of all units in all copies; where there are copies, one that keeps each unit in its own.</param>
    public static void Permute(Tensor tensor, PermutedAxis axis, Permutation permutation)
    {
        if (axis.IsWhole)
        {
            permutation.ApplyInPlace(tensor, axis.Dimension, axis.Block);
            return;
        }

        if (permutation.IsIdentity) return;
        using var scope = NewDisposeScope();
        var front = Front(tensor, axis);
        var sources = Torch(permutation).to(tensor.device);
        front.copy_(front.reshape([CountOf(axis), -1]).index_select(0, sources).reshape(front.shape));
    }

    private static Tensor Torch(Permutation permutation) => tensor(permutation.Sources.Select(source => (long)source).ToArray());
}
