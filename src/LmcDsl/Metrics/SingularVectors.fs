namespace LmcDsl

open XPlot.Plotly
open LmcDsl.Core.Spectra

/// What R is stored as.
module SingularVectorsValue =

    type Layer = { Name: string; R: float; Kept: int }

    type Threshold = { Gamma: float; R: float; Layers: Layer list }

    type Agreement = { Thresholds: Threshold list }

/// R, the agreement of singular vectors (2402.04051), for some thresholds.
[<AutoOpen>]
module SingularVectorsMetric =

    open SingularVectorsValue

    let private measure =
        Measure.make "singularVectors" 1 (fun context ->
            let a, b = Take.pair context
            let gammas = [| for gamma in context.Args["gammas"].Items -> gamma.Float |]

            {
                Thresholds =
                    [
                        for t in SingularAlignment.Between(a, b, gammas) ->
                            {
                                Gamma = t.Gamma
                                R = t.R
                                Layers = [ for l in t.Layers -> { Name = l.Name; R = l.R; Kept = l.Kept } ]
                            }
                    ]
            })

    [<RequireQualifiedAccess>]
    module Quantity =

        /// R for a threshold.
        let r (gamma: float) =
            measure
            |> Measure.quantityWhere $"R (γ={Number.shortest gamma})" 3 (fun agreement ->
                agreement.Thresholds |> List.tryFind (fun t -> t.Gamma = gamma) |> Option.map _.R)

    let private gammasOf rows =
        rows |> List.collect (fun (_, value) -> value.Thresholds |> List.map _.Gamma) |> List.distinct

    // Mean over the pairs of members, by layer.
    let private draw report =
        let rows = Measure.rows measure report |> List.filter (fun (row, _) -> not (List.contains "mean" row.Models))
        let colour = DrawRows.colours (List.map fst rows)
        let variant = Report.variant (List.map fst rows)

        let groups, others =
            rows
            |> List.sortBy (fun (row, _) -> row.Aligned)
            |> List.groupBy (fst >> variant)
            |> DrawRows.shown "groups of bars"

        let traces: Trace list =
            [
                for name, own in groups do
                    for k, gamma in List.indexed (gammasOf rows) do
                        let cells =
                            [
                                for _, value in own do
                                    for t in value.Thresholds do
                                        if t.Gamma = gamma then
                                            for layer in t.Layers do
                                                layer.Name, layer.R
                            ]

                        let layers = cells |> List.map fst |> List.distinct
                        let mean layer = cells |> List.filter (fst >> (=) layer) |> List.averageBy snd
                        let strong, pale = colour (fst own.Head)

                        if not layers.IsEmpty then
                            Bar(
                                x = layers,
                                y = List.map mean layers,
                                name = $"{name}, γ = {Number.shortest gamma}",
                                marker = Marker(color = (if k = 0 then pale else strong))
                            )
            ]

        if traces.IsEmpty then
            []
        else
            let caption =
                "Agreement R of the singular vectors of each layer, mean over the pairs of models: "
                + "all vectors (γ = 0) and those with a large singular value."
                + others

            let layers =
                [
                    for _, own in groups do
                        for _, value in own do
                            for t in value.Thresholds do
                                for layer in t.Layers do
                                    layer.Name
                ]

            let layout = Draw.layout "layer" "R" |> Draw.roomBelow (List.distinct layers)
            [ Draw.figure "r-per-layer" caption layout traces ]

    // Over layers and pairs, at the largest threshold, for each variant of the last state.
    let private map report =
        let rows = Measure.rows measure report |> List.filter (fun (row, _) -> not (List.contains "mean" row.Models))
        let aligned = rows |> List.filter (fun (row, _) -> row.Aligned)
        let last = if aligned.IsEmpty then rows else aligned
        let variant = Report.variant (List.map fst rows)

        [
            for name, own in last |> List.groupBy (fst >> variant) |> List.truncate 4 do
                let pairs = own |> List.map (fun (row, _) -> String.concat "–" row.Models) |> List.distinct

                match List.sortDescending (gammasOf own) with
                | gamma :: _ when pairs.Length > 1 ->
                    let cells =
                        [
                            for row, value in own do
                                for t in value.Thresholds do
                                    if t.Gamma = gamma then
                                        for layer in t.Layers do
                                            (layer.Name, String.concat "–" row.Models), layer.R
                        ]

                    let byPlace =
                        cells
                        |> List.groupBy fst
                        |> List.map (fun (place, all) -> place, List.averageBy snd all)
                        |> dict

                    let layers = cells |> List.map (fst >> fst) |> List.distinct

                    HeatMap.draw
                        (Draw.slug $"r-map-{name}")
                        $"R at γ = {Number.shortest gamma} of each layer and pair of models, {name}."
                        "R"
                        2
                        ("layer", layers)
                        ("pair", List.rev pairs)
                        (fun layer pair ->
                            match byPlace.TryGetValue((layer, pair)) with
                            | true, value -> Some value
                            | _ -> None)
                | _ -> ()
        ]

    let private at =
        measure
        |> Metric.on Looks.pairsAndMean "R of" Metric.plain []
        |> Metric.called "r"
        |> Metric.showing (Measure.rows measure >> gammasOf >> List.map Quantity.r)
        |> Metric.drawing (fun report -> draw report @ map report)

    /// R, the agreement of singular vectors, for each threshold gamma; in total and for each layer.
    let SingularVectors (gammas: float list) : Metric =
        { at with Args = fun _ -> Args.ofFields [ "gammas", Json.floats gammas ] }

    /// R at gamma = 0 and 0.3, as 2402.04051 shows it.
    let R = SingularVectors [ 0.0; 0.3 ]
