// Regularisation: weight decay and learning rate against dominant singular values and barrier.   dotnet fsi build.fsx -t Regularisation
#load "prelude.fsx"
#load "paper/Recipe.fs"

open LmcDsl
open LmcDsl.Paper

let plans scale =
    // So narrow that weight matching leaves a barrier: where there is none, nothing can lower it.
    let width = if scale.Size = Smoke then 16 else 64
    let mlp = Recipe.mlp scale FashionMnist |> Recipe.ofWidth width

    let measures =
        mlp.Train
        >> align WM
        >> measureAll [ mlp.Barrier; R; SingularValues; Accuracy ]
        |> sweep SeedsOf (Recipe.seedPairs mlp |> List.truncate 3)

    [
        mlp.Setup |> (measures |> sweep WeightDecay [ 0.0; 3e-5; 1e-4; 3e-4; 1e-3 ])
        mlp.Setup |> (measures |> sweep LearningRate [ 1e-4; 3e-4; 1e-3; 3e-3; 1e-2 ])
    ]

let show report =
    let has name (subject: Subject) = subject.Key name <> "–"

    let table name =
        Table.summary
            $"By {name}"
            [ name; "state" ]
            [
                Column.mean Quantity.lossBarrier
                Column.mean Quantity.midpointLoss
                Column.mean Quantity.accuracyBarrier
                Column.mean (Quantity.r 0.3)
                Column.mean (Quantity.dominantShare 0.3)
                Column.mean Quantity.accuracy
            ]
            (has name)
            report

    let line id caption name series quantity = Draw.lines id caption name "category" series quantity (has name) report

    {
        Tables = [ table "weight decay"; table "learning rate" ]
        Figures =
            List.choose id [
                for name, id in [ "weight decay", "decay"; "learning rate", "rate" ] do
                    line
                        $"barrier-{id}"
                        $"Excess of the test loss at the midpoint over its ends', against {name}, before and after weight matching."
                        name
                        [ "state" ]
                        Quantity.midpointLoss

                    line
                        $"dominant-{id}"
                        $"Share of singular values of at least 0.3 times their layer's largest, against {name}."
                        name
                        []
                        (Quantity.dominantShare 0.3)
            ]
    }

let item = Experiment.ofScale "regularisation" "Regularisation: weight decay and learning rate" plans show
item |> Experiment.run fsi.CommandLineArgs
