namespace LmcDsl

open LmcDsl.Core.Spectra

/// What output differences and their bounds are stored as.
module OutputBoundValue =

    type Layer =
        {
            Name: string
            Measured: float
            Bound: float
            DominantPart: float
            LargestRatio: float
        }

    type Bounds = { Layers: Layer list }

/// How far each layer's outputs differ, and the bound on it by dominant singular vectors (theorem 4.2 of 2402.04051).
[<AutoOpen>]
module OutputBoundMetric =

    open OutputBoundValue

    let private measure =
        Measure.make "outputBound" 1 (fun context ->
            let gamma, examples = context.Args["gamma"].Float, context.Args["examples"].Int
            let tell = Take.tell context "layer outputs"

            {
                Layers =
                    Take.pairOnDevice context (fun a b ->
                        [
                            for l in LayerBound.Between(a, b, Take.split context, gamma, examples, tell) ->
                                {
                                    Name = l.Name
                                    Measured = l.Measured
                                    Bound = l.Bound
                                    DominantPart = l.DominantPart
                                    LargestRatio = l.LargestRatio
                                }
                        ])
            })

    let private layer = Measure.derived<Layer> "layerBound"

    /// One row for each layer, labelled `layer`.
    let outputBoundByLayer: Report -> Report =
        measure |> Measure.byLayer (fun value -> [ for layer in value.Layers -> layer.Name, layer ]) layer

    [<RequireQualifiedAccess>]
    module Quantity =

        /// The mean difference of a layer's outputs; of `outputBoundByLayer`.
        let outputDifference = layer |> Measure.quantity "measured" 3 _.Measured

        /// The bound on it.
        let outputBound = layer |> Measure.quantity "bound" 3 _.Bound

        /// The part of the bound that is due to dominant vectors.
        let dominantBound = layer |> Measure.quantity "of it by dominant vectors" 3 _.DominantPart

        /// The largest difference over its bound, over all inputs.
        let boundRatio = layer |> Measure.quantity "largest measured / bound" 3 _.LargestRatio

        let internal largestRatio =
            measure
            |> Measure.quantity "output difference / bound, largest" 3 (fun value ->
                value.Layers |> List.map _.LargestRatio |> List.max)

    let private of' =
        measure
        |> Metric.on Looks.pairs "output bound of" Metric.plain [ Quantity.largestRatio ]
        |> Metric.called "output-bound"

    /// How far each layer's outputs differ on so many test images, and the bound on it for a threshold gamma.
    let OutputBound (gamma: float, examples: int) : Metric =
        { of' with
            Args = Metric.onTest [ "gamma", Json.float gamma; "examples", Json.int (int64 examples) ]
        }

    /// The same for gamma = 0.3 on 1,000 test images.
    let OutputBounds = OutputBound(0.3, 1000)
