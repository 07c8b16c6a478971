namespace LmcDsl

open XPlot.Plotly

/// The figures that every report with rows for them has.
[<RequireQualifiedAccess>]
module Figures =

    // Strong and pale colour of each variant among some rows.
    let private colours (rows: Row list) =
        let variants = rows |> List.filter _.Aligned |> List.map (Report.variant rows) |> List.distinct

        fun (row: Row) ->
            if row.Aligned then
                Draw.colour (variants |> List.findIndex ((=) (Report.variant rows row)))
            else
                Draw.naive

    let private pairName (models: string list) = String.concat "–" models

    // One line for each pair and state; pairs differ in dash, states in colour and marker.
    let private along id caption yTitle (value: Json -> float) (report: Report) =
        let rows = report.Rows |> List.filter (fun row -> row.Measure = "barrier")
        let pairs = rows |> List.map _.Models |> List.distinct
        let colour = colours rows >> fst

        let traces: Trace list =
            [
                for row in rows ->
                    let pair = pairs |> List.findIndex ((=) row.Models)
                    let points = row.Value["curve"].Items

                    Scatter(
                        x = [ for p in points -> p["lambda"].Float ],
                        y = [ for p in points -> value p ],
                        mode = "lines",
                        name = $"{pairName row.Models} {Report.variant rows row}",
                        line = Line(color = colour row, width = 2.0, dash = Draw.dash pair)
                    )
            ]

        if traces.IsEmpty then
            None
        else
            Some(Draw.figure id caption (Draw.layout "λ, share of the first model" yTitle) traces)

    let private loss =
        along
            "loss-along-line"
            "Test loss along the straight line between two models, before and after alignment."
            "test loss (nats)"
            (fun p -> p["loss"].Float)

    let private accuracy =
        along "accuracy-along-line" "Test accuracy along the same lines." "test accuracy (%)" (fun p ->
            100.0 * p["accuracy"].Float)

    // Mean over the pairs of members, by layer.
    let private byLayer (report: Report) =
        let rows =
            report.Rows
            |> List.filter (fun row -> row.Measure = "singularVectors" && not (List.contains "mean" row.Models))

        let gammas =
            rows
            |> List.collect (fun row -> [ for t in row.Value["thresholds"].Items -> t["gamma"].Float ])
            |> List.distinct

        let layersAt gamma (row: Row) =
            row.Value["thresholds"].Items
            |> List.filter (fun t -> t["gamma"].Float = gamma)
            |> List.collect (fun t -> t["layers"].Items)
            |> List.map (fun layer -> layer["name"].String, layer["r"].Float)

        let traces: Trace list =
            [
                for variant, own in rows |> List.sortBy _.Aligned |> List.groupBy (Report.variant rows) do
                    for k, gamma in List.indexed gammas do
                        let cells = own |> List.collect (layersAt gamma)
                        let names = cells |> List.map fst |> List.distinct
                        let mean name = cells |> List.filter (fst >> (=) name) |> List.averageBy snd
                        let strong, pale = colours rows own.Head

                        if not names.IsEmpty then
                            Bar(
                                x = names,
                                y = List.map mean names,
                                name = $"{variant}, γ = {gamma}",
                                marker = Marker(color = (if k = 0 then pale else strong))
                            )
            ]

        if traces.IsEmpty then
            None
        else
            let caption =
                "Agreement R of the singular vectors of each layer, mean over the pairs of models: "
                + "all vectors (γ = 0) and those with a large singular value."

            Some(Draw.figure "r-per-layer" caption (Draw.layout "layer" "R") traces)

    /// Every figure that the report has rows for.
    let ofReport (report: Report) : Figure list =
        let sound = Report.sound report
        [ loss; accuracy; byLayer ] |> List.choose (fun draw -> draw sound)
