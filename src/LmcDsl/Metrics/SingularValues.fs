namespace LmcDsl

open LmcDsl.Core.Spectra

/// What singular values are stored as: of each layer in descending order.
module SingularValuesValue =

    type Layer = { Name: string; Values: float list }

    type Spectra = { Layers: Layer list }

/// Singular values of each weight of the models as trained.
[<AutoOpen>]
module SingularValuesMetric =

    open SingularValuesValue

    let private measure =
        Measure.make "singularValues" 1 (fun context ->
            {
                Layers =
                    [ for l in Take.model context |> Spectrum.Of -> { Name = l.Name; Values = List.ofSeq l.Values } ]
            })

    let private difference = Measure.derived<{| Difference: float |}> "spectrumDifference"

    let private dominant gamma (values: float list) =
        values |> List.filter (fun s -> s >= gamma * values.Head) |> List.length

    [<RequireQualifiedAccess>]
    module Quantity =

        /// The share of singular values that are at least gamma times their layer's largest, over all layers, in per cent.
        let dominantShare (gamma: float) =
            measure
            |> Measure.quantity $"dominant singular values (%%, γ={Number.shortest gamma})" 1 (fun spectra ->
                let layers = spectra.Layers |> List.map _.Values
                100.0 * float (layers |> List.sumBy (dominant gamma)) / float (layers |> List.sumBy List.length))

        /// The relative difference of a layer's singular values between two models, in per cent; of `Spectra.differences`.
        let spectrumDifference =
            difference |> Measure.quantity "difference of singular values (%)" 2 (fun d -> 100.0 * d.Difference)

    [<RequireQualifiedAccess>]
    module Spectra =

        /// The relative difference |s - s'| / |s| of each layer's singular values between each two models of the same labels: rows
        /// labelled `layer`.
        let differences (report: Report) : Report =
            let norm xs = sqrt (xs |> List.sumBy (fun x -> x * x))

            {
                Rows =
                    [
                        for _, own in Measure.rows measure report |> List.groupBy (fun (row, _) -> row.Labels) do
                            for (a, one), (b, other) in List.allPairs own own do
                                if a.Models < b.Models then
                                    for left, right in List.zip one.Layers other.Layers do
                                        let models = { a with Models = a.Models @ b.Models }
                                        let apart = norm (List.map2 (-) left.Values right.Values) / norm left.Values

                                        Measure.row
                                            difference
                                            models
                                            [ "layer", Report.layerName left.Name ]
                                            {| Difference = apart |}
                    ]
            }

        /// One figure for each network: singular values, over the layer's largest, by rank; one colour for each of at most six layers,
        /// one line for each model.
        let figures (report: Report) : Figure list =
            [
                for network, rows in Measure.rows measure report |> DrawRows.perNetwork do
                    let traces =
                        [
                            for m, (_, spectra) in List.indexed rows do
                                for k, layer in List.indexed (DrawRows.chosen 6 spectra.Layers) do
                                    let s = layer.Values
                                    let at i = float i / float (max 1 (s.Length - 1))
                                    let points = s |> List.mapi (fun i v -> at i, v / s.Head)
                                    Draw.curve (Report.layerName layer.Name) k m (m = 0) points
                        ]

                    let named = if network = "" then "Singular" else $"{network}: singular"

                    let caption =
                        $"{named} values of {rows.Length} models that differ in seed only, over the layer's largest, by relative rank. Each line is a model; the lines of a layer have one colour."

                    Draw.figure
                        $"singular-values-{Draw.slug network}"
                        caption
                        (Draw.layout "rank / number of singular values" "s / largest s")
                        traces
            ]

        /// One figure for each network: the singular values of all layers side by side, from the input to the output, in each layer from the
        /// largest to the smallest; at most eight models, a line each.
        let sideBySide (report: Report) : Figure list =
            [
                for network, rows in Measure.rows measure report |> DrawRows.perNetwork do
                    let shown, others = List.truncate 8 rows, max 0 (rows.Length - 8)
                    let layers = (snd rows.Head).Layers |> List.map _.Name

                    let traces =
                        [
                            for m, (row, spectra) in List.indexed shown do
                                for k, layer in List.indexed spectra.Layers do
                                    let s = layer.Values
                                    let at i = float k + 0.06 + 0.88 * float i / float (max 1 (s.Length - 1))

                                    s
                                    |> List.mapi (fun i value -> at i, value)
                                    |> Draw.curve (String.concat ", " row.Models) m m (k = 0)
                        ]

                    let layout = Draw.layout "layer" "singular value"
                    layout.yaxis.``type`` <- "log"
                    layout.xaxis.tickvals <- [ for k in 0 .. layers.Length - 1 -> float k + 0.5 ]
                    layout.xaxis.ticktext <- layers |> List.map Report.layerName
                    layout.xaxis.range <- [ 0.0; float layers.Length ]
                    let rest = if others = 0 then "" else $" {others} more models are not drawn."

                    let named = if network = "" then "Singular" else $"{network}: singular"

                    let caption =
                        $"{named} values of all layers side by side, each layer's from its largest to its smallest.{rest}"

                    Draw.figure (Draw.slug $"singular-values-of-layers {network}") caption layout traces
            ]

    /// Singular values of each weight of the models as trained.
    let SingularValues =
        measure
        |> Metric.on Looks.models "singular values of" Metric.plain [ Quantity.dominantShare 0.3 ]
        |> Metric.called "singular-values"
        |> Metric.drawing (fun report -> Spectra.figures report @ Spectra.sideBySide report)
