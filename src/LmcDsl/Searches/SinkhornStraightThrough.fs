namespace LmcDsl

open LmcDsl.Core.Matching

/// The straight-through estimator over Sinkhorn logits (the loss objective of 2212.12042), on training examples: it begins at the identity
/// and never looks at the distance of weights.
[<AutoOpen>]
module SinkhornStraightThroughSearch =

    let private op =
        Search.opOnTraining<SinkhornStraightThroughOptions>
            "sinkhornStraightThrough"
            2
            8.0
            (fun context options a b start ->
                SinkhornStraightThrough.Match(a, b, Take.split context, options, start, Search.leastLoss context))

    /// The search with options of its own.
    let sinkhornStraightThrough (options: SinkhornStraightThroughOptions) : Search =
        Search.make "Sinkhorn STE" op "straight-through Sinkhorn search of" options |> Search.onTraining

    /// The search with its default options.
    let SinkhornSTE = sinkhornStraightThrough (SinkhornStraightThroughOptions())
