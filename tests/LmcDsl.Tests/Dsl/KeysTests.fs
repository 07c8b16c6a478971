module LmcDsl.Tests.Dsl.KeysTests

open System.IO
open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Training

let private setup = { Setup.standard with Threads = 2 }

let private withNorm =
    { setup with
        Data = Part(Glyphs, 1000, 200)
        Network = resnet20 0.25 Norm.Batch
        Optimizer = Sgd 0.9
        Schedule = LinearUpDown 0.1
        Augmentation = Augmentation.FlipCrop
        WeightDecay = 5e-4
        Seeds = Listed [ 3L; 5L; 8L ]
        Threads = 1
    }

let private every =
    [
        R
        SingularVectors [ 0.25 ]
        Barrier
        BarrierOnTest 7
        BarrierOnTraining 5
        Taylor
        L2
        DistanceForms
        OutputBound(0.3, 50)
        Accuracy
        SingularValues
        InputProjections 40
        LandscapeOnTest 5
        AgreementWith WM
        AgreementWith(STE |> startingFrom AM)
    ]

let private searches =
    [
        WM
        SinkhornWM
        AM
        STE
        SinkhornSTE
        weightMatching (WeightMatchingOptions(Seed = 4L, Starts = 3))
        sinkhornMatching (SinkhornMatchingOptions(Steps = 20, Polish = true))
        activationMatching (ActivationMatchingOptions(Correlation = true))
        straightThrough (StraightThroughOptions(Steps = 7))
        sinkhornStraightThrough (SinkhornStraightThroughOptions(Steps = 9))
        STE |> startingFrom AM
        WM |> startingFrom SinkhornWM
        SinkhornSTE |> startingFrom (WM |> startingFrom AM)
    ]

let private others =
    [
        { setup with Data = Mnist }
        { setup with Data = Glyphs; Device = "cuda:1" }
        { setup with Data = Part(Mnist, 2000, 500); Schedule = Cosine(0.2) }
        { setup with
            Network = resnet20 0.125 Norm.None
            Data = Part(FashionMnist, 64, 32)
        }
        { setup with Network = mlp []; Optimizer = Adam(0.8) }
    ]

let private fields = train >> align WM >> measureAll [ L2; Accuracy ]

/// One pipeline at least for each operation, metric, search, stage and field.
let private pipelines: (string * Plan<Report> list) list =
    [
        "the main job", [ (train >> align WM >> mergeN 3 >> measure R) setup ]
        "every metric", [ (train >> align WM >> mergeN 3 >> measureAll every) setup ]
        "every metric, statistics reset", [ (train >> align AM >> mergeN 3 >> measureAll every) withNorm ]
        "every search", [ for search in searches -> (train >> align search >> measure L2) setup ]
        "every search, statistics reset",
        [ for search in searches -> (train >> align search >> mergeN 2 >> measure Accuracy) withNorm ]
        "several models together",
        [
            for search in [ MergeMany; Universe; mergeMany (MergeManyOptions(Seed = 2L)) ] ->
                (train >> alignAll 3 search >> mergeN 3 >> measureAll [ L2; R; Accuracy ]) setup
        ]
        "merging",
        [
            (train >> align WM >> keepStatistics >> mergeN 2 >> measure Accuracy) withNorm
            (train >> align WM >> repairOn 77 >> mergeN 2 >> measureAll [ Accuracy; Barrier ]) withNorm
            (train >> align WM >> renormalise >> mergeN 2 >> measure Accuracy) withNorm
        ]
        "labels and pairs",
        [
            (train >> labelled "network" "small" >> alignAs "by weights" WM >> pairs [ (1, 2) ] >> measureAll [ L2; R ])
                setup
        ]
        "sweeps",
        [
            setup |> (fields |> sweep LearningRate [ 1e-4; 1e-2 ] |> sweep Epochs [ 2; 3 ])
            setup |> (fields |> sweep WeightDecay [ 1e-4 ])
            setup |> (fields |> sweep BatchSize [ 32 ])
            setup |> (fields |> sweep SeedsOf [ [ 0L; 1L ]; [ 2L; 3L ] ])
            setup |> (fields |> sweep (Width(fun w -> mlp [ w; w ])) [ 8; 16 ])
            setup
            |> sweepOver "steps" string [ 5; 6 ] (fun n ->
                train >> align (sinkhornMatching (SinkhornMatchingOptions(Steps = n))) >> measure L2)
        ]
        "over all symmetries",
        [
            for search in
                [
                    RotatedWM
                    Learned
                    AnnealedWM
                    DualWM
                    rotatedMatching (RotatedMatchingOptions(Power = 2.0))
                    OutwardWM
                ] -> (train >> align search >> mergeN 2 >> measureAll [ L2; SimplexBarrier; RByBlock ]) setup
        ]
        @ [ (train >> alignAll 3 RotatedMergeMany >> mergeN 3 >> measure L2) setup ]
        "text",
        [
            for changed in
                [
                    { setup with
                        Data = TinyShakespeare
                        Network = gpt { Layers = 1; Width = 8; Heads = 2; Context = 128 }
                    }
                    { setup with
                        Data = TinyShakespeare
                        Network = llama { Layers = 1; Width = 8; Heads = 2; Context = 16 }
                    }
                ] -> (train >> measure Accuracy) changed
        ]
        "data and devices", [ for changed in others -> (train >> measureAll [ Accuracy; Barrier ]) changed ]
        "merges beside the mean",
        [
            for merge in
                [ Mean; Spherical; TaskArithmetic; TIES; DARE; DareTIES; Layers; byLayer [ "fc1", [ 1.0; 0.0 ] ] ] do
                (train >> align WM >> mergeBy merge 2 >> measure Accuracy) setup
            (train >> align WM >> mergeWith [ 0.5; 0.3; 0.2 ] >> measure Accuracy) setup
            (train >> alignFirst 1 WM >> measure L2) setup
            (train >> align WM >> measure PermutationCycles) setup
        ]
        "mixed precision, shared starts, decoupled decay",
        [
            for changed in
                [
                    { setup with Precision = Precision.Mixed }
                    { setup with Shared = Some(SharedStart(7L, 3)) }
                    { setup with Optimizer = AdamW(); WeightDecay = 0.01 }
                ] -> (train >> measure Accuracy) changed
        ]
        "activations, few images, permutations of another training",
        [
            (train
             >> align (STE |> givenImages 100)
             >> measureAll [ ActivationsOn 40; Metric.onFirst 100 (BarrierOnTraining 5) ])
                setup
            (let wider = { setup with LearningRate = 1e-2 }
             (train >> alignLike "lr 0.01" ((train >> align WM) wider) >> measure L2) setup)
        ]
        "byte pairs, tokens by their frequency",
        [
            (train >> align TokenWM >> measure L2)
                { setup with
                    Data = TinyShakespeareBytePairs
                    Network = gpt { Layers = 1; Width = 8; Heads = 2; Context = 16 }
                }
        ]
    ]

let private text () =
    let seen = System.Collections.Generic.HashSet<string>()

    [
        for name, plans in pipelines do
            $"# {name}"

            for node in Plan.steps (plans |> List.map Plan.node) do
                if seen.Add node.Key then
                    $"{node.Key} {node.Op.Name} {node.Op.Version}: {node.Title}"
    ]
    |> String.concat "\n"

let tests =
    testList "Keys" [
        test "every operation and stage has the keys that stored results lie under" {
            let golden = File.ReadAllText(Path.Combine(__SOURCE_DIRECTORY__, "keys.txt"))
            Expect.equal (text () + "\n") golden "keys, names, versions and titles"
        }
    ]
