namespace LmcDsl

open LmcDsl.Core.Measures

/// The Taylor estimate of the loss barrier at the midpoint (2402.04051), on the test set.
[<AutoOpen>]
module TaylorMetric =

    let private measure =
        Measure.make "taylor" 1 (fun context ->
            let tell = Take.tell context "second derivatives"

            let found =
                Take.pairOnDevice context (fun a b ->
                    TaylorEstimate.AtMidpoint(a, b, Take.split context, progress = tell))

            {|
                Estimate = found.Estimate
                FirstOrder = found.FirstOrder
                SecondOrder = found.SecondOrder
            |})

    [<RequireQualifiedAccess>]
    module Quantity =

        /// The Taylor estimate of the loss barrier at lambda = 1/2.
        let taylor = measure |> Measure.quantity "Taylor" 3 _.Estimate |> Quantity.inUnits "nats"

    /// What the expansion of the loss to second order says of the barrier. Far dearer than other metrics: at aligned models only, where
    /// there are any.
    let Taylor =
        measure
        |> Metric.on Looks.pairsAtEnd "Taylor estimate of" (Metric.onTest []) [ Quantity.taylor ]
        |> Metric.lasting 20.0
