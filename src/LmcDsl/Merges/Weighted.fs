namespace LmcDsl

open LmcDsl.Core.Merging

/// The weighted mean (model soups, 2203.05482).
[<AutoOpen>]
module WeightedMerging =

    let private op = Merge.opOf<WeightedMerge> "mergeWeighted" 2

    /// The weighted mean with weights of its own.
    let weighted (options: WeightedMerge) : Merge = Merge.ofMethod "mean" op "weighted mean" options

    /// The mean, each model alike: what `mergeN` takes.
    let Mean = weighted (WeightedMerge([||]))
