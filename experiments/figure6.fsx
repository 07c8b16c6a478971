// Figure 6: the accuracy over the plane through three models, naive and aligned.   dotnet fsi build.fsx -t Figure6
#load "prelude.fsx"
#load "paper/Recipe.fs"

open LmcDsl
open LmcDsl.Paper

let plans scale =
    let points = if scale.Size = Smoke then 5 else 21

    [
        for recipe in Recipe.mlps scale do
            recipe.Setup
            |> (recipe.Train
                >> align WM
                >> mergeN 3
                >> measure (LandscapeOnTest points)
                |> sweep SeedsOf (Recipe.seedTriples recipe))
    ]

let show report =
    {
        Tables =
            [
                Table.summary
                    "Test accuracy on the plane"
                    [ "network"; "state" ]
                    [ Column.mean Quantity.cornerAccuracy; Column.mean Quantity.centreAccuracy; Column.count ]
                    (fun _ -> true)
                    report
            ]
        // Of the first three models: the others look alike.
        Figures =
            Landscapes.figures
                {
                    Rows = report.Rows |> List.filter (fun row -> List.contains ("seeds", "0, 1, 2") row.Labels)
                }
    }

let item = Experiment.ofScale "figure6" "Figure 6. Accuracy over the plane through three models" plans show
item |> Experiment.run fsi.CommandLineArgs
