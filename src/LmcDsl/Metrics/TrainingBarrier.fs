namespace LmcDsl

/// The barrier on the training set.
[<AutoOpen>]
module TrainingBarrierMetric =

    let private measure = Measure.make "trainingBarrier" 1 LineScores.compute

    [<RequireQualifiedAccess>]
    module Quantity =

        /// The loss barrier on the training set.
        let trainingBarrier = measure |> Measure.quantity "training loss barrier" 3 _.Loss |> Quantity.inUnits "nats"

        /// The training loss's excess at lambda = 1/2.
        let trainingMidpoint =
            measure
            |> Measure.quantityWhere "excess training loss at λ=1/2" 3 (LineScores.halfway _.MidpointLoss)
            |> Quantity.inUnits "nats"

    let private onPoints =
        measure
        |> Metric.on Looks.pairs "training barrier of" Metric.plain [
            Quantity.trainingBarrier
            measure |> Measure.quantity "training acc. barrier (pp)" 2 _.Accuracy
        ]
        |> Metric.called "training-barrier"
        |> Metric.lasting 20.0
        |> Metric.drawing (
            Measure.rows measure
            >> LineScores.draw
                "training-loss-along-line"
                "Training loss along the straight line between two models, before and after alignment."
                "training loss (nats)"
                _.Loss
        )

    /// Loss and accuracy barrier on the training set, on this many lambdas.
    let BarrierOnTraining (points: int) : Metric =
        { onPoints with
            Args = fun population -> Metric.onTraining (LineScores.args points population) population
        }

    /// The barrier on the training set on a grid of 25 lambdas.
    let TrainingBarrier = BarrierOnTraining 25
