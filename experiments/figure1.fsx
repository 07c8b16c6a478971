// Figure 1: singular values of models that differ in seed only are nearly the same.   dotnet fsi build.fsx -t Figure1
#load "prelude.fsx"
#load "paper/Recipe.fs"

open LmcDsl
open LmcDsl.Paper

let plans scale =
    [
        for recipe in Recipe.all scale do
            recipe.Setup |> (recipe.Train >> pairs [ 0, 1; 0, 2 ] >> measure SingularValues)
    ]

let show report =
    let table title keys =
        Table.summary
            title
            keys
            [ Column.mean Quantity.spectrumDifference; Column.count ]
            (fun _ -> true)
            (Spectra.differences report)

    {
        Tables =
            [
                table "Singular values between seeds" [ "network" ]
                table "The same by layer" [ "network"; "layer" ]
            ]
        Figures = Spectra.figures report
    }

let item = Experiment.ofScale "figure1" "Figure 1. Singular values of independently trained models" plans show
item |> Experiment.run fsi.CommandLineArgs
