// Table 1: what weight matching does to barrier, its Taylor estimate and distance.   dotnet fsi build.fsx -t Table1
#load "prelude.fsx"
#load "paper/Recipe.fs"

open LmcDsl
open LmcDsl.Paper

let plans scale =
    [
        for recipe in Recipe.all scale do
            for search in [ WM; recipe.SinkhornWM ] do
                recipe.Setup
                |> (recipe.Train
                    >> align search
                    >> measureAll [ recipe.Barrier; Taylor; L2 ]
                    |> sweep SeedsOf (Recipe.seedPairs recipe))
    ]

let show report =
    let columns =
        [
            Column.mean Quantity.naiveBarrier
            Column.mean Quantity.lossBarrier
            Column.mean Quantity.accuracyBarrier
            Column.mean Quantity.midpointLoss
            Column.mean Quantity.taylor
            Column.paired "p (Taylor = at 1/2)" Quantity.taylor Quantity.midpointLoss
            Column.mean Quantity.l2Before
            Column.mean Quantity.l2
            Column.mean Quantity.reduction
            Column.count
        ]

    {
        Tables = [ Table.summary "Weight matching, both solvers" [ "network"; "search" ] columns _.Aligned report ]
        Figures =
            Draw.bars
                "taylor"
                "The barrier at the midpoint and its Taylor estimate, after weight matching; whiskers of one standard deviation over pairs of models."
                "network"
                [ "search" ]
                [ Quantity.taylor; Quantity.midpointLoss ]
                _.Aligned
                report
            |> Option.toList
    }

let item = Experiment.ofScale "table1" "Table 1. Weight matching: barrier, Taylor estimate, distance" plans show
item |> Experiment.run fsi.CommandLineArgs
