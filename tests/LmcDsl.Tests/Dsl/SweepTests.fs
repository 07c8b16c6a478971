module LmcDsl.Tests.Dsl.SweepTests

open Expecto
open LmcDsl
open LmcDsl.Tests.Fixtures

let private setup = { Setup.standard with Data = Glyphs; Network = mlp [ 4 ]; Threads = 1 }
let private pipeline = train >> align WM >> measure L2

let private labels plan =
    [ for row, _ in ReportStep.rows plan -> row["aligned"].Boolean, Report.labelsOfJson row["labels"] ]

let private trainings plan =
    Plan.steps [ Plan.node plan ] |> List.filter (fun node -> node.Op.Name = "train") |> List.length

let tests =
    testList "Sweep" [
        test "a sweep is one report of every cell's rows, labelled with the value" {
            let plan = setup |> (pipeline |> sweep LearningRate [ 1e-3; 0.5 ])

            Expect.equal
                (labels plan)
                [
                    false, [ "learning rate", "0.001" ]
                    true, [ "learning rate", "0.001"; "search", "WM" ]
                    false, [ "learning rate", "0.5" ]
                    true, [ "learning rate", "0.5"; "search", "WM" ]
                ]
                "rows"

            Expect.equal (trainings plan) 4 "two models for each rate"
        }

        test "sweeps nest, the outer one's label first" {
            let plan = setup |> (pipeline |> sweep WeightDecay [ 0.0; 1.0 ] |> sweep Epochs [ 1; 2; 3 ])
            Expect.equal (labels plan).Length 12 "3 x 2 cells of two rows"
            Expect.equal (snd (labels plan).Head) [ "epochs", "1"; "weight decay", "0" ] "outer, inner"
            Expect.equal (trainings plan) 12 "two models for each cell"
        }

        test "over seeds, batch sizes and widths" {
            let seeds = setup |> (pipeline |> sweep SeedsOf [ [ 0L; 1L ]; [ 1L; 2L ] ])
            Expect.equal (trainings seeds) 3 "seed 1 is trained once"
            Expect.equal (trainings (setup |> (pipeline |> sweep BatchSize [ 10; 20 ]))) 4 "batch sizes"
            let widths = setup |> (pipeline |> sweep (Width(fun w -> mlp [ w; w ])) [ 2; 3 ])

            Expect.equal
                (labels widths |> List.map (snd >> List.head) |> List.distinct)
                [ "width", "2"; "width", "3" ]
                "widths"
        }

        test "over an option of a search, by any pipeline of the value" {
            let search steps = sinkhornMatching (LmcDsl.Core.Matching.SinkhornMatchingOptions(Steps = steps))

            let plan =
                setup |> sweepOver "steps" string [ 10; 20 ] (fun steps -> train >> align (search steps) >> measure L2)

            Expect.equal (trainings plan) 2 "the models are shared"
            Expect.equal (conflicts [ plan ]) [] "and no two rows say different things of the same"
        }

        test "a set-up that cannot be is told before anything runs" {
            failsWith [ "epochs"; "found 0" ] (fun () -> setup |> (pipeline |> sweep Epochs [ 1; 0 ]) |> ignore)
        }

        test "pairs says which pairs are measured, and how many models that takes" {
            let plan = setup |> (train >> pairs [ 0, 3 ] >> measure L2)
            let models = [ for row, _ in ReportStep.rows plan -> [ for m in row["models"].Items -> m.String ] ]
            Expect.equal models [ [ "0"; "3" ] ] "that pair"
            Expect.equal (trainings plan) 2 "and its two models"
        }
    ]
