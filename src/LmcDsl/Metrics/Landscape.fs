namespace LmcDsl

open LmcDsl.Core.Runtime
open LmcDsl.Core.Measures

/// What a landscape is stored as: places of the models, the grid, and scores by row.
module LandscapeValue =

    type Place = { X: float; Y: float }

    type Plane =
        {
            Models: Place list
            X: float list
            Y: float list
            Loss: float list list
            Accuracy: float list list
        }

    /// The mean of the models' places.
    let mean (plane: Plane) : Place =
        {
            X = plane.Models |> List.averageBy _.X
            Y = plane.Models |> List.averageBy _.Y
        }

    /// Accuracy, in per cent, at the grid's point nearest to a place.
    let accuracyAt (plane: Plane) (place: Place) : float =
        let nearest (grid: float list) at = grid |> List.indexed |> List.minBy (fun (_, g) -> abs (g - at)) |> fst
        100.0 * plane.Accuracy[nearest plane.Y place.Y].[nearest plane.X place.X]

/// Scores over the plane through three models, on the test set.
[<AutoOpen>]
module LandscapeMetric =

    open LandscapeValue

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

                let rows value =
                    found.Scores |> Seq.map value |> Seq.chunkBySize points |> Seq.map List.ofArray |> List.ofSeq

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
        let centreAccuracy =
            measure |> Measure.quantity "at their mean (%)" 2 (fun plane -> accuracyAt plane (mean plane))

        /// The accuracy at the points nearest to the models, in per cent; their mean.
        let cornerAccuracy =
            measure
            |> Measure.quantity "at the models (%)" 2 (fun plane -> plane.Models |> List.averageBy (accuracyAt plane))

    [<RequireQualifiedAccess>]
    module Landscapes =

        /// One picture of the test accuracy for each row: the plane through three models, with their places and that of their mean.
        let figures (report: Report) : Figure list =
            let rows = Measure.rows measure report
            let variantOf = Report.variant (List.map fst rows)

            [
                for row, plane in rows do
                    let variant = variantOf row
                    let places = List.zip [ "a"; "b"; "c"; "mean" ] (plane.Models @ [ mean plane ])
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
        // Where statistics are mixed, no variance is below the models' least, which was not always so.
        let mixed (population: Population) =
            if population.ResetOn.IsSome then [] else [ "variances", Json.Text "least" ]

        { on with
            Args = fun population -> Metric.onTest (LineScores.args points population @ mixed population) population
        }

    /// The same on 11 x 11 points.
    let LandscapePlane = LandscapeOnTest 11
