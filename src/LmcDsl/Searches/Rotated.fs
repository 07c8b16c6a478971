namespace LmcDsl

open LmcDsl.Core.Matching

/// Weight matching over all symmetries of a network: permutations, and rotations where nothing forbids them, as in transformers.
[<AutoOpen>]
module RotatedSearch =

    let private op =
        Search.op<RotatedMatchingOptions> "rotatedMatching" 1 2.0 (fun context options a b _ ->
            RotatedMatching.Match(a, b, options, Search.passes context))

    /// Rotated weight matching with options of its own.
    let rotatedMatching (options: RotatedMatchingOptions) : Search =
        Search.make "RotatedWM" op "match weights over all symmetries of" options |> Search.turning

    /// Weight matching over permutations of units and heads, and rotations of the residual stream and within heads. Of networks that have
    /// permutations only, weight matching.
    let RotatedWM = rotatedMatching (RotatedMatchingOptions())
