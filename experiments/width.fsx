// Width: wider networks have a smaller share of dominant singular values and a lower barrier.   dotnet fsi build.fsx -t Width
#load "prelude.fsx"
#load "paper/Recipe.fs"

open LmcDsl
open LmcDsl.Paper

open LmcDsl.Core.Architectures

let measures (recipe: Recipe) =
    recipe.Train
    >> align WM
    >> measureAll [ recipe.Barrier; R; SingularValues ]
    |> sweep SeedsOf (Recipe.seedPairs recipe |> List.truncate 3)

let plans scale =
    let mlp = Recipe.mlp scale FashionMnist

    let widths =
        match scale.Size with
        | Smoke -> [ 4; 8; 16; 24; 32 ]
        | Laptop -> [ 32; 64; 128; 256; 512 ]
        | Size.Paper -> [ 64; 128; 256; 512; 1024; 2048; 4096 ]

    [
        mlp.Setup |> (measures mlp |> sweep (Width(fun w -> Networks.mlp [ w; w; w ])) widths)
        if scale.Size <> Smoke then
            let resnet = Recipe.resnet20 scale

            let multiplier =
                field "width" Number.shortest (fun width (setup: Setup) ->
                    { setup with Network = Networks.resnet20 width Norm.Batch })

            let multipliers =
                if scale.Size = Size.Paper then
                    [ 1.0; 2.0; 4.0; 8.0; 16.0 ]
                else
                    [ 0.125; 0.25; 0.5; 1.0; 2.0 ]

            resnet.Setup |> (measures resnet |> sweep multiplier multipliers)
    ]

let everything (_: Subject) = true

let show report =
    let line id caption series quantity keep = Draw.lines id caption "width" "log" series quantity keep report

    {
        Tables =
            [
                Table.summary
                    "By width"
                    [ "network"; "width"; "state" ]
                    [
                        Column.mean Quantity.lossBarrier
                        Column.mean Quantity.midpointLoss
                        Column.mean Quantity.accuracyBarrier
                        Column.mean (Quantity.r 0.0)
                        Column.mean (Quantity.r 0.3)
                        Column.mean (Quantity.dominantShare 0.3)
                    ]
                    everything
                    report
            ]
        Figures =
            List.choose id [
                line
                    "barrier"
                    "Excess of the test loss at the midpoint over its ends', against width, before and after weight matching."
                    [ "state"; "network" ]
                    Quantity.midpointLoss
                    everything
                line
                    "r"
                    "R of the dominant singular vectors against width."
                    [ "state"; "network" ]
                    (Quantity.r 0.3)
                    everything
                line
                    "dominant"
                    "Share of singular values of at least 0.3 times their layer's largest, against width."
                    [ "network" ]
                    (Quantity.dominantShare 0.3)
                    everything
            ]
    }

let item = Experiment.ofScale "width" "Width: barrier, R and dominant singular values" plans show
item |> Experiment.run fsi.CommandLineArgs
