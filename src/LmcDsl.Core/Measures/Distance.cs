using LmcDsl.Core.Architectures;
using static TorchSharp.torch;

namespace LmcDsl.Core.Measures;

/// <summary>The L2 distance between two models.</summary>
public static class Distance
{
    /// <summary>‖θa − θb‖₂ over all learned parameters; running statistics are left out.</summary>
    /// <param name="left">One model.</param>
    /// <param name="right">The other, of the same architecture.</param>
    /// <returns>The distance, accumulated in double.</returns>
    /// <exception cref="Runtime.LmcException">The models are of two architectures, or one has NaN or infinity; the line names the parameter.</exception>
    public static double L2(ParameterSet left, ParameterSet right)
    {
        ParameterSet.RequireSameArchitecture(left, right);
        using var scope = NewDisposeScope();
        var squared = InnerProduct.SquaredDistance(left.Learned(), right.Learned());
        if (double.IsFinite(squared)) return Math.Sqrt(squared); // float's squares do not overflow in double
        Overflow.Refuse(left, "distance: the first model");
        Overflow.Refuse(right, "distance: the second model");
        throw new Runtime.LmcException($"distance: expected a finite sum of squares, found {squared}");
    }
}
