namespace LmcDsl

open LmcDsl.Core.Matching

/// Weight matching by mean-field annealing (graduated assignment, Gold and Rangarajan 1996) and by coordinate descent, the better of both.
[<AutoOpen>]
module AnnealedSearch =

    let private op =
        Search.op<AnnealedMatchingOptions> "annealedMatching" 2 2.0 (fun context options a b start ->
            AnnealedMatching.Match(a, b, options, start, Search.passes context))

    /// Annealed matching with options of its own.
    let annealedMatching (options: AnnealedMatchingOptions) : Search =
        Search.make "annealed WM" op "match weights by annealing of" options

    /// Weight matching that ends nearer than `WM`, for a few times its time: never farther than `OutwardWM`, or than `WM` from a start that is told.
    let AnnealedWM = annealedMatching (AnnealedMatchingOptions())
