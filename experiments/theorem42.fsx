// Theorem 4.2: a layer's output difference and its bound from dominant singular vectors.   dotnet fsi build.fsx -t Theorem42
#load "prelude.fsx"

open LmcDsl

let plans scale =
    [
        for recipe in Recipe.all scale do
            recipe.Setup
            |> sweepOver "γ" string [ 0.0; 0.3 ] (fun gamma ->
                recipe.Train >> align WM >> measure (OutputBound(gamma, recipe.Inputs)))
    ]

let show report =
    let field name heading digits = Quantity.field "outputBound" [ name ] 1.0 heading digits
    let byLayer = Subject.byLayer "outputBound" report

    {
        Tables =
            [
                Table.summary
                    "Output difference and bound, by layer"
                    [ "network"; "layer"; "γ"; "state" ]
                    [
                        Column.mean (field "measured" "measured" 3)
                        Column.mean (field "bound" "bound" 3)
                        Column.mean (field "dominantPart" "of it by dominant vectors" 3)
                        Column.mean (field "largestRatio" "largest measured / bound" 3)
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
                [ field "bound" "bound" 3; field "measured" "measured" 3 ]
                (fun s -> s.Aligned && s.Key "γ" = "0.3" && s.Key "network" = "MLP / MNIST")
                byLayer
            |> Option.toList
    }

let item = Experiment.ofScale "theorem42" "Theorem 4.2. A layer's output difference and its bound" plans show
item |> Experiment.run fsi.CommandLineArgs
