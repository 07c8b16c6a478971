// Language models by characters with every kind of positions, heads and norms: which symmetries lower the barrier, and whether the alignment of dominant singular vectors tells it.   dotnet fsi build.fsx -t Attention
#load "prelude.fsx"
#load "paper/Recipe.fs"
#load "beyond/Setting.fs"
#load "beyond/Language.fs"

open LmcDsl
open LmcDsl.Beyond
open LmcDsl.Core.Architectures
open LmcDsl.Paper

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

                    for name, search in Language.allSearches recipe do
                        recipe.Setup
                        |> (models
                            >> alignAs name search
                            >> measureAll [ recipe.Barrier; R; RByBlock; L2; Accuracy ]
                            |> sweep SeedsOf (Recipe.seedPairs recipe))
    ]

let ofPairs (s: Subject) = s.Models.Length = 2
let parts = [ "positions"; "heads"; "norm" ]

let show report =
    {
        Tables =
            [
                Table.summary
                    "Barriers by search"
                    (parts @ [ "state"; "search" ])
                    [
                        Column.mean Quantity.lossBarrier
                        Column.mean (Quantity.r 0.3)
                        Column.mean Quantity.reduction
                        Column.count
                    ]
                    ofPairs
                    report
                Table.summary
                    "R by kind of block"
                    [ "state"; "search" ]
                    [
                        for kind in BlockKind.All do
                            Column.mean (Quantity.blockR kind)
                    ]
                    ofPairs
                    report
                Table.summary
                    "The models themselves"
                    parts
                    [ Column.mean Quantity.loss; Column.mean Quantity.perplexity ]
                    (fun s -> s.Models.Length = 1)
                    report
            ]
        Figures =
            List.choose id [
                Draw.bars
                    "barrier-by-positions"
                    "Loss barriers by search, for each kind of positions. Mean and standard deviation over pairs, heads and norms."
                    "positions"
                    [ "state"; "search" ]
                    [ Quantity.lossBarrier ]
                    ofPairs
                    report
                Draw.bars
                    "r-by-positions"
                    "R of the dominant singular vectors of the same pairs."
                    "positions"
                    [ "state"; "search" ]
                    [ Quantity.r 0.3 ]
                    ofPairs
                    report
            ]
    }

let item = Experiment.ofScale "attention" "Attention, positions and norms" plans show
item |> Experiment.run fsi.CommandLineArgs
