// Figure 3: R between the merged model and its parents, naive and aligned.   dotnet fsi build.fsx -t Figure3
#load "prelude.fsx"
#load "paper/Recipe.fs"

open LmcDsl
open LmcDsl.Paper

let plans scale =
    [
        for recipe in Recipe.all scale do
            recipe.Setup
            |> (recipe.Train >> align WM >> mergeN 2 >> measure R |> sweep SeedsOf (Recipe.seedPairs recipe))
    ]

let withMean (subject: Subject) = List.contains "mean" subject.Models

let show report =
    {
        Tables =
            [
                Table.summary
                    "R between the mean and its parents"
                    [ "network"; "state" ]
                    [ Column.mean (Quantity.r 0.0); Column.mean (Quantity.r 0.3); Column.count ]
                    withMean
                    report
            ]
        Figures =
            Draw.bars
                "r-with-mean"
                "Agreement R of the singular vectors of a merged model and its two parents, merged as trained and after weight matching; mean over pairs and parents."
                "network"
                [ "state" ]
                [ Quantity.r 0.0; Quantity.r 0.3 ]
                withMean
                report
            |> Option.toList
    }

let item = Experiment.ofScale "figure3" "Figure 3. Agreement of the merged model with its parents" plans show
item |> Experiment.run fsi.CommandLineArgs
