// The published row of language models: GPT-2 of six layers on Tiny Shakespeare by byte pairs, three models, three pairs, by the recipe of 2506.22712.   dotnet fsi build.fsx -t PublishedRow
#load "prelude.fsx"
#load "paper/Recipe.fs"
#load "beyond/Setting.fs"
#load "beyond/Language.fs"

open LmcDsl
open LmcDsl.Beyond

let plans scale =
    let recipe = Language.published scale
    Language.compare recipe recipe.Train (Language.searches (if scale.Size = Smoke then 4 else 200))

let show report =
    {
        Tables =
            [
                Language.barriers "The published row" [ "network" ] [] report
                Language.blocks report
                Language.themselves
                    [ "network" ]
                    [ Column.mean Quantity.loss; Column.mean Quantity.accuracy; Column.count ]
                    report
            ]
        Figures =
            List.choose id [
                Draw.bars
                    "published-row"
                    "Loss barriers of GPT-2 on Tiny Shakespeare by search. Published for the same recipe (2506.22712): 2.02 as trained, 0.34 by weight matching, 0.02 learned."
                    "network"
                    [ "state"; "search" ]
                    [ Quantity.lossBarrier ]
                    Language.ofPairs
                    report
            ]
    }

let item = Experiment.ofScale "publishedRow" "GPT-2 on Tiny Shakespeare by byte pairs" plans show
item |> Experiment.run fsi.CommandLineArgs
