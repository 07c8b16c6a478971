// Figure 5: R of the pair (b, c), each aligned to a.   dotnet fsi build.fsx -t Figure5
#load "prelude.fsx"
#load "paper/Recipe.fs"

open LmcDsl
open LmcDsl.Paper

let plans scale =
    [
        for recipe in Recipe.mlps scale @ [ Recipe.resnet20 scale ] do
            let solver = if recipe.Title.StartsWith "MLP" then [] else [ recipe.SinkhornWM ]

            for search in [ WM ] @ solver @ [ AM ] @ recipe.StraightThrough do
                recipe.Setup
                |> (recipe.Train
                    >> align search
                    >> pairs [ (1, 2) ]
                    >> measure R
                    |> sweep SeedsOf (Recipe.seedTriples recipe))
    ]

let show report =
    {
        Tables =
            [
                Table.summary
                    "R of the pair (b, c)"
                    [ "network"; "state"; "search" ]
                    [ Column.mean (Quantity.r 0.0); Column.mean (Quantity.r 0.3); Column.count ]
                    (fun _ -> true)
                    report
            ]
        Figures =
            Draw.bars
                "r-b-c"
                "Agreement R of the singular vectors of b and c, each aligned to a by the search; mean over three trials."
                "network"
                [ "search" ]
                [ Quantity.r 0.0; Quantity.r 0.3 ]
                _.Aligned
                report
            |> Option.toList
    }

let item = Experiment.ofScale "figure5" "Figure 5. Agreement of b and c" plans show
item |> Experiment.run fsi.CommandLineArgs
