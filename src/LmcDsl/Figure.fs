namespace LmcDsl

open XPlot.Plotly

/// A figure of a report.
type Figure =
    {
        /// Its name within a page: letters and dashes.
        Id: string
        /// What it shows, in a sentence.
        Caption: string
        /// The drawing.
        Chart: PlotlyChart
    }

/// Figures of a report, in one style: the colour-blind-safe palette of Okabe and Ito, naive dashed, aligned solid.
[<RequireQualifiedAccess>]
module Figure =

    // Strong and pale, of naive rows and then of aligned ones, in the order in which they come.
    let private naive = ("#D55E00", "#F2BF99")

    let private aligned =
        [
            "#0072B2", "#9CC9E3"
            "#009E73", "#99D8C7"
            "#CC79A7", "#EBC9DC"
            "#E69F00", "#F5D999"
            "#56B4E9", "#BBE1F6"
        ]

    let private font = Font(family = "Georgia, 'Times New Roman', serif", size = 14.0)

    let private axis title =
        Xaxis(title = title, zeroline = false, gridcolor = "#e6e6e6", linecolor = "#444444", ticks = "outside")

    let private yaxis title =
        Yaxis(title = title, zeroline = false, gridcolor = "#e6e6e6", linecolor = "#444444", ticks = "outside")

    let private layout xTitle yTitle =
        Layout(
            font = font,
            xaxis = axis xTitle,
            yaxis = yaxis yTitle,
            paper_bgcolor = "white",
            plot_bgcolor = "white",
            margin = Margin(t = 16.0, l = 70.0, r = 20.0, b = 60.0),
            legend = Legend(orientation = "h", y = 1.14, x = 0.0)
        )

    let private make id caption (traces: Trace seq) layout =
        let chart = Chart.Plot(traces, layout)
        chart.Id <- id
        chart.Width <- 760
        chart.Height <- 420
        { Id = id; Caption = caption; Chart = chart }

    // Strong and pale colour of each variant among some rows.
    let private colours (rows: Row list) =
        let variants = rows |> List.filter _.Aligned |> List.map (Report.variant rows) |> List.distinct

        fun (row: Row) ->
            if row.Aligned then
                let k = variants |> List.findIndex ((=) (Report.variant rows row))
                aligned[k % aligned.Length]
            else
                naive

    let private dashes = [ "solid"; "dash"; "dot"; "dashdot" ]

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
                        line = Line(color = colour row, width = 2.0, dash = dashes[pair % dashes.Length])
                    )
            ]

        if traces.IsEmpty then
            None
        else
            Some(make id caption traces (layout "λ, share of the first model" yTitle))

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

            Some(make "r-per-layer" caption traces (layout "layer" "R"))

    /// Every figure that the report has rows for.
    let ofReport (report: Report) : Figure list = [ loss; accuracy; byLayer ] |> List.choose (fun draw -> draw report)
