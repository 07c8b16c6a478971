// The published row of language models: GPT-2 of six layers on Tiny Shakespeare by byte pairs, three models, three pairs, by the recipe of 2506.22712.   dotnet fsi build.fsx -t PublishedRow
#load "prelude.fsx"
#load "paper/Recipe.fs"
#load "beyond/Setting.fs"
#load "beyond/Language.fs"

open LmcDsl
open LmcDsl.Beyond
open LmcDsl.Core.Architectures
open LmcDsl.Paper

let plans scale =
    let recipe = Language.published scale
    let steps = if scale.Size = Smoke then 4 else 200

    [
        for name, search in Language.searches steps do
            recipe.Setup
            |> (recipe.Train
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
                    "The published row"
                    [ "network"; "state"; "search" ]
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
                    [ "network" ]
                    [ Column.mean Quantity.loss; Column.mean Quantity.accuracy; Column.count ]
                    (fun s -> s.Models.Length = 1)
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
                    ofPairs
                    report
            ]
    }

let item = Experiment.ofScale "publishedRow" "GPT-2 on Tiny Shakespeare by byte pairs" plans show
item |> Experiment.run fsi.CommandLineArgs
