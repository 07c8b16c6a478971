// Theorem 4.1: the distance of weights from singular values and vectors is the direct one.   dotnet fsi build.fsx -t Theorem41
#load "prelude.fsx"

open LmcDsl

let plans scale =
    [
        for recipe in Recipe.all scale do
            recipe.Setup |> (recipe.Train >> align WM >> measure DistanceForms)
    ]

let show report =
    let direct = Quantity.field "distanceForms" [ "direct" ] 1.0 "‖W_a − W_b‖²" 5
    let spectral = Quantity.field "distanceForms" [ "spectral" ] 1.0 "from singular vectors" 5

    let relative =
        { direct with
            Heading = "relative difference (1e-6)"
            Digits = 3
            Of = fun s -> Option.map2 (fun x y -> 1e6 * abs (x - y) / x) (direct.Of s) (spectral.Of s)
        }

    {
        Tables =
            [
                Table.summary
                    "Two forms of the objective, by layer"
                    [ "network"; "state"; "layer" ]
                    [ Column.mean direct; Column.mean spectral; Column.mean relative ]
                    (fun _ -> true)
                    (Subject.byLayer "distanceForms" report)
            ]
        Figures = []
    }

let item = Experiment.ofScale "theorem41" "Theorem 4.1. The objective in terms of singular vectors" plans show
item |> Experiment.run fsi.CommandLineArgs
