module LmcDsl.Tests.Core.FitTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Merging
open LmcDsl.Core.Spectra
open LmcDsl.Core.Training
open LmcDsl.Tests.Fixtures
open TorchSharp

let private model = randomParameters smallMlp 1L
let private other = randomParameters smallMlp 2L
let private good = toyTask smallMlp 20 1L

/// Every operation that takes examples.
let private operations: (string * (DataSplit -> unit)) list =
    [
        "training",
        fun data -> Trainer.Run(TrainingState.Start(smallMlp, 1L, torch.CPU), data, TrainingOptions(), 1L) |> ignore
        "evaluation", fun data -> Evaluator.Evaluate(model, data) |> ignore
        "barrier", fun data -> Barrier.Along(model, other, data) |> ignore
        "barrier, statistics reset", fun data -> Barrier.Along(model, other, good, 3, null, data) |> ignore
        "landscape", fun data -> Landscape.Over(model, other, randomParameters smallMlp 3L, data, 2) |> ignore
        "landscape, statistics reset",
        fun data -> Landscape.Over(model, other, randomParameters smallMlp 3L, good, 2, resetOn = data) |> ignore
        "Taylor estimate", fun data -> TaylorEstimate.AtMidpoint(model, other, data) |> ignore
        "activation matching", fun data -> ActivationMatching.Match(model, other, data) |> ignore
        "straight-through", fun data -> StraightThrough.Match(model, other, data) |> ignore
        "straight-through, Sinkhorn", fun data -> SinkhornStraightThrough.Match(model, other, data) |> ignore
        "statistics reset", fun data -> StatisticsReset.Apply(model, data)
        "renormalisation", fun data -> Renormalisation.Apply(model, [| other |], data)
        "layer inputs", fun data -> InputProjection.Of(model, data) |> ignore
        "layer inputs, bound", fun data -> LayerBound.Between(model, other, data, 0.3) |> ignore
    ]

/// What the line begins with.
let private beginning (name: string) = name.Replace(", Sinkhorn", "").Replace(", bound", "")

let private split (shape: int64 list) (labels: int64 list) =
    let images = torch.zeros (Array.ofList (int64 labels.Length :: shape))
    new DataSplit(images, torch.tensor (Array.ofList labels))

/// A dense layer, whose batch norm sees one value of a channel for each example.
let private dense =
    Network(
        Architecture.FromJson
            """{"name":"norm","input":[1,2,3],"nodes":[
               {"name":"f","layer":{"kind":"flatten"},"inputs":["input"]},
               {"name":"a","layer":{"kind":"dense","units":9,"bias":true},"inputs":["f"]},
               {"name":"n","layer":{"kind":"batchNorm"},"inputs":["a"]},
               {"name":"o","layer":{"kind":"dense","units":3,"bias":true},"inputs":["n"]}]}"""
    )

let private wide = Network(Catalogue.ResNet20([| 3; 8; 8 |], 0.25))
let private narrow = Network(Catalogue.ResNet20([| 3; 4; 4 |], 0.25))

let private cut network (count: int) (size: int) =
    [
        for batch in Batches.Cut(network, int64 count, int64 size, "here") -> int batch.Start, int batch.Count
    ]

let private finite (parameters: ParameterSet) = parameters.Flat.isfinite().all().item<bool>()

