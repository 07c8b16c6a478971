namespace LmcDsl

open LmcDsl.Core.Merging

/// DARE (2311.03099): drop at random and rescale; the first model is the base.
[<AutoOpen>]
module DareMerging =

    let private op = Merge.opOf<DareMerge> "mergeDare" 1

    /// DARE with options of its own.
    let dare (options: DareMerge) : Merge =
        Merge.ofMethod (if options.Elect then "DARE TIES" else "DARE") op "DARE" options

    /// DARE with half of each task vector, and the mean of what is left.
    let DARE = dare (DareMerge())

    /// DARE with half of each task vector, and TIES of what is left.
    let DareTIES = dare (DareMerge(Elect = true))
