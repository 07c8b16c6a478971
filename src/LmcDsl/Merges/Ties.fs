namespace LmcDsl

open LmcDsl.Core.Merging

/// TIES (2306.01708): trim, elect a sign, average what agrees; the first model is the base.
[<AutoOpen>]
module TiesMerging =

    let private op = Merge.opOf<TiesMerge> "mergeTies" 1

    /// TIES with options of its own.
    let ties (options: TiesMerge) : Merge = Merge.ofMethod "TIES" op "TIES" options

    /// TIES with the largest fifth of each task vector.
    let TIES = ties (TiesMerge())
