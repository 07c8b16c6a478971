namespace LmcDsl

open LmcDsl.Core.Matching

/// Matching of several models, each in turn to the mean of the others, by weight matching (Git Re-Basin, 2209.04836, algorithm 3).
[<AutoOpen>]
module MergeManySearch =

    let private op =
        JointSearch.op<MergeManyOptions> "mergeMany" 2 0.5 (fun options models tell ->
            MergeManyMatching.Match(models, options, null, tell))

    /// MergeMany with options of its own.
    let mergeMany (options: MergeManyOptions) : JointSearch =
        JointSearch.make "MergeMany" op (fun n -> $"match {n} models in turn") options

    /// MergeMany with its default options.
    let MergeMany = mergeMany (MergeManyOptions())
