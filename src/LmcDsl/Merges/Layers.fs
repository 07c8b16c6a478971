namespace LmcDsl

open LmcDsl.Core.Merging

/// The weighted mean with weights of their own for some layers.
[<AutoOpen>]
module LayerMerging =

    let private op = Merge.opOf<LayerMerge> "mergeLayers" 2

    /// Weights by layer: `byLayer [ "fc1", [ 1.0; 0.0 ]; "block2.*", [ 0.7; 0.3 ] ]`; other layers are averaged evenly.
    let byLayer (layers: (string * float list) list) : Merge =
        let lines = [| for name, weights in layers -> WeightsOfLayer(name, List.toArray weights) |]
        Merge.ofMethod "layers" op "mean by layer" (LayerMerge lines)

    /// Weights by layer, of which none are given.
    let Layers = byLayer []
