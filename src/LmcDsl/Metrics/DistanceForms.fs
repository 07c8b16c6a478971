namespace LmcDsl

open LmcDsl.Core.Spectra

/// What the two forms of the distance are stored as.
module DistanceFormsValue =

    type Layer = { Name: string; Direct: float; Spectral: float }

    type Forms = { Layers: Layer list }

/// The distance of each weight from its entries, and from singular values and vectors (theorem 4.1 of 2402.04051).
[<AutoOpen>]
module DistanceFormsMetric =

    open DistanceFormsValue

    // How far the two forms are apart, in millionths.
    let private millionths (layer: Layer) = 1e6 * abs (layer.Direct - layer.Spectral) / layer.Direct

    let private measure =
        Measure.make "distanceForms" 1 (fun context ->
            {
                Layers =
                    [
                        for l in Take.pair context |> SpectralForm.Between ->
                            { Name = l.Name; Direct = l.Direct; Spectral = l.Spectral }
                    ]
            })

    let private layer = Measure.derived<Layer> "layerDistance"

    /// One row for each layer, labelled `layer`.
    let distanceFormsByLayer: Report -> Report =
        measure |> Measure.byLayer (fun value -> [ for layer in value.Layers -> layer.Name, layer ]) layer

    [<RequireQualifiedAccess>]
    module Quantity =

        /// The squared distance of a layer's weights; of `distanceFormsByLayer`.
        let directDistance = layer |> Measure.quantity "‖W_a − W_b‖²" 5 _.Direct

        /// The same from singular values and vectors.
        let spectralDistance = layer |> Measure.quantity "from singular vectors" 5 _.Spectral

        /// How far they are apart, in millionths.
        let formsDifference = layer |> Measure.quantity "relative difference (1e-6)" 3 millionths

        let internal largestDifference =
            measure
            |> Measure.quantity "two forms of L2², largest difference (1e-6)" 3 (fun forms ->
                forms.Layers |> List.map millionths |> List.max)

    /// The distance of each weight from its entries, and from singular values and vectors.
    let DistanceForms =
        measure
        |> Metric.on Looks.pairs "L2 of" Metric.plain [ Quantity.largestDifference ]
        |> Metric.called "distance-forms"
        |> Metric.titled (fun words -> $"L2 of {words} in two forms")
