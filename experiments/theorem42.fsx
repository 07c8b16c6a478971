// Theorem 4.2: a layer's output difference and its bound from dominant singular vectors.   dotnet fsi build.fsx -t Theorem42
#load "prelude.fsx"
#load "paper/Recipe.fs"

open LmcDsl
open LmcDsl.Paper

let plans scale =
    [
        for recipe in Recipe.all scale do
            recipe.Setup
            |> sweepOver "γ" string [ 0.0; 0.3 ] (fun gamma ->
                recipe.Train >> align WM >> measure (OutputBound(gamma, recipe.Inputs)))
    ]

let show report =
    let byLayer = outputBoundByLayer report

    {
        Tables =
            [
                Table.summary
                    "Output difference and bound, by layer"
                    [ "network"; "layer"; "γ"; "state" ]
                    [
                        Column.mean Quantity.outputDifference
                        Column.mean Quantity.outputBound
                        Column.mean Quantity.dominantBound
                        Column.mean Quantity.boundRatio
                    ]
                    (fun _ -> true)
                    byLayer
            ]
        Figures =
            Draw.bars
                "output-bound"
                "Mean difference of the outputs of each layer of the MLP on MNIST between two aligned models, on the same inputs, and its bound (γ = 0.3)."
                "layer"
                []
                [ Quantity.outputBound; Quantity.outputDifference ]
                (fun s -> s.Aligned && s.Key "γ" = "0.3" && s.Key "network" = "MLP / MNIST")
                byLayer
            |> Option.toList
    }

let item = Experiment.ofScale "theorem42" "Theorem 4.2. A layer's output difference and its bound" plans show
item |> Experiment.run fsi.CommandLineArgs
