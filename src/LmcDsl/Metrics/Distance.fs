namespace LmcDsl

open LmcDsl.Core.Measures

/// The L2 distance over all learned parameters.
[<AutoOpen>]
module DistanceMetric =

    let private measure = Measure.make "distance" 1 (fun context -> {| L2 = Take.pair context |> Distance.L2 |})

    [<RequireQualifiedAccess>]
    module Quantity =

        /// The L2 distance.
        let l2 = measure |> Measure.quantity "L2" 2 _.L2

        /// The L2 distance of the same models as trained.
        let l2Before = Quantity.make "L2 before" 2 (Measure.findNaive measure >> Option.map _.L2)

        /// How much alignment lowers the L2 distance, in per cent.
        let reduction =
            Quantity.make "L2 drop (%)" 2 (fun subject ->
                match subject.Aligned, Measure.findNaive measure subject, Measure.find measure subject with
                | true, Some before, Some after when before.L2 > 0.0 -> Some(100.0 * (1.0 - after.L2 / before.L2))
                | _ -> None)

    /// The L2 distance, and how much alignment lowers it.
    let L2 =
        measure
        |> Metric.on Looks.pairs "L2 of" Metric.plain [ Quantity.l2; Quantity.reduction ]
        |> Metric.called "l2"
