namespace LmcDsl

open XPlot.Plotly
open LmcDsl.Core.Runtime
open LmcDsl.Core.Training

/// What the curve of a training is stored as, an epoch after another: mean loss in nats, share of examples classified rightly, learning rate.
module TrainingCurveValue =

    type Epoch = { Loss: float; Accuracy: float; LearningRate: float }

    type Curve = { Epochs: Epoch list }

/// Loss and accuracy of each epoch of a training, on the batches as they were learned from. Training keeps them beside the model at no cost.
[<AutoOpen>]
module TrainingCurveMetric =

    open TrainingCurveValue

    // Nothing is computed: a training puts this value into the store before its model.
    let private measure: Measure<Curve> =
        Measure.make "trainingCurve" 1 (fun _ ->
            raise (
                LmcException
                    "expected the curve that a training keeps beside its model, found none: the model is of an earlier version, or was begun by one; take it out of the store (`lmc store list` has its key) to train it again"
            ))

    [<RequireQualifiedAccess>]
    module Quantity =

        /// The mean training loss of the last epoch.
        let lastTrainingLoss =
            measure
            |> Measure.quantity "training loss of the last epoch" 4 (fun curve -> (List.last curve.Epochs).Loss)
            |> Quantity.inUnits "nats"

        /// The training accuracy of the last epoch, in per cent.
        let lastTrainingAccuracy =
            measure
            |> Measure.quantity "training accuracy of the last epoch (%)" 2 (fun curve ->
                100.0 * (List.last curve.Epochs).Accuracy)

    let private title (row: Row) =
        match row.Labels with
        | [] -> String.concat ", " row.Models
        | labels -> String.concat ", " (row.Models @ List.map snd labels)

    let private chart id caption axis (value: Epoch -> float) (rows: (Row * Curve) list) =
        let shown, others = DrawRows.shown "trainings" rows

        let traces: Trace list =
            [
                for k, (row, curve) in List.indexed shown do
                    let points = curve.Epochs |> List.mapi (fun epoch scores -> float (epoch + 1), value scores)

                    Scatter(
                        x = List.map fst points,
                        y = List.map snd points,
                        mode = (if points.Length = 1 then "markers" else "lines+markers"),
                        name = title row,
                        showlegend = true,
                        line =
                            Line(color = fst (Draw.colour k), width = 1.6, dash = Draw.dash (k / Draw.palette.Length)),
                        marker = Marker(size = 4.0)
                    )
            ]

        let layout = Draw.layout "epoch" axis
        let longest = shown |> List.map (fun (_, curve) -> curve.Epochs.Length) |> List.max
        layout.xaxis.dtick <- max 1.0 (ceil (float longest / 10.0))
        layout.xaxis.tick0 <- 0.0
        Draw.figure id (caption + others) layout traces

    /// Loss and accuracy by epoch of trainings, one line each.
    let internal figuresOf (rows: (Row * Curve) list) : Figure list =
        if rows.IsEmpty then
            []
        else
            [
                chart
                    "training-loss"
                    "Training loss of each epoch, on the batches as they were learned from."
                    "training loss (nats)"
                    _.Loss
                    rows
                chart
                    "training-accuracy"
                    "Training accuracy of each epoch, likewise."
                    "training accuracy (%)"
                    (fun epoch -> 100.0 * epoch.Accuracy)
                    rows
            ]

    /// A training's curve as the value of a step.
    let internal curveValue (epochs: EpochScore seq) : Value =
        {
            Epochs = [ for e in epochs -> { Loss = e.Loss; Accuracy = e.Accuracy; LearningRate = e.LearningRate } ]
        }
        |> Json.ofValue
        |> Document

    /// The operation of curves.
    let internal curveOp: Op = measure.Op

    /// The step that holds the curve of a training.
    let internal curveOf (training: Node) : Node = Plan.beside curveOp training

    /// A curve from its value.
    let internal curveOfJson (json: Json) : Curve = Measure.read measure json

    /// Loss and accuracy of each epoch of the members' trainings.
    let Curves =
        measure
        |> Metric.on Looks.models "curve of training" Metric.plain [
            Quantity.lastTrainingLoss
            Quantity.lastTrainingAccuracy
        ]
        |> Metric.called "curves"
        |> Metric.drawing (Measure.rows measure >> figuresOf)
