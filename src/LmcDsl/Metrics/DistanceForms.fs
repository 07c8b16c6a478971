namespace LmcDsl

open LmcDsl.Core.Spectra

/// The distance of each weight from its entries, and from singular values and vectors (theorem 4.1 of 2402.04051).
[<AutoOpen>]
module DistanceFormsMetric =

    type private Layer =
        {
            Name: string
            Direct: float
            Spectral: float
        }

        member this.Millionths = 1e6 * abs (this.Direct - this.Spectral) / this.Direct

    type private Forms = { Layers: Layer list }

    let private measure =
        Measure.make "distanceForms" 1 (fun context ->
            {
                Layers =
                    [
                        for l in Take.pair context |> SpectralForm.Between ->
                            {
                                Name = l.Name
                                Direct = l.Direct
                                Spectral = l.Spectral
                            }
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
        let formsDifference = layer |> Measure.quantity "relative difference (1e-6)" 3 _.Millionths

        let internal largestDifference =
            measure
            |> Measure.quantity "two forms of L2², largest difference (1e-6)" 3 (fun forms ->
                forms.Layers |> List.map _.Millionths |> List.max)

    /// The distance of each weight from its entries, and from singular values and vectors.
    let DistanceForms =
        measure
        |> Metric.on Looks.pairs "L2 of" Metric.plain [ Quantity.largestDifference ]
        |> Metric.called "distance-forms"
        |> Metric.titled (fun words -> $"L2 of {words} in two forms")
