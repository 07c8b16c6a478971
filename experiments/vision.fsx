// Transformers on images, with norms before each part and norms on the residual stream itself, as BERT has them: which of them come into one basin.   dotnet fsi build.fsx -t Vision
#load "prelude.fsx"
#load "paper/Recipe.fs"
#load "beyond/Setting.fs"
#load "beyond/Language.fs"

open LmcDsl
open LmcDsl.Beyond
open LmcDsl.Core.Architectures
open LmcDsl.Paper

let norms =
    [
        "layer norm before", TransformerNorm.LayerBefore
        "RMS norm before", TransformerNorm.RmsBefore
        "layer norm after", TransformerNorm.LayerAfter
    ]

let plans scale =
    [
        for norm, place in norms do
            let recipe = Language.vision scale place

            for name, search in Language.allSearches recipe do
                recipe.Setup
                |> (recipe.Train
                    >> labelled "norm" norm
                    >> alignAs name search
                    >> measureAll [ recipe.Barrier; R; RByBlock; L2; Accuracy ]
                    |> sweep SeedsOf (Recipe.seedPairs recipe))
    ]

let ofPairs (s: Subject) = s.Models.Length = 2

let show report =
    {
        Tables =
            [
                Table.summary
                    "Barriers by norm and search"
                    [ "norm"; "state"; "search" ]
                    [
                        Column.mean Quantity.lossBarrier
                        Column.mean Quantity.accuracyBarrier
                        Column.mean (Quantity.r 0.3)
                        Column.mean Quantity.reduction
                        Column.count
                    ]
                    ofPairs
                    report
                Table.summary
                    "The models themselves"
                    [ "norm" ]
                    [ Column.mean Quantity.loss; Column.mean Quantity.accuracy ]
                    (fun s -> s.Models.Length = 1)
                    report
            ]
        Figures =
            List.choose id [
                Draw.bars
                    "barrier-by-norm"
                    "Loss barriers of vision transformers by search, for each place and kind of norms."
                    "norm"
                    [ "state"; "search" ]
                    [ Quantity.lossBarrier ]
                    ofPairs
                    report
            ]
    }

let item = Experiment.ofScale "vision" "Vision transformers" plans show
item |> Experiment.run fsi.CommandLineArgs
