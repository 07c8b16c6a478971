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

            [ Draw.figure "r-per-layer" caption (Draw.layout "layer" "R") traces ]

    let private at =
        measure
        |> Metric.on Looks.pairsAndMean "R of" Metric.plain []
        |> Metric.called "r"
        |> Metric.showing (Measure.rows measure >> gammasOf >> List.map Quantity.r)
        |> Metric.drawing draw

    /// R, the agreement of singular vectors, for each threshold gamma; in total and for each layer.
    let SingularVectors (gammas: float list) : Metric =
        { at with Args = fun _ -> Args.ofFields [ "gammas", Json.floats gammas ] }

    /// R at gamma = 0 and 0.3, as 2402.04051 shows it.
    let R = SingularVectors [ 0.0; 0.3 ]
