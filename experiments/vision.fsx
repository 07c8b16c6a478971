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
            yield! Language.compare recipe (recipe.Train >> labelled "norm" norm) (Language.allSearches recipe)
    ]

let show report =
    {
        Tables =
            [
                Language.barriers
                    "Barriers by norm and search"
                    [ "norm" ]
                    [ Column.mean Quantity.accuracyBarrier ]
                    report
                Language.themselves [ "norm" ] [ Column.mean Quantity.loss; Column.mean Quantity.accuracy ] report
            ]
        Figures =
            List.choose id [
                Draw.bars
                    "barrier-by-norm"
                    "Loss barriers of vision transformers by search, for each place and kind of norms."
                    "norm"
                    [ "state"; "search" ]
                    [ Quantity.lossBarrier ]
                    Language.ofPairs
                    report
            ]
    }

let item = Experiment.ofScale "vision" "Vision transformers" plans show
item |> Experiment.run fsi.CommandLineArgs
