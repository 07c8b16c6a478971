using LmcDsl.Core.Architectures;
using LmcDsl.Core.Measures;
using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Matching;

/// <summary>
/// Powers of two by which the parameters of two models are brought to about 1 before they are multiplied, where their products would
/// leave what float32 holds. A group's costs then are counted in a unit of the group's own, which its assignment does not see: powers of
/// two round nothing, so the answer is that of exact exponents. Where no group's products leave the range nothing is scaled.
/// </summary>
internal sealed class MatchingScale
{
    // Factors that float32 holds.
    private const int MostShift = 126;

    private readonly Network network;
    private readonly int lowest;
    private readonly int highest;
    private readonly int?[] left; // exponent of each parameter's greatest number; none where it is all zero
    private readonly int?[] right;
    private readonly int?[] unit; // of each group: the exponent of its unit, where it is scaled

    /// <summary>Looks at the sizes of two models' learned parameters.</summary>
    /// <param name="a">The left factor.</param>
    /// <param name="b">The right factor; a permutation of its units changes nothing here.</param>
    /// <param name="lowest">The least exponent that the greatest product of a group's parameters may have unscaled.</param>
    /// <param name="highest">The greatest one.</param>
    /// <exception cref="LmcException">A parameter has NaN or infinity; the line names it.</exception>
    public MatchingScale(ParameterSet a, ParameterSet b, int lowest = -60, int highest = 40)
    {
        (network, this.lowest, this.highest) = (a.Network, lowest, highest);
        (left, right) = (new int?[a.Views.Count], Exponents(b, "the model to align"));
        unit = new int?[network.Groups.Length];
        LeftChanged(a);
    }

    /// <summary>Takes note that the left model's numbers have changed.</summary>
    /// <param name="a">The left model.</param>
    public void LeftChanged(ParameterSet a)
    {
        Exponents(a, "the reference model").CopyTo(left, 0);
        for (var g = 0; g < unit.Length; g++)
        {
            int? top = null;
            foreach (var axis in network.Groups[g].Axes)
                if (left[axis.Parameter] + right[axis.Parameter] is { } product && !(product <= top)) top = product;
            unit[g] = top < lowest || top > highest ? top : null;
        }
    }

    /// <summary>Whether a group's costs are counted in a unit of their own.</summary>
    /// <param name="group">The group.</param>
    public bool IsScaled(int group) => unit[group] is not null;

    /// <summary>What 1 in a group's costs stands for.</summary>
    /// <param name="group">The group.</param>
    /// <returns>A power of two; 1 where the group is not scaled.</returns>
    public double Unit(int group) => Math.ScaleB(1, unit[group] ?? 0);

    /// <summary>The share of a parameter's product in a group's costs, once both factors are scaled.</summary>
    /// <param name="group">The group.</param>
    /// <param name="parameter">The parameter.</param>
    /// <returns>A power of two; 0 where next to another parameter of the group it counts for nothing in float32.</returns>
    public double Share(int group, int parameter)
    {
        if (unit[group] is not { } top) return 1;
        if (left[parameter] is not { } one || right[parameter] is not { } other) return 0;
        // What the factors' own shifts leave over belongs to the product.
        var exponent = Math.Clamp(one, -MostShift, MostShift) + Math.Clamp(other, -MostShift, MostShift) - top;
        return exponent < -MostShift ? 0 : Math.ScaleB(1, exponent);
    }

    /// <summary>The left model's numbers, scaled for a group.</summary>
    /// <param name="group">The group.</param>
    /// <param name="parameter">The parameter that they are of.</param>
    /// <param name="values">The numbers.</param>
    /// <returns>A tensor in the caller's dispose scope; the same one where the group is not scaled.</returns>
    public Tensor Left(int group, int parameter, Tensor values) => Scaled(group, left[parameter], values);

    /// <summary>As <see cref="Left"/>, of the right model.</summary>
    /// <param name="group">The group.</param>
    /// <param name="parameter">The parameter that they are of.</param>
    /// <param name="values">The numbers.</param>
    /// <returns>A tensor in the caller's dispose scope; the same one where the group is not scaled.</returns>
    public Tensor Right(int group, int parameter, Tensor values) => Scaled(group, right[parameter], values);

    private Tensor Scaled(int group, int? exponent, Tensor values) =>
        unit[group] is null || exponent is null ? values : values * Math.ScaleB(1, -Math.Clamp(exponent.Value, -MostShift, MostShift));

    private static int?[] Exponents(ParameterSet model, string what)
    {
        var found = new int?[model.Views.Count];
        for (var p = 0; p < found.Length; p++)
        {
            var spec = model.Network.Parameters[p];
            if (!spec.Learned) continue;
            var size = Magnitude.Of(model.Views[p]);
            Guard.Require(
                float.IsFinite(size), $"weight matching: {what} has NaN or infinity in '{spec.Name}', expected finite numbers");
            if (size > 0) found[p] = Math.ILogB(size);
        }

        return found;
    }
}