let tests =
    testList "Fit" [
        for name, run in operations do
            test
                $"{name}: images of another shape, labels beyond the classes and no images at all are refused in one line" {
                failsWith [ $"{beginning name}: "; "mlp 5-4"; "[1, 2, 3]"; "[3, 4, 4]" ] (fun () ->
                    run (split [ 3L; 4L; 4L ] [ 0L; 1L ]))

                failsWith [ $"{beginning name}: "; "mlp 5-4"; "3 classes"; "label 3" ] (fun () ->
                    run (split [ 1L; 2L; 3L ] [ 0L; 3L ]))

                failsWith [ $"{beginning name}: "; "3 classes"; "label -1" ] (fun () ->
                    run (split [ 1L; 2L; 3L ] [ 0L; -1L ]))

                failsWith [ $"{beginning name}: "; "1 or more images" ] (fun () ->
                    run (new DataSplit(torch.zeros (0L, 1L, 2L, 3L), torch.zeros ([| 0L |], torch.int64))))
            }

        test "a remainder of one goes to the batch before only where batch norm would see one value" {
            Expect.equal (cut dense 129 128) [ 0, 129 ] "dense"
            Expect.equal (cut dense 257 128) [ 0, 128; 128, 129 ] "the last of several"
            Expect.equal (cut dense 130 128) [ 0, 128; 128, 2 ] "two have a deviation"
            Expect.equal (cut dense 5 128) [ 0, 5 ] "one batch"
            Expect.equal (cut narrow 9 4) [ 0, 4; 4, 5 ] "channels of one position"
            Expect.equal (cut wide 9 4) [ 0, 4; 4, 4; 8, 1 ] "several positions have a deviation"
            Expect.equal (cut smallMlp 9 4) [ 0, 4; 4, 4; 8, 1 ] "no batch norm"
            Expect.equal (cut smallMlp 1 1) [ 0, 1 ] "one example"

            for network, size in [ dense, 1; narrow, 1 ] do
                failsWith [ "here: batch norm '"; "2 or more"; "found 1" ] (fun () -> cut network 9 size |> ignore)

            failsWith [ "here: batch norm 'n'"; "found 1" ] (fun () -> cut dense 1 128 |> ignore)
        }

        testPropertyWithConfig (config 200) "batches hold every example once, in order, and none is too small"
        <| fun (FsCheck.PositiveInt count) (FsCheck.PositiveInt size) ->
            let count, size = count + 1, size + 1

            for network in [ dense; smallMlp ] do
                let batches = cut network count size
                Expect.equal (List.collect (fun (at, n) -> [ at .. at + n - 1 ]) batches) [ 0 .. count - 1 ] "once"
                Expect.isTrue (batches |> List.forall (fun (_, n) -> n >= Batches.Least network)) "large enough"

        test "129 images in batches of 128 train, reset and search to numbers, behind a dense layer" {
            use task = toyTask dense 129 1L
            let options = TrainingOptions(Epochs = 2)
            let steps = ResizeArray<int>()
            let tell (p: TrainingProgress) = steps.Add p.Steps

            let run seed =
                Trainer.Run(TrainingState.Start(dense, seed, torch.CPU), task, options, seed, null, tell).Parameters

            use a = run 1L
            use b = run 2L
            Expect.isTrue (finite a) "statistics of the training"
            Expect.equal (List.ofSeq (Seq.distinct steps)) [ 1 ] "one step an epoch"
            StatisticsReset.Apply(a, task, 129, 128)
            Expect.isTrue (finite a) "statistics of the reset"
            let search = StraightThroughOptions(Steps = 2, BatchSize = 2, CheckOn = 129)
            Expect.isTrue (Double.IsFinite(Seq.last (StraightThrough.Match(a, b, task, search)).Objective)) "search"
        }

        test "batches of one are refused before anything runs, behind a dense layer" {
            use task = toyTask dense 20 1L
            use a = randomParameters dense 1L
            let start = TrainingState.Start(dense, 1L, torch.CPU)

            failsWith [ "training: batch norm 'n'"; "found 1" ] (fun () ->
                Trainer.Run(start, task, TrainingOptions(BatchSize = 1), 1L) |> ignore)

            failsWith [ "statistics reset: batch norm 'n'" ] (fun () -> StatisticsReset.Apply(a, task, 1))

            failsWith [ "barrier, statistics reset: batch norm 'n'" ] (fun () ->
                Barrier.Along(a, a, task, 3, null, task, 1) |> ignore)

            for options in [ StraightThroughOptions(BatchSize = 1); StraightThroughOptions(CheckOn = 1) ] do
                failsWith [ "straight-through"; "batch norm 'n'" ] (fun () ->
                    StraightThrough.Match(a, a, task, options) |> ignore)

            failsWith [ "straight-through"; "batch norm 'n'" ] (fun () ->
                SinkhornStraightThrough.Match(a, a, task, SinkhornStraightThroughOptions(BatchSize = 1)) |> ignore)
        }

        test "numbers of points that no machine measures are refused" {
            failsWith [ "barrier"; "100000 at most"; "2000000000" ] (fun () ->
                Barrier.Along(model, other, good, 2_000_000_000) |> ignore)

            use third = randomParameters smallMlp 3L

            for points in [ 65_536; 2_000_000_000 ] do
                failsWith [ "landscape"; "1000 at most"; $"{points}" ] (fun () ->
                    Landscape.Over(model, other, third, good, points) |> ignore)

            failsWith [ "evaluation"; "batch of 1 or more"; "0" ] (fun () ->
                Evaluator.Evaluate(model, good, 0) |> ignore)
        }
    ]
