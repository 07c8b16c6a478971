namespace LmcDsl

open LmcDsl.Core.Matching

/// The straight-through estimator (Git Re-Basin, 2209.04836, algorithm 2), on training examples.
[<AutoOpen>]
module StraightThroughSearch =

    let private op =
        Search.opOnTraining<StraightThroughOptions> "straightThrough" 3 8.0 (fun context options a b start ->
            StraightThrough.Match(a, b, Take.split context, options, start, Search.leastLoss context))

    /// The straight-through estimator with options of its own.
    let straightThrough (options: StraightThroughOptions) : Search =
        Search.make "STE" op "straight-through search of" options |> Search.onTraining

    /// The straight-through estimator with its default options.
    let STE = straightThrough (StraightThroughOptions())
