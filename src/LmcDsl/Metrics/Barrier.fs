namespace LmcDsl

open XPlot.Plotly
open LmcDsl.Core.Data
open LmcDsl.Core.Measures

/// A point of the line between two models.
[<RequireQualifiedAccess>]
type LinePoint =
    {
        /// Share of the first model.
        Lambda: float
        /// Loss in nats.
        Loss: float
        /// Share of examples that are classified rightly.
        Accuracy: float
    }

/// Scores along the line between two models, and how far they lie above or below the line between the ends' scores.
[<RequireQualifiedAccess>]
type LineScores =
    {
        /// The loss barrier in nats.
        Loss: float
        /// The accuracy barrier in percentage points.
        Accuracy: float
        /// The loss's excess at lambda = 1/2.
        MidpointLoss: float
        /// The accuracy's lack at lambda = 1/2, in percentage points.
        MidpointAccuracy: float
        /// The scores.
        Curve: LinePoint list
    }

/// Scores along the line between two models.
[<RequireQualifiedAccess>]
module internal LineScores =

    /// The point nearest to lambda = 1/2.
    let midpoint (scores: LineScores) : LinePoint = scores.Curve |> List.minBy (fun point -> abs (point.Lambda - 0.5))

    /// Something of the point halfway; nothing where it is none of the points, as of an even number of them.
    let halfway (number: LineScores -> float) (scores: LineScores) : float option =
        if abs ((midpoint scores).Lambda - 0.5) < 1e-9 then
            Some(number scores)
        else
            None

    /// The examples on which each point's statistics are recomputed, and how many of them; none where the arguments do not say so.
    let resetOn (context: OpContext) : (DataSplit | null) * int =
        match context.Args.TryItem "resetOn" with
        | Some examples -> Take.train context, examples.Int
        | None -> null, 0

    /// Scores on the split that the arguments name, on so many points; statistics of each point recomputed where they say so.
    let compute (context: OpContext) : LineScores =
        let points = context.Args["points"].Int
        let tell k = Take.tell context $"point {k}/{points}" (float k / float points)

        let data, examples = resetOn context

        let curve =
            Take.pairOnDevice context (fun a b -> Barrier.Along(a, b, Take.split context, points, tell, data, examples))

        {
            Loss = curve.Loss
            Accuracy = curve.Accuracy
            MidpointLoss = curve.MidpointLoss
            MidpointAccuracy = curve.MidpointAccuracy
            Curve = [ for p in curve.Points -> { Lambda = p.Lambda; Loss = p.Score.Loss; Accuracy = p.Score.Accuracy } ]
        }

    /// The arguments: how many points, and on how many examples their statistics are recomputed.
    let args (points: int) (population: Population) =
        ("points", Json.int (int64 points)) :: Population.resetOn population

    /// One line for each pair and state; pairs differ in dash, states in colour and marker.
    let draw id (caption: string) (yTitle: string) (value: LinePoint -> float) (rows: (Row * LineScores) list) =
        let shown, others = DrawRows.shown "lines" rows
        let all = List.map fst shown
        let variant = Report.variant all
        let pairs = all |> List.map _.Models |> List.distinct
        let colour = DrawRows.colours all >> fst

        let traces: Trace list =
            [
                for row, scores in shown ->
                    let models = String.concat "–" row.Models

                    Scatter(
                        x = [ for p in scores.Curve -> p.Lambda ],
                        y = [ for p in scores.Curve -> value p ],
                        mode = "lines",
                        name = $"{models} {variant row}",
                        line =
                            Line(
                                color = colour row,
                                width = 2.0,
                                dash = Draw.dash (List.findIndex ((=) row.Models) pairs)
                            )
                    )
            ]

        if traces.IsEmpty then
            []
        else
            [ Draw.figure id (caption + others) (Draw.layout "λ, share of the first model" yTitle) traces ]

/// The barrier on the test set.
[<AutoOpen>]
module BarrierMetric =

    let private measure = Measure.make "barrier" 1 LineScores.compute

    let private draw report =
        let rows = Measure.rows measure report

        [
            yield!
                LineScores.draw
                    "loss-along-line"
                    "Test loss along the straight line between two models, before and after alignment."
                    "test loss (nats)"
                    _.Loss
                    rows
            yield!
                LineScores.draw
                    "accuracy-along-line"
                    "Test accuracy along the same lines."
                    "test accuracy (%)"
                    (fun p -> 100.0 * p.Accuracy)
                    rows
        ]

    [<RequireQualifiedAccess>]
    module Quantity =

        /// The loss barrier on the test set.
        let lossBarrier = measure |> Measure.quantity "loss barrier" 3 _.Loss |> Quantity.inUnits "nats"

        /// The loss's excess at lambda = 1/2; nothing where that is none of the points.
        let midpointLoss =
            measure
            |> Measure.quantityWhere "excess loss at λ=1/2" 3 (LineScores.halfway _.MidpointLoss)
            |> Quantity.inUnits "nats"

        /// The loss's second derivative by lambda halfway, from the points nearest to a quarter, a half and three quarters.
        let curvature =
            let near at (scores: LineScores) = scores.Curve |> List.minBy (fun point -> abs (point.Lambda - at))

            measure
            |> Measure.quantityWhere "curvature at 1/2" 2 (fun scores ->
                let left, middle, right = near 0.25 scores, near 0.5 scores, near 0.75 scores
                let before, after = middle.Lambda - left.Lambda, right.Lambda - middle.Lambda

                if before <= 0.0 || after <= 0.0 then
                    None
                else
                    let slopes = (right.Loss - middle.Loss) / after - (middle.Loss - left.Loss) / before
                    Some(2.0 * slopes / (before + after)))
            |> Quantity.inUnits "nats"

        /// The accuracy barrier in percentage points.
        let accuracyBarrier = measure |> Measure.quantity "acc. barrier (pp)" 2 _.Accuracy

        /// The accuracy at lambda = 1/2 in per cent; nothing where that is none of the points.
        let midpointAccuracy =
            measure
            |> Measure.quantityWhere
                "acc. at λ=1/2 (%)"
                2
                (LineScores.halfway (fun scores -> 100.0 * (LineScores.midpoint scores).Accuracy))

        /// The loss barrier of the same models as trained.
        let naiveBarrier =
            Quantity.make "naive loss barrier" 3 (Measure.findNaive measure >> Option.map _.Loss)
            |> Quantity.inUnits "nats"

    let private onPoints =
        measure
        |> Metric.on Looks.pairs "barrier of" Metric.plain [
            Quantity.lossBarrier
            Quantity.midpointLoss
            Quantity.accuracyBarrier
            Quantity.midpointAccuracy
        ]
        |> Metric.lasting 3.5
        |> Metric.drawing draw

    /// Loss and accuracy barrier on the test set along the line between two models, on this many lambdas.
    let BarrierOnTest (points: int) : Metric =
        { onPoints with
            Args = fun population -> Metric.onTest (LineScores.args points population) population
        }

    /// The barrier on a grid of 25 lambdas.
    let Barrier = BarrierOnTest 25
