using LmcDsl.Core.Runtime;
using static TorchSharp.torch;

namespace LmcDsl.Core.Checkpoints;

/// <summary>Numbers rounded to the type in which they are stored, where that type has them.</summary>
internal static class Narrowing
{
    /// <summary>Rounds numbers.</summary>
    /// <param name="entry">The tensor that they are stored as.</param>
    /// <param name="numbers">The numbers, in a type that holds more.</param>
    /// <param name="path">The file whose types are kept, for messages.</param>
    /// <returns>The numbers in the type of the entry, in the caller's dispose scope.</returns>
    /// <exception cref="LmcException">
    /// The type is of whole numbers and these are not, or they are beyond its range: no infinity is made, nothing is cut.
    /// </exception>
    public static Tensor To(TensorEntry entry, Tensor numbers, string path)
    {
        var where = $"{path}: tensor '{Excerpt.Of(entry.Name)}'";
        Guard.Require(numbers.isfinite().all().item<bool>(), $"{where}: expected finite numbers to write, found NaN or infinity");
        var narrow = numbers.to(entry.Type.Carrier);
        if (entry.Type.IsWhole)
            Guard.Require(
                IsSame(numbers, narrow),
                $"{where}: expected whole numbers of {entry.Type} to write, found others, as a mean is (put a model first whose tensors are floating-point numbers)");
        else
            Guard.Require(
                narrow.isfinite().all().item<bool>(),
                $"{where}: expected numbers within {entry.Type}, found up to {numbers.abs().max().ToDouble().ToString("g6", System.Globalization.CultureInfo.InvariantCulture)} (put a model first whose tensors are of a wider type)");
        return narrow;
    }

    // Beyond a type's range a conversion to whole numbers gives any number, which is another one.
    private static bool IsSame(Tensor numbers, Tensor narrow)
    {
        using var scope = NewDisposeScope();
        return numbers.to(ScalarType.Float64).eq(narrow.to(ScalarType.Float64)).all().item<bool>();
    }
}
