// Language models by characters with every kind of positions, heads and norms: which symmetries lower the barrier, and whether the alignment of dominant singular vectors tells it.   dotnet fsi build.fsx -t Attention
#load "prelude.fsx"
#load "paper/Recipe.fs"
#load "beyond/Setting.fs"
#load "beyond/Language.fs"

open LmcDsl
open LmcDsl.Beyond
open LmcDsl.Core.Architectures

let positions =
    [
        "learned", PositionEncoding.Learned
        "sinusoidal", PositionEncoding.Sinusoidal
        "rotary", PositionEncoding.Rotary
    ]

/// Heads of queries all with keys of their own, and two of them for each key.
let heads = [ "multi-head", 0; "grouped queries", 2 ]

let norms = [ "layer norm", TransformerNorm.LayerBefore; "RMS norm", TransformerNorm.RmsBefore ]

let plans scale =
    [
        for position, encoding in positions do
            for kind, keyHeads in heads do
                for norm, place in norms do
                    let recipe =
                        Language.characters scale (fun options ->
                            TransformerOptions(
                                Layers = options.Layers,
                                Width = options.Width,
                                Heads = options.Heads,
                                Context = options.Context,
                                Positions = encoding,
                                KeyHeads = keyHeads,
                                Norm = place
                            ))

                    let models =
                        recipe.Train >> labelled "positions" position >> labelled "heads" kind >> labelled "norm" norm

                    yield! Language.compare recipe models (Language.allSearches recipe)
    ]

let parts = [ "positions"; "heads"; "norm" ]

let show report =
    {
        Tables =
            [
                Language.barriers "Barriers by search" parts [] report
                Language.blocks report
                Language.themselves parts [ Column.mean Quantity.loss; Column.mean Quantity.perplexity ] report
            ]
        Figures =
            List.choose id [
                Draw.bars
                    "barrier-by-positions"
                    "Loss barriers by search, for each kind of positions. Mean and standard deviation over pairs, heads and norms."
                    "positions"
                    [ "state"; "search" ]
                    [ Quantity.lossBarrier ]
                    Language.ofPairs
                    report
                Draw.bars
                    "r-by-positions"
                    "R of the dominant singular vectors of the same pairs."
                    "positions"
                    [ "state"; "search" ]
                    [ Quantity.r 0.3 ]
                    Language.ofPairs
                    report
            ]
    }

let item = Experiment.ofScale "attention" "Attention, positions and norms" plans show
item |> Experiment.run fsi.CommandLineArgs
