namespace LmcDsl

open LmcDsl.Core.Runtime
open LmcDsl.Core.Measures

/// Scores over the plane through three models, on the test set.
[<AutoOpen>]
module LandscapeMetric =

    type private Place = { X: float; Y: float }

    type private Plane =
        {
            Models: Place list
            X: float list
            Y: float list
            Loss: float list list
            Accuracy: float list list
        }

        member this.Mean = { X = this.Models |> List.averageBy _.X; Y = this.Models |> List.averageBy _.Y }

        // Accuracy, in per cent, at the grid's point nearest to a place.
        member this.AccuracyAt(place: Place) =
            let nearest (grid: float list) at = grid |> List.indexed |> List.minBy (fun (_, g) -> abs (g - at)) |> fst
            100.0 * this.Accuracy[nearest this.Y place.Y].[nearest this.X place.X]

    let private compute context =
        match Value.models context |> List.map (Take.onDevice context) with
        | [ a; b; c ] as models ->
            try
                let tell = Take.tell context "points of the plane"
                let points = context.Args["points"].Int

                let data, examples = LineScores.resetOn context

                let found =
                    Landscape.Over(
                        a,
                        b,
                        c,
                        Take.split context,
                        points,
                        progress = tell,
                        resetOn = data,
                        resetExamples = examples
                    )

                let rows value = found.Scores |> Seq.map value |> Seq.chunkBySize points |> Seq.map List.ofArray |> List.ofSeq

                {
                    Models = [ for p in found.Models -> { X = p.X; Y = p.Y } ]
                    X = List.ofSeq found.X
                    Y = List.ofSeq found.Y
                    Loss = rows _.Loss
                    Accuracy = rows _.Accuracy
                }
            finally
                for model in models do
                    model.Dispose()
        | others -> raise (LmcException $"landscape: expected 3 models, found {others.Length}")

    let private measure = Measure.make "landscape" 1 compute

    [<RequireQualifiedAccess>]
    module Quantity =

        /// The accuracy at the grid's point nearest to the mean of the three models, in per cent.
        let centreAccuracy = measure |> Measure.quantity "at their mean (%)" 2 (fun plane -> plane.AccuracyAt plane.Mean)

        /// The accuracy at the points nearest to the models, in per cent; their mean.
        let cornerAccuracy =
            measure
            |> Measure.quantity "at the models (%)" 2 (fun plane -> plane.Models |> List.averageBy plane.AccuracyAt)

    [<RequireQualifiedAccess>]
    module Landscapes =

        /// One picture of the test accuracy for each row: the plane through three models, with their places and that of their mean.
        let figures (report: Report) : Figure list =
            let rows = Measure.rows measure report
            let variantOf = Report.variant (List.map fst rows)

            [
                for row, plane in rows do
                    let variant = variantOf row
                    let places = List.zip [ "a"; "b"; "c"; "mean" ] (plane.Models @ [ plane.Mean ])
                    let accuracy = plane.Accuracy |> List.map (List.map ((*) 100.0))
                    let caption = $"Test accuracy over the plane through three models, {variant}."
                    let marks = [ for name, place in places -> name, place.X, place.Y ]
                    Draw.contour $"landscape-{Draw.slug variant}" caption "accuracy (%)" plane.X plane.Y accuracy marks
            ]

    let private on =
        measure
        |> Metric.on Looks.three "landscape," Metric.plain [ Quantity.cornerAccuracy; Quantity.centreAccuracy ]
        |> Metric.lasting 20.0
        |> Metric.drawing Landscapes.figures

    /// Scores over the plane through three models, on a grid of this many points on each side.
    let LandscapeOnTest (points: int) : Metric =
        { on with Args = fun population -> Metric.onTest (LineScores.args points population) population }

    /// The same on 11 x 11 points.
    let LandscapePlane = LandscapeOnTest 11
