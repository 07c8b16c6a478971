/// Which split of the data each operation reads: run again on other training images, or on other test images, what it gives changes only
/// where it reads them.
module LmcDsl.Tests.Dsl.SplitTests

open System.Threading
open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Matching
open LmcDsl.Core.Training
open LmcDsl.Tests.Fixtures
open TorchSharp

/// A network with a bias, a norm and a flatten, so that every repair has something to do.
let private network (data: DataSet) =
    let shape = DataSet.shape data |> List.map string |> String.concat ","

    Architecture.FromJson
        $$"""{"name":"small","input":[{{shape}}],"nodes":[
           {"name":"p","layer":{"kind":"pooling","function":"Average","kernel":4},"inputs":["input"]},
           {"name":"f","layer":{"kind":"flatten"},"inputs":["p"]},
           {"name":"a","layer":{"kind":"dense","units":6,"bias":true},"inputs":["f"]},
           {"name":"n","layer":{"kind":"batchNorm"},"inputs":["a"]},
           {"name":"r","layer":{"kind":"activation","function":"Relu"},"inputs":["n"]},
           {"name":"b","layer":{"kind":"dense","units":5,"bias":true},"inputs":["r"]},
           {"name":"s","layer":{"kind":"activation","function":"Relu"},"inputs":["b"]},
           {"name":"o","layer":{"kind":"dense","units":10,"bias":true},"inputs":["s"]}]}"""

let private setup =
    { Setup.standard with
        Data = DataSet.Glyphs
        Network = network
        Epochs = 1
        BatchSize = 50
        Threads = 1
    }

let private searches =
    [
        WM
        AM
        Search.Sinkhorn(SinkhornMatchingOptions(Steps = 3))
        Search.StraightThrough(StraightThroughOptions(Steps = 2, CheckEvery = 1, BatchSize = 50, CheckOn = 100))
        Search.SinkhornStraightThrough(
            SinkhornStraightThroughOptions(Steps = 2, CheckEvery = 1, BatchSize = 50, CheckOn = 100)
        )
    ]

let private metrics =
    [
        R
        BarrierOnTest 3
        BarrierOnTraining 3
        Taylor
        L2
        DistanceForms
        OutputBound(0.3, 50)
        Accuracy
        SingularValues
        InputProjections 50
        LandscapeOnTest 2
        AgreementWith AM
    ]

/// Plans that hold every operation of the library between them.
let private plans: Plan<Report> list =
    [
        (train >> align WM >> renormalise >> mergeN 3 >> measureAll metrics) setup
        (train >> keepStatistics >> align WM >> mergeN 3 >> measureAll [ BarrierOnTest 3; LandscapeOnTest 2 ]) setup
        for search in searches do
            (train >> align search >> measure L2) setup
        for joint in [ MergeMany; Universe ] do
            (train >> alignAll 2 joint >> measure L2) setup
    ]

/// What each operation reads, with the splits that its arguments name: training images, test images.
let private reads (node: Node) =
    let statistics = (node.Args.TryItem "resetOn").IsSome

    match node.Op with
    | "train"
    | "activationMatching"
    | "straightThrough"
    | "sinkhornStraightThrough"
    | "resetStatistics"
    | "renormalise"
    | "trainingBarrier" -> true, false
    | "score"
    | "taylor"
    | "outputBound"
    | "inputProjections" -> false, true
    | "barrier"
    | "landscape" -> statistics, true
    | "weightMatching"
    | "sinkhornMatching"
    | "mergeMany"
    | "universeMatching"
    | "permute"
    | "merge"
    | "distance"
    | "distanceForms"
    | "singularValues"
    | "singularVectors"
    | "agreement"
    | "report" -> false, false
    | other -> failtest $"{other}: expected an operation whose split is pinned here"

let private draw (seed: int) =
    let split (count: int64) (seed: int64) =
        use generator = LmcDsl.Core.Runtime.Seeds.Generator(seed, "test images")
        let images = torch.randn ([| count; 1L; 28L; 28L |], generator = generator)
        // Classes by how bright an image is, turned about by the seed: other images have other labels too.
        let brightness = images.mean([| 1L; 2L; 3L |]).argsort().argsort()
        new DataSplit(images, (brightness + seed.ToScalar()).remainder(10L.ToScalar()))

    fun (train: int64, test: int64) -> new ImageData(split 120L (int64 seed + train), split 90L (int64 seed + test), 10)

let private runOn (data: ImageData) (node: Node) inputs =
    let op = LibraryOps.all |> List.find (fun op -> op.Name = node.Op)

    op.Run
        {
            Args = node.Args
            Inputs = inputs
            Data = fun _ _ -> data
            Progress = ignore
            SavePartial = ignore
            LoadPartial = fun () -> None
            Note = ignore
            Cancel = CancellationToken.None
        }

let tests =
    testList "Split" [
        test "every operation reads the split that it should, and no other" {
            let data = draw 100
            let usual, otherTrain, otherTest = data (0L, 1L), data (2L, 1L), data (0L, 3L)
            let values = System.Collections.Generic.Dictionary<string, Value>()
            let seen = System.Collections.Generic.HashSet<string>()

            for node in plans |> List.map Plan.node |> Plan.steps do
                // Weight matching permutes in place what it is given.
                let inputs () =
                    [
                        for input in node.Inputs ->
                            match values[input.Key] with
                            | Parameters model -> Parameters(model.Clone())
                            | document -> document
                    ]

                let encoded data = runOn data node (inputs ()) |> Value.encode |> snd
                values[node.Key] <- runOn usual node (inputs ())
                let value = Value.encode values[node.Key] |> snd
                let found = encoded otherTrain <> value, encoded otherTest <> value
                Expect.equal found (reads node) $"{node.Title} ({node.Op}) reads (training, test) images"
                seen.Add node.Op |> ignore

            Expect.equal (set seen) (LibraryOps.all |> List.map _.Name |> set) "every operation of the library was run"
        }
    ]
