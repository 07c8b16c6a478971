// Theorem 4.1: the distance of weights from singular values and vectors is the direct one.   dotnet fsi build.fsx -t Theorem41
#load "prelude.fsx"
#load "paper/Recipe.fs"

open LmcDsl
open LmcDsl.Paper

let plans scale =
    [
        for recipe in Recipe.all scale do
            recipe.Setup |> (recipe.Train >> align WM >> measure DistanceForms)
    ]

let show report =
    {
        Tables =
            [
                Table.summary
                    "Two forms of the objective, by layer"
                    [ "network"; "state"; "layer" ]
                    [
                        Column.mean Quantity.directDistance
                        Column.mean Quantity.spectralDistance
                        Column.mean Quantity.formsDifference
                    ]
                    (fun _ -> true)
                    (distanceFormsByLayer report)
            ]
        Figures = []
    }

let item = Experiment.ofScale "theorem41" "Theorem 4.1. The objective in terms of singular vectors" plans show
item |> Experiment.run fsi.CommandLineArgs
