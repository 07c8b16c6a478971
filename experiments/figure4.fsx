// Figure 4: layer inputs lie along right singular vectors of large singular values.   dotnet fsi build.fsx -t Figure4
#load "prelude.fsx"
#load "paper/Recipe.fs"

open LmcDsl
open LmcDsl.Paper

let plans scale =
    [
        for recipe in Recipe.all scale do
            recipe.Setup |> (recipe.Train >> pairs [ 0, 1; 0, 2 ] >> measure (InputProjections recipe.Inputs))
    ]

let show report =
    let columns =
        [
            Column.mean Quantity.dominantVectors
            Column.mean Quantity.dominantEnergy
            Column.mean Quantity.energyPerVector
            Column.count
        ]

    let table title keys = Table.summary title keys columns (fun _ -> true) (Spectra.inputEnergy 0.3 report)

    {
        Tables =
            [
                table "Dominant right singular vectors (γ = 0.3)" [ "network" ]
                table "The same by layer" [ "network"; "layer" ]
            ]
        Figures = Spectra.projectionFigures report
    }

let item = Experiment.ofScale "figure4" "Figure 4. Layer inputs and right singular vectors" plans show
item |> Experiment.run fsi.CommandLineArgs
