namespace LmcDsl.Core.Architectures;

/// <summary>
/// The largest group of transformations of some units that a network's function does not notice. Each layer says what it carries over
/// (<see cref="Layer.Commutes"/>); labels that meet keep what both allow.
/// </summary>
public enum SymmetryClass
{
    /// <summary>Any invertible matrix, what reads the units taking its inverse: between two products, as within an attention head.</summary>
    Invertible,

    /// <summary>Any rotation or reflection: the residual stream between root-mean-square norms without gain.</summary>
    Orthogonal,

    /// <summary>Rotations that keep the vector of ones, and so each mean: the residual stream between layer norms without gain.</summary>
    Centred,

    /// <summary>Permutations and signs: root-mean-square norms with a gain for each unit.</summary>
    Signed,

    /// <summary>Permutations: whatever applies one function to each unit.</summary>
    Permutation,

    /// <summary>
    /// Units j and j + n/2 turned together by an angle and scaled: queries and keys with rotary positions. No permutation, but the identity,
    /// is one of these.
    /// </summary>
    Pairs,

    /// <summary>Nothing moves.</summary>
    Fixed,
}

/// <summary>How classes meet.</summary>
public static class SymmetryClasses
{
    /// <summary>The largest class of the library that lies within both.</summary>
    /// <param name="one">One class.</param>
    /// <param name="other">Another.</param>
    /// <returns>The class.</returns>
    public static SymmetryClass Meet(SymmetryClass one, SymmetryClass other)
    {
        if (one > other) (one, other) = (other, one);
        return (one, other) switch
        {
            (SymmetryClass.Centred, SymmetryClass.Signed) => SymmetryClass.Permutation,
            // Pairs are scaled, and turned: of the others none but the largest has that.
            (not SymmetryClass.Invertible, SymmetryClass.Pairs) when one != other => SymmetryClass.Fixed,
            _ => other,
        };
    }
}
