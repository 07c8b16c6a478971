// Every search on every network: how near it brings two models, and how flat the line between them gets. Networks with
// batch norm twice: with statistics averaged like parameters, and recomputed.   dotnet fsi build.fsx -t Searches
#load "prelude.fsx"
#load "paper/Recipe.fs"

open LmcDsl
open LmcDsl.Paper

let searches (recipe: Recipe) =
    [
        WM
        OutwardWM
        AnnealedWM
        DualWM
        recipe.SinkhornWM
        WM |> startingFrom recipe.SinkhornWM
        AM
        recipe.STE
        recipe.STE |> startingFrom DualWM
        recipe.SinkhornSTE
    ]

let plans scale =
    [
        for recipe in [ Recipe.mlp scale FashionMnist; Recipe.vgg11 scale; Recipe.resnet20 scale ] do
            let hasStatistics = recipe.Title.StartsWith "MLP" |> not

            for search in searches recipe do
                let report models statistics =
                    recipe.Setup
                    |> (models
                        >> align search
                        >> labelled "statistics" statistics
                        >> measureAll [ recipe.Barrier; L2; R ])

                if hasStatistics then
                    report (train >> labelled "network" recipe.Title >> keepStatistics) "kept"
                    report recipe.Train "reset"
                else
                    report recipe.Train "–"
    ]

let show report =
    {
        Tables =
            [
                Table.summary
                    "Every search on every network"
                    [ "network"; "statistics"; "state"; "search" ]
                    [
                        Column.mean Quantity.lossBarrier
                        Column.mean Quantity.midpointLoss
                        Column.mean Quantity.accuracyBarrier
                        Column.mean Quantity.midpointAccuracy
                        Column.mean Quantity.l2
                        Column.mean Quantity.reduction
                        Column.mean (Quantity.r 0.0)
                        Column.mean (Quantity.r 0.3)
                    ]
                    (fun _ -> true)
                    report
            ]
        Figures = (Results.standard [ Barrier; R ] report).Figures
    }

let item = Experiment.ofScale "searches" "Every search on every network" plans show
item |> Experiment.run fsi.CommandLineArgs
