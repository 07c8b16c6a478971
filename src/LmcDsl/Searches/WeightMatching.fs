namespace LmcDsl

open LmcDsl.Core.Matching

/// Weight matching by coordinate descent (Git Re-Basin, 2209.04836).
[<AutoOpen>]
module WeightMatchingSearch =

    let private op =
        Search.op<WeightMatchingOptions> "weightMatching" 2 0.5 (fun context options a b start ->
            if context.OwnsInputs && options.Starts = 1 then
                WeightMatching.MatchInPlace(a, b, options, start, Search.passes context)
            else
                WeightMatching.Match(a, b, options, start, Search.passes context))

    /// Weight matching with options of its own.
    let weightMatching (options: WeightMatchingOptions) : Search = Search.make "WM" op "match weights of" options

    /// Weight matching with its default options.
    let WM = weightMatching (WeightMatchingOptions())

    /// Weight matching that begins where each group was matched once, from what is fixed outwards, on what was decided before it: nearer than
    /// `WM` on each pair of the bench, most in networks with residual sums, in about its time.
    let OutwardWM = Search.make "outward WM" op "match weights outwards of" (WeightMatchingOptions(Outward = true))
