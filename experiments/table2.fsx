// Table 2: the straight-through estimator beside weight matching, barrier and R.   dotnet fsi build.fsx -t Table2
#load "prelude.fsx"
#load "paper/Recipe.fs"

open LmcDsl
open LmcDsl.Paper

let plans scale =
    [
        for recipe in Recipe.all scale do
            for search in WM :: recipe.StraightThrough do
                recipe.Setup
                |> (recipe.Train
                    >> align search
                    >> measureAll [ recipe.Barrier; L2; R ]
                    |> sweep SeedsOf (Recipe.seedPairs recipe |> List.truncate 3))
    ]

let show report =
    {
        Tables =
            [
                Table.summary
                    "Straight-through searches beside weight matching"
                    [ "network"; "search" ]
                    [
                        Column.mean Quantity.lossBarrier
                        Column.mean Quantity.midpointLoss
                        Column.mean Quantity.accuracyBarrier
                        Column.mean Quantity.reduction
                        Column.mean (Quantity.r 0.0)
                        Column.mean (Quantity.r 0.3)
                        Column.count
                    ]
                    _.Aligned
                    report
            ]
        Figures =
            List.choose id [
                Draw.bars
                    "barrier-straight-through"
                    "Loss barrier of pairs aligned by weight matching and by both straight-through searches."
                    "network"
                    [ "search" ]
                    [ Quantity.lossBarrier ]
                    _.Aligned
                    report
                Draw.bars
                    "r-straight-through"
                    "Agreement R of their dominant singular vectors."
                    "network"
                    [ "search" ]
                    [ Quantity.r 0.3 ]
                    _.Aligned
                    report
            ]
    }

let item = Experiment.ofScale "table2" "Table 2. Straight-through searches: barrier and R" plans show
item |> Experiment.run fsi.CommandLineArgs
