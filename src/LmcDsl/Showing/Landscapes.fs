namespace LmcDsl

/// Landscapes of a report, as pictures.
[<RequireQualifiedAccess>]
module Landscapes =

    let private numbers (json: Json) = [ for item in json.Items -> item.Float ]

    /// One picture of the test accuracy for each row: the plane through three models, with their places and that of their mean.
    let figures (report: Report) : Figure list =
        let rows = (Report.sound report).Rows |> List.filter (fun row -> row.Measure = "landscape")

        let variantOf = Report.variant rows

        [
            for row in rows do
                let variant = variantOf row
                let models = row.Value["models"].Items |> List.map (fun p -> p["x"].Float, p["y"].Float)
                let places = List.zip [ "a"; "b"; "c" ] models |> List.map (fun (name, (x, y)) -> name, x, y)
                let mean = "mean", List.averageBy fst models, List.averageBy snd models
                let accuracy = [ for line in row.Value["accuracy"].Items -> numbers line |> List.map ((*) 100.0) ]
                let x, y = numbers row.Value["x"], numbers row.Value["y"]
                let caption = $"Test accuracy over the plane through three models, {variant}."
                let marks = places @ [ (let name, x, y = mean in name, x, y) ]
                Draw.contour $"landscape-{Draw.slug variant}" caption "accuracy (%)" x y accuracy marks
        ]

    /// The accuracy at the grid's point nearest to the mean of the three models, in per cent, beside that at the models' own nearest:
    /// rows of the measure `landscapeCentre`.
    let centres (report: Report) : Report =
        {
            Rows =
                [
                    for row in (Report.sound report).Rows do
                        if row.Measure = "landscape" then
                            let models = row.Value["models"].Items |> List.map (fun p -> p["x"].Float, p["y"].Float)
                            let x, y = numbers row.Value["x"], numbers row.Value["y"]

                            let nearest (grid: float list) at =
                                grid |> List.indexed |> List.minBy (fun (_, g) -> abs (g - at)) |> fst

                            let at (u, v) = row.Value["accuracy"].Items[nearest y v].Items[nearest x u].Float * 100.0

                            { row with
                                Measure = "landscapeCentre"
                                Value =
                                    Json.Object [
                                        "mean", Json.float (at (List.averageBy fst models, List.averageBy snd models))
                                        "models", Json.float (models |> List.averageBy at)
                                    ]
                            }
                ]
        }
