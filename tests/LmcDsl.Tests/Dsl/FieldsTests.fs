/// Any field of a set-up from the command line.
module LmcDsl.Tests.Dsl.FieldsTests

open System.IO
open Expecto
open Microsoft.FSharp.Reflection
open LmcDsl
open LmcDsl.Core.Training
open LmcDsl.Tests.Fixtures

let private parse words = Arguments.parse "experiments/test.fsx" words
let private set words = (parse ("--set" :: words)).Change Setup.standard
let private network (setup: Setup) = (setup.Network setup.Data).Name

let private usage words =
    try
        parse words |> ignore
        failtest "expected a refusal"
    with Usage(text, code) ->
        Expect.equal code 2 "a wrong argument"
        text

let tests =
    testList "Fields" [
        test "every field of a set-up can be set" {
            let fields = FSharpType.GetRecordFields typeof<Setup> |> Array.map _.Name |> List.ofArray
            let known = Fields.all |> List.map _.Name
            Expect.equal (List.sort ("Width" :: fields)) (List.sort known) "all, and the width"
        }

        test "each value is read as its type says" {
            let setup =
                set [
                    "LearningRate=3e-3"
                    "WeightDecay=0.1"
                    "BatchSize=32"
                    "Epochs=4"
                    "Optimizer=sgd:0.5"
                    "Schedule=cosine:0.1"
                    "Augmentation=flipcrop"
                    "Seeds=5,6"
                    "Device=cpu"
                    "Threads=1"
                    "Data=glyphs:100+50"
                    "Network=mlp:64,32"
                    "Width=16"
                ]

            Expect.equal
                (setup.LearningRate, setup.WeightDecay, setup.BatchSize, setup.Epochs)
                (3e-3, 0.1, 32, 4)
                "numbers"

            Expect.equal (setup.Seeds, setup.Device, setup.Threads) (Listed [ 5L; 6L ], "cpu", 1) "seeds and machine"

            Expect.equal
                (setup.Optimizer, setup.Schedule)
                (Sgd 0.5 :> Optimizer, Cosine 0.1 :> Schedule)
                "how it learns"

            Expect.equal setup.Augmentation Augmentation.FlipCrop "augmentation"
            Expect.equal setup.Data (Part(Glyphs, 100, 50)) "data"
            Expect.equal (network setup) "mlp 16-8" "the network, then its width"
            Expect.equal (network (set [ "width=128" ])) "mlp 128-128-128" "names in any case"
            Expect.equal (set [ "Optimizer=adam:0.8,0.99" ]).Optimizer (Adam(0.8, 0.99)) "betas"
            Expect.equal (set [ "Optimizer=adamw" ]).Optimizer (AdamW() :> Optimizer) "decoupled"
            Expect.equal (set [ "Optimizer=adamw:0.8,0.99" ]).Optimizer (AdamW(0.8, 0.99)) "decoupled, with betas"
            Expect.equal (set [ "Precision=mixed" ]).Precision LmcDsl.Core.Architectures.Precision.Mixed "precision"
            Expect.equal (set [ "Shared=3,2" ]).Shared (Some(SharedStart(3L, 2))) "shared"
            Expect.equal (set [ "Shared=none" ]).Shared None "not shared"
            Expect.equal (set [ "Schedule=constant" ]).Schedule (Constant()) "constant"
            Expect.stringContains (network (set [ "Network=resnet20:0.5:layer" ])) "resnet20" "of the catalogue"

            let described (setup: Setup) = (setup.Network Cifar10).ToJson()

            for word, norm in
                [
                    "layer", LmcDsl.Core.Architectures.Norm.Layer
                    "batch", LmcDsl.Core.Architectures.Norm.Batch
                    "none", LmcDsl.Core.Architectures.Norm.None
                ] do
                let catalogued = (resnet20 0.5 norm Cifar10).ToJson()
                Expect.equal (described (set [ $"Network=resnet20:0.5:{word}" ])) catalogued word

            inFolder (fun folder ->
                let file = Path.Combine(folder, "net.json")
                File.WriteAllText(file, (mlp [ 7 ] Glyphs).ToJson())
                Expect.equal (network (set [ $"Network={file}" ])) "mlp 7" "a description")
        }

        test "what is set is what a script would have written: the same keys" {
            let keys (setup: Setup) = (Plan.node ((train >> align WM >> measure L2) setup)).Key

            let own =
                { Setup.standard with
                    Network = mlp [ 64; 64; 64 ]
                    LearningRate = 0.01
                    Threads = 1
                }

            Expect.equal (keys (set [ "Width=64"; "LearningRate=0.01"; "Threads=1" ])) (keys own) "one plan"
        }

        test "it is part of the command that results name, and of what workers are told" {
            let read = parse [ "--set"; "Width=8"; "--store"; "s"; "--seeds"; "1"; "2" ]
            Expect.equal read.Essential [ "--set"; "Width=8"; "--seeds"; "1"; "2" ] "recorded"
            Expect.isTrue (parse [ "--set"; "Data=glyphs" ]).NamesData "data that are named are no fallback's"
        }

        test "help and mistakes have names and types" {
            let help =
                try
                    parse [ "--help" ] |> ignore
                    ""
                with Usage(text, _) ->
                    text.ReplaceLineEndings " "

            for part in [ "LearningRate (a number)"; "Epochs (a whole number)"; "Optimizer (adam" ] do
                let flat = System.Text.RegularExpressions.Regex.Replace(help, " +", " ")
                Expect.stringContains flat part "in help"

            let refused parts words = failsWith parts (fun () -> set words |> ignore)
            refused [ "--set"; "LearningRate (a number)"; "'LerningRate'"; "nearest: LearningRate" ] [ "LerningRate=1" ]
            refused [ "--set Epochs"; "a whole number"; "'ten'" ] [ "Epochs=ten" ]
            refused [ "--set LearningRate"; "a number"; "'0,1'" ] [ "LearningRate=0,1" ]
            refused [ "FIELD=VALUE"; "'Epochs'" ] [ "Epochs" ]
            refused [ "--set: expected Epochs once" ] [ "Epochs=1"; "epochs=2" ]
            refused [ "--set Optimizer"; "sgd:MOMENTUM"; "'sdg'" ] [ "Optimizer=sdg" ]
            refused [ "--set Network"; "nearest: resnet20" ] [ "Network=resnet2" ]
            refused [ "--set Threads"; "1 or more" ] [ "Threads=0" ]
            refused [ "expected it once"; "--epochs as well" ] [ "Epochs=1"; "--epochs"; "2" ]
        }

        test "an argument that is none, and a word that stands for nothing, are told with what was probably meant" {
            Expect.stringContains (usage [ "--epoch"; "3" ]) "found '--epoch'; did you mean --epochs?" "near"
            Expect.stringContains (usage [ "--sets"; "Width=3" ]) "did you mean --set?" "near"
            Expect.stringContains (usage [ "--xyzzy" ]) "expected an argument, found '--xyzzy'" "far"

            for words, near in [ [ "--scale"; "smok" ], "smoke"; [ "--on"; "slrm" ], "slurm" ] do
                failsWith [ $"nearest: {near}" ] (fun () -> parse words |> ignore)
        }

        test "an experiment is known by its script's path, not by its name" {
            let folder = Path.GetTempPath()
            let path = Path.Combine(folder, "mine.fsx")
            let found caller line = ExperimentRun.ownScript caller line |> Option.map snd
            Expect.equal (found path [| path; "--plan" |]) (Some [ "--plan" ]) "its own"
            let relative = Path.GetRelativePath(Directory.GetCurrentDirectory(), path)
            Expect.equal (found path [| relative |]) (Some []) "however it is named"
            Expect.isNone (found (Path.Combine(folder, "other.fsx")) [| path |]) "loaded by another one"
            Expect.isNone (found path [||]) "no script"
        }
    ]
