// Figure 2: R between two models, with and without permutation, over pairs and five searches of each.   dotnet fsi build.fsx -t Figure2
#load "prelude.fsx"
#load "paper/Recipe.fs"

open LmcDsl
open LmcDsl.Paper

open LmcDsl.Core.Matching

let searchWith seed = weightMatching (WeightMatchingOptions(Seed = seed))

let plans scale =
    [
        for recipe in Recipe.all scale do
            recipe.Setup
            |> sweepOver "seed of the search" string [ 0L .. 4L ] (fun seed ->

                recipe.Train
                >> align (searchWith seed)
                >> measureAll [ R; L2 ]
                |> sweep SeedsOf (Recipe.seedPairs recipe))
    ]

let show report =
    let columns =
        [
            Column.mean (Quantity.r 0.0)
            Column.mean (Quantity.r 0.3)
            Column.mean Quantity.reduction
            Column.count
        ]

    {
        Tables = [ Table.summary "R between two models" [ "network"; "state" ] columns (fun _ -> true) report ]
        Figures =
            Draw.bars
                "r-between-models"
                "Agreement R of the singular vectors of two models, as trained and aligned by weight matching: all vectors (γ = 0) and the dominant ones (γ = 0.3). Mean over pairs of models and five searches of each."
                "network"
                [ "state" ]
                [ Quantity.r 0.0; Quantity.r 0.3 ]
                (fun _ -> true)
                report
            |> Option.toList
    }

let item =
    Experiment.ofScale "figure2" "Figure 2. Agreement of singular vectors, with and without permutation" plans show

item |> Experiment.run fsi.CommandLineArgs
