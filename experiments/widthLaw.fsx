// The barrier after weight matching against width: MLPs and a small convolutional network, with the share of dominant singular vectors and a fitted law.   dotnet fsi build.fsx -t WidthLaw
#load "prelude.fsx"
#load "paper/Recipe.fs"
#load "beyond/Setting.fs"
#load "beyond/Law.fs"

open LmcDsl
open LmcDsl.Beyond
open LmcDsl.Paper

let plans (scale: Scale) =
    let mlp, conv = Setting.mlp scale, Setting.conv scale

    let widths =
        match scale.Size with
        | Smoke -> [ 8; 16; 32; 64; 128; 256 ]
        | _ -> [ 16; 32; 64; 128; 256; 512; 1024; 2048; 4096 ]

    let multipliers =
        match scale.Size with
        | Smoke -> [ 0.125; 0.25; 0.5; 1.0; 2.0 ]
        | _ -> [ 0.125; 0.25; 0.5; 1.0; 1.5; 2.0 ]

    let measures (recipe: Recipe) =
        recipe.Train
        >> align WM
        >> measureAll [ recipe.Barrier; R; SingularValues ]
        |> sweep SeedsOf (Setting.somePairs scale)

    let multiplier =
        field "width" Number.shortest (fun width (setup: Setup) -> { setup with Network = Setting.convolutional width })

    let mlp = { mlp with Title = "MLP / Fashion-MNIST" }

    [
        mlp.Setup |> (measures mlp |> sweep (Width(fun w -> Networks.mlp [ w; w; w ])) widths)
        conv.Setup |> (measures conv |> sweep multiplier multipliers)
    ]

let everything (_: Subject) = true

let show report =
    let line id caption network quantity series =
        Draw.lines
            $"{id}-{Draw.slug network}"
            $"{network}: {caption}"
            "width"
            "log"
            series
            quantity
            (fun s -> s.Key "network" = network)
            report

    let networks = Subject.ofReport report |> List.map _.Key("network") |> List.distinct

    {
        Tables =
            [
                Law.table report
                Table.summary
                    "By width"
                    [ "network"; "width"; "state" ]
                    [
                        Column.mean Quantity.lossBarrier
                        Column.mean Quantity.midpointLoss
                        Column.mean Quantity.accuracyBarrier
                        Column.mean (Quantity.r 0.3)
                        Column.mean (Quantity.dominantShare 0.3)
                    ]
                    everything
                    report
            ]
        Figures =
            [
                for network in networks do
                    yield! Law.figure network report |> Option.toList

                    yield!
                        line
                            "dominant"
                            "share of singular values of at least 0.3 times their layer's largest, against width."
                            network
                            (Quantity.dominantShare 0.3)
                            []
                        |> Option.toList

                    yield!
                        line
                            "barrier"
                            "loss barrier against width, before and after weight matching."
                            network
                            Quantity.lossBarrier
                            [ "state" ]
                        |> Option.toList
            ]
    }

let item = Experiment.ofScale "widthLaw" "The barrier after weight matching against width" plans show
item |> Experiment.run fsi.CommandLineArgs
