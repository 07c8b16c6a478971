namespace LmcDsl

open LmcDsl.Core.Matching

/// Cycle-consistent matching of several models to a shared universe (C2M3, 2405.17897) by Frank-Wolfe, then polished by MergeMany.
[<AutoOpen>]
module UniverseSearch =

    let private op =
        JointSearch.op<UniverseMatchingOptions> "universeMatching" 2 0.5 (fun options models tell ->
            UniverseMatching.Match(models, options, tell))

    /// Universe matching with options of its own.
    let universe (options: UniverseMatchingOptions) : JointSearch =
        JointSearch.make "Universe" op (fun n -> $"match {n} models to a universe") options

    /// Universe matching with its default options.
    let Universe = universe (UniverseMatchingOptions())
