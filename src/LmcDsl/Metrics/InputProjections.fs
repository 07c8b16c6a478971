namespace LmcDsl

open LmcDsl.Core.Spectra

/// What input projections are stored as: of each layer its singular values and the mean square of the inputs along each right singular vector.
module InputProjectionsValue =

    type Layer = { Name: string; Values: float list; Shares: float list }

    type Projections = { Layers: Layer list }

    type Energy = { Vectors: float; Energy: float; Times: float }

/// How the inputs of each layer lie to the right singular vectors of its weight.
[<AutoOpen>]
module InputProjectionsMetric =

    open InputProjectionsValue

    let private measure =
        Measure.make "inputProjections" 1 (fun context ->
            let examples = context.Args["examples"].Int
            let tell = Take.tell context "layer inputs"

            {
                Layers =
                    Take.modelOnDevice context (fun model ->
                        [
                            for l in InputProjection.Of(model, Take.split context, examples, tell) ->
                                { Name = l.Name; Values = List.ofSeq l.Values; Shares = List.ofSeq l.Shares }
                        ])
            })

    let private energy = Measure.derived<Energy> "inputEnergy"

    let private energyOf (gamma: float) (layer: Layer) =
        let dominant = layer.Values |> List.filter (fun v -> v >= gamma * layer.Values.Head) |> List.length
        let vectors = float dominant / float layer.Values.Length
        let share = List.sum (List.take dominant layer.Shares) / List.sum layer.Shares

        { Vectors = vectors; Energy = share; Times = share / vectors }

    [<RequireQualifiedAccess>]
    module Quantity =

        /// The share of a layer's right singular vectors that are dominant, in per cent; of `Spectra.inputEnergy`.
        let dominantVectors = energy |> Measure.quantity "share of vectors (%)" 1 (fun e -> 100.0 * e.Vectors)

        /// The share of the energy of a layer's inputs that they hold, in per cent.
        let dominantEnergy = energy |> Measure.quantity "share of inputs' energy (%)" 1 (fun e -> 100.0 * e.Energy)

        /// How much more a dominant vector holds than a vector does on average.
        let energyPerVector = energy |> Measure.quantity "energy per vector, times the mean" 1 _.Times

        let internal meanEnergy (gamma: float) =
            measure
            |> Measure.quantity $"inputs' energy in dominant vectors (%%, γ={Number.shortest gamma})" 1 (fun value ->
                value.Layers |> List.averageBy (fun layer -> 100.0 * (energyOf gamma layer).Energy))

    [<RequireQualifiedAccess>]
    module Spectra =

        /// How much of the energy of each layer's inputs the dominant right singular vectors (s_i >= gamma s_1) hold, beside their share
        /// among the vectors: rows labelled `layer`.
        let inputEnergy (gamma: float) : Report -> Report =
            measure
            |> Measure.byLayer (fun value -> [ for layer in value.Layers -> layer.Name, energyOf gamma layer ]) energy

        /// One figure for each network: the root mean square of the inner product of a layer's inputs, of unit length, with each right
        /// singular vector, by singular value; at most six layers of the first model.
        let projectionFigures (report: Report) : Figure list =
            [
                for network, rows in Measure.rows measure report |> DrawRows.perNetwork do
                    let traces =
                        [
                            for k, layer in List.indexed (DrawRows.chosen 6 (snd rows.Head).Layers) do
                                let s = layer.Values
                                let shares = layer.Shares |> List.map (max 0.0 >> sqrt)

                                Draw.points
                                    (Report.layerName layer.Name)
                                    k
                                    (List.map2 (fun v p -> v / s.Head, p) s shares)
                        ]

                    let layout = Draw.layout "s / largest s" "rms of v · x / |x|"
                    layout.yaxis.``type`` <- "log"

                    let caption =
                        $"{network}: how the inputs of each layer lie to the right singular vectors of its weight."

                    Draw.figure $"input-projections-{Draw.slug network}" caption layout traces
            ]

    let private on =
        measure
        |> Metric.on Looks.models "input projections of" Metric.plain [ Quantity.meanEnergy 0.3 ]
        |> Metric.called "input-projections"
        |> Metric.drawing Spectra.projectionFigures

    /// How the inputs of each layer lie to the right singular vectors of its weight, on so many test images.
    let InputProjections (examples: int) : Metric =
        { on with Args = Metric.onTest [ "examples", Json.int (int64 examples) ] }

    /// The same on 1,000 test images.
    let LayerInputs = InputProjections 1000
