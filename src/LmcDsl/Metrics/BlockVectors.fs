namespace LmcDsl

open LmcDsl.Core.Architectures
open LmcDsl.Core.Spectra

/// What R by kind of block is stored as.
module BlockVectorsValue =

    type Block = { Kind: string; R: float; Kept: int }

    type Blocks = { Gamma: float; Blocks: Block list }

/// R, the agreement of singular vectors (2402.04051), of layers of one kind together: of a transformer's embeddings, queries with keys,
/// values with outputs, both products of feed-forward parts, and the classifier.
[<AutoOpen>]
module BlockVectorsMetric =

    open BlockVectorsValue

    let private compute context =
        let a, b = Take.pair context
        let gamma = context.Args["gamma"].Float
        let kinds = BlockKind.Of a.Network.Architecture
        let found = SingularAlignment.Between(a, b, gamma)
        let layers = found[0].Layers
        // A weight's name ends in its own within the layer.
        let kind (layer: LayerAlignment) = kinds[layer.Name.Substring(0, layer.Name.LastIndexOf '.')]

        {
            Gamma = gamma
            Blocks =
                [
                    for known in BlockKind.All do
                        match layers |> Seq.filter (fun layer -> kind layer = known) |> List.ofSeq with
                        | [] -> ()
                        | own ->
                            let kept = own |> List.sumBy _.Kept
                            { Kind = known; R = (own |> List.sumBy _.Agreement) / float kept; Kept = kept }
                ]
        }

    let private measure = Measure.make "blockVectors" 1 compute

    [<RequireQualifiedAccess>]
    module Quantity =

        /// R of layers of one kind.
        let blockR (kind: string) =
            measure
            |> Measure.quantityWhere $"R {kind}" 3 (fun value ->
                value.Blocks |> List.tryFind (fun block -> block.Kind = kind) |> Option.map _.R)

    let private kindsOf report =
        let found = Measure.rows measure report |> List.collect (fun (_, value) -> value.Blocks |> List.map _.Kind)

        BlockKind.All |> Seq.filter (fun kind -> List.contains kind found) |> List.ofSeq

    let private at =
        measure
        |> Metric.on Looks.pairs "R by block of" Metric.plain []
        |> Metric.called "r-by-block"
        |> Metric.showing (kindsOf >> List.map Quantity.blockR)

    /// R by kind of block, of singular vectors with at least this share of the largest singular value.
    let RByBlockAt (gamma: float) : Metric = { at with Args = fun _ -> Args.ofFields [ "gamma", Json.float gamma ] }

    /// R by kind of block at gamma = 0.3.
    let RByBlock = RByBlockAt 0.3
