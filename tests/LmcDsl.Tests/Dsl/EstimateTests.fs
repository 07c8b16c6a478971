/// What is told of the time that is left, on a clock that the test moves.
module LmcDsl.Tests.Dsl.EstimateTests

open System
open Expecto
open LmcDsl

let private setup = { Setup.standard with Data = Glyphs; Network = mlp [ 4 ]; Threads = 1 }

let private trainings =
    lazy
        ((train >> mergeN 4 >> measure L2) setup |> Plan.node |> List.singleton |> Plan.steps |> List.filter isTraining)

let private at share text = { Share = share; Text = text; Value = None }

let tests =
    testList "Estimate" [
        test "nothing is told before it is known, then what is measured" {
            let mutable now = 0.0
            let estimate = Estimate(fun () -> now)
            estimate.Note(Planned(trainings.Value, 0))
            Expect.isNone estimate.Told "nothing measured"
            estimate.Note(Started trainings.Value[0])
            now <- 30.0 // reading data
            estimate.Note(Advanced(trainings.Value[0], at 0.0 "epoch 1"))
            Expect.isNone estimate.Told "a beginning is no pace"
            now <- 31.5
            estimate.Note(Advanced(trainings.Value[0], at 0.02 "epoch 1"))
            Expect.isNone estimate.Told "too little to say"
            now <- 40.0
            estimate.Note(Advanced(trainings.Value[0], at 0.1 "epoch 1"))
            // 10 s for a tenth, so 90 s for the rest; the other three take that and what came before it: 130 s.
            Expect.floatClose
                Expecto.Accuracy.medium
                estimate.Told.Value.TotalSeconds
                (90.0 + 3.0 * 130.0)
                "by its pace"
        }

        test "steps side by side share what is left, and a kind's take the mean of those that were made" {
            let mutable now = 0.0
            let estimate = Estimate(fun () -> now)
            estimate.Note(Planned(trainings.Value, 0))

            for node, seconds in [ trainings.Value[0], 10.0; trainings.Value[1], 30.0 ] do
                estimate.Note(Started node)
                now <- now + seconds
                estimate.Note(Finished(node, seconds))

            // Two are left, at 20 s each.
            Expect.floatClose Expecto.Accuracy.medium estimate.Left.TotalSeconds 40.0 "one after another"
            estimate.Note(Started trainings.Value[2])
            estimate.Note(Started trainings.Value[3])
            Expect.floatClose Expecto.Accuracy.medium estimate.Left.TotalSeconds 20.0 "side by side"
        }

        test "a slow beginning does not make hours of a minute" {
            let mutable now = 0.0
            let estimate = Estimate(fun () -> now)
            estimate.Note(Planned([ trainings.Value[0] ], 0))
            estimate.Note(Started trainings.Value[0])
            let told = ResizeArray<float>()

            // 5 s for the first thousandth, then 72 s at an even pace.
            for k in 0..72 do
                now <- 5.0 + float k
                estimate.Note(Advanced(trainings.Value[0], at (0.001 + 0.999 * float k / 72.0) ""))
                estimate.Told |> Option.iter (fun time -> told.Add time.TotalSeconds)

            Expect.isGreaterThan told.Count 60 "told most of the time"
            Expect.isLessThan (Seq.max told) 80.0 "never more than it takes"
        }

        test "it runs down with the clock, and a new thought comes in gradually" {
            let mutable now = 0.0
            let estimate = Estimate(fun () -> now)
            estimate.Note(Planned([ trainings.Value[0] ], 0))
            estimate.Note(Started trainings.Value[0])
            estimate.Note(Advanced(trainings.Value[0], at 0.0 ""))
            now <- 10.0
            estimate.Note(Advanced(trainings.Value[0], at 0.1 ""))
            Expect.floatClose Expecto.Accuracy.medium estimate.Told.Value.TotalSeconds 90.0 "first"
            now <- 20.0 // nothing has gone on for ten seconds
            estimate.Note(Advanced(trainings.Value[0], at 0.1 ""))
            // Counted down it would be 80 s, by its pace now 180 s: halfway after ten seconds.
            Expect.floatClose Expecto.Accuracy.medium estimate.Told.Value.TotalSeconds 130.0 "between the two"
        }

        test "without a terminal a line a minute, and one for what is done" {
            let mutable now = 0.0
            let lines = ResizeArray<string>()
            let tell = Terminal.plainLines (fun () -> now) lines.Add
            let node = trainings.Value[0]
            tell (Planned([ node ], 0))
            tell (Started node)

            for second in 1..300 do
                now <- float second
                tell (Advanced(node, at (float second / 300.0) $"epoch {second / 30 + 1}/10, loss 0.5"))

            tell (Finished(node, 300.0))
            Expect.equal lines.Count 7 (String.Join("\n", lines)) // the plan, five minutes, the end
            Expect.equal lines[1] "  train mlp 4 on glyphs, seed 0: epoch 3/10, loss 0.5, 4:00 left" "with what is left"
        }
    ]
