namespace LmcDsl

open XPlot.Plotly

/// The figures that every report with rows for them has.
[<RequireQualifiedAccess>]
module Figures =

    // More lines than this nobody can tell apart, and no page holds thousands.
    let private most = 48

    // The first of some lines, and what the caption says of the others.
    let private shown (what: string) (lines: 'a list) : 'a list * string =
        if lines.Length <= most then
            lines, ""
        else
            List.truncate most lines, $" Shown are the first {most} of {lines.Length} {what}; the tables hold all."

    // Strong and pale colour of each variant among some rows.
    let private colours (rows: Row list) =
        let variant = Report.variant rows
        let variants = rows |> List.filter _.Aligned |> List.map variant |> List.distinct
        let place = dict [ for k, name in List.indexed variants -> name, k ]
        fun (row: Row) -> if row.Aligned then Draw.colour place[variant row] else Draw.naive

    let private pairName (models: string list) = String.concat "–" models

    // One line for each pair and state; pairs differ in dash, states in colour and marker.
    let private along id caption yTitle (value: Json -> float) (report: Report) =
        let rows, others = report.Rows |> List.filter (fun row -> row.Measure = "barrier") |> shown "lines"
        let variant = Report.variant rows
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
                        name = $"{pairName row.Models} {variant row}",
                        line = Line(color = colour row, width = 2.0, dash = Draw.dash pair)
                    )
            ]

        if traces.IsEmpty then
            None
        else
            Some(Draw.figure id (caption + others) (Draw.layout "λ, share of the first model" yTitle) traces)

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

        let colour = colours rows

        let groups, others =
            rows |> List.sortBy _.Aligned |> List.groupBy (Report.variant rows) |> shown "groups of bars"

        let traces: Trace list =
            [
                for variant, own in groups do
                    for k, gamma in List.indexed gammas do
                        let cells = own |> List.collect (layersAt gamma)
                        let names = cells |> List.map fst |> List.distinct
                        let mean name = cells |> List.filter (fst >> (=) name) |> List.averageBy snd
                        let strong, pale = colour own.Head

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
                + others

            Some(Draw.figure "r-per-layer" caption (Draw.layout "layer" "R") traces)

    /// Every figure that the report has rows for.
    let ofReport (report: Report) : Figure list =
        let sound = Report.sound report
        [ loss; accuracy; byLayer ] |> List.choose (fun draw -> draw sound)
