/// What each option of `lmc` does, without a process: the commands are called with their words.
module LmcDsl.Tests.Process.ToolOptionTests

open System
open System.IO
open System.Threading
open Argu
open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Merging
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open LmcDsl.Tests.Core
open LmcDsl.Tests.NumpyFiles
open LmcDsl.Tool

let private parse (words: string list) : ParseResults<ModelArgument> =
    ArgumentParser.Create<ModelArgument>("lmc").Parse(List.toArray words)

let private write (path: string) (model: ParameterSet) =
    use file = File.Create path
    ModelFile.Write(file, model)

let private read (path: string) = ModelFile.Read(ReadOnlySpan(File.ReadAllBytes path), path)

let private mlp = Network(Catalogue.Mlp([| 1; 28; 28 |], [| 12; 8 |], 10))

/// Two MLPs in a folder: their files, the words that describe them, and the folder.
let private twoMlps (work: string list -> string list -> string -> 'a) : 'a =
    inFolder (fun folder ->
        let files = [ for name in [ "a"; "b" ] -> Path.Combine(folder, $"{name}.safetensors") ]

        for file, seed in List.zip files [ 1L; 2L ] do
            use model = randomParameters mlp seed
            write file model

        work files [ "--arch"; "mlp"; "--hidden"; "12"; "8" ] folder)

let private network words : Network = fst (NetworkArguments.network (parse ("any" :: words)))

let private described (file: string) : Json = fst (DescribeCommand.run (parse [ file ]))

// A wrong argument, which is told with exit code 2.
let private isUsage (part: string) (work: unit -> unit) =
    let told =
        try
            work ()
            "", 0
        with Usage(text, code) ->
            text, code

    Expect.equal (snd told) 2 $"{part}: {fst told}"
    Expect.stringContains (fst told) part "which"

let tests =
    testList "Tool options" [
        test "every ONNX file among the models holds the graph, whatever it is given as" {
            inFolder (fun folder ->
                let graph name activation =
                    let path = Path.Combine(folder, name)

                    let parts =
                        [
                            OnnxBytes.node "Gemm" [ "x"; "a.weight" ] "h" [ OnnxBytes.attribute "transB" 1L ]
                            OnnxBytes.node activation [ "h" ] "r" []
                            OnnxBytes.node "Gemm" [ "r"; "b.weight" ] "y" [ OnnxBytes.attribute "transB" 1L ]
                            OnnxBytes.weight "a.weight" [ 3L; 2L ] [ 1f; 2f; 3f; 4f; 5f; 6f ]
                            OnnxBytes.weight "b.weight" [ 2L; 3L ] [ 1f; 0f; -1f; 2f; 1f; 1f ]
                            OnnxBytes.field 11 (OnnxBytes.valueOf "x" [ 1L; 2L ])
                            OnnxBytes.field 12 (OnnxBytes.valueOf "y" [ 1L; 2L ])
                        ]

                    File.WriteAllBytes(path, OnnxBytes.model 13L parts)
                    path

                let relu, other, tanh = graph "relu.onnx" "Relu", graph "other.onnx" "Relu", graph "tanh.onnx" "Tanh"
                let load words = using (Models.load 2 (parse words)) (fun models -> models.Parameters.Length)
                let refused words = failsWith [ "expected the graph of" ] (fun () -> load words |> ignore)
                refused [ relu; tanh ]
                refused [ relu; tanh; "--graph"; relu ]
                refused [ relu; tanh; "--arch"; relu ]
                refused [ relu; other; "--base"; tanh ]
                Expect.equal (load [ relu; other; "--graph"; relu ]) 2 "one graph"
                Expect.equal (load [ relu; other; "--base"; relu ]) 3 "and its base")
        }

        test "a misspelt option behind files is no file, and what nothing uses is told" {
            let required words = fun () -> ModelArgument.requireUsed "merge" (parse words)
            isUsage "--weights" (required [ "a.pt"; "b.pt"; "--wieghts"; "0.5"; "0.5" ])
            isUsage "--normalise" (required [ "a.pt"; "b.pt"; "--normalise"; "unit" ])
            required [ "a.pt"; "b.pt"; "--normalise"; "unit"; "--data"; "mnist" ] ()
            required [ "a.pt"; "b.pt"; "--weights"; "0.5"; "0.5" ] ()

            for option in [ [ "--width"; "9" ]; [ "--norm"; "layer" ]; [ "--hidden"; "3" ]; [ "--classes"; "7" ] ] do
                isUsage option.Head (fun () -> network ([ "--graph"; "no.onnx" ] @ option) |> ignore)

            isUsage "--graph-output" (fun () -> network [ "--arch"; "mlp"; "--graph-output"; "y" ] |> ignore)
        }

        test "a search has the seed, the starts and the start that are asked for" {
            let asked words = AlignCommand.search (parse ("a" :: "b" :: words))
            let option name value = Search.withOption name (Json.int value)
            Expect.equal (asked []).Name OutwardWM.Name "none asked for"
            let plain = asked [ "--search"; "ste" ]
            Expect.equal plain.Options STE.Options "as a script has it"
            let given = asked [ "--search"; "ste"; "--seed"; "7"; "--starts"; "3" ]
            Expect.equal given.Options (STE |> option "seed" 7L |> option "starts" 3L).Options "seed and starts"
            Expect.equal (plain.Start |> Option.map _.Name) (STE.Start |> Option.map _.Name) "no other start"
            let started = asked [ "--search"; "ste"; "--starting-from"; "wm" ]
            Expect.equal (started.Start |> Option.map _.Name) (Some WM.Name) "begun at"

            failsWith [ "--starts"; "1 to 10000"; "found 0" ] (fun () ->
                asked [ "--search"; "wm"; "--starts"; "0" ] |> ignore)
        }

        test "a merge that draws has the seed that is asked for" {
            let seed words =
                (MergeMethods.asked (parse ("a" :: "b" :: "--method" :: "dare" :: words))).Options["seed"].Int64

            Expect.equal (seed [ "--seed"; "4" ], seed []) (4L, 0L) "asked for, and by default"
        }

        test "--first-groups permutes the units of those in what is written, and of no other" {
            twoMlps (fun files words folder ->
                let out = Path.Combine(folder, "out.safetensors")

                let align more =
                    AlignCommand.run
                        (parse (files @ words @ [ "-o"; out; "--threads"; "1" ] @ more))
                        CancellationToken.None
                    |> ignore

                    read out

                use before = read files[1]
                use all = align []
                use first = align [ "--first-groups"; "1" ]
                use none = align [ "--first-groups"; "0" ]
                let same (one: ParameterSet) (other: ParameterSet) name = difference one[name] other[name] = 0.0
                Expect.isTrue (same first all "fc1.weight") "the first group as found"
                Expect.isFalse (same first before "fc1.weight") "which moves something"
                Expect.isTrue (same first before "fc3.weight") "the second as it was"
                Expect.isFalse (same all before "fc3.weight") "which all of them move"
                Expect.equal (bytes none) (bytes before) "none")
        }

        test "keys are one for all files, or each file's own" {
            let keys words = ArgumentValues.keys [ "a"; "b" ] (parse ("a" :: words)) |> List.map Option.ofObj
            Expect.equal (keys []) [ None; None ] "none"
            Expect.equal (keys [ "--key"; "ema" ]) [ Some "ema"; Some "ema" ] "one"
            Expect.equal (keys [ "--key"; "ema"; "model" ]) [ Some "ema"; Some "model" ] "two"
        }

        test "a network of the catalogue has the width, the norm, the classes and the input that are asked for" {
            for word, norm in [ "batch", Norm.Batch; "layer", Norm.Layer; "none", Norm.None ] do
                let found =
                    network [
                        "--arch"
                        "resnet20"
                        "--width"
                        "0.5"
                        "--norm"
                        word
                        "--classes"
                        "7"
                        "--input"
                        "1"
                        "16"
                        "16"
                    ]

                let expected = Catalogue.Named("resnet20", [| 1; 16; 16 |], 0.5, 7, norm)
                Expect.equal (found.Architecture.ToJson()) (expected.ToJson()) word

            Expect.equal (network [ "--arch"; "resnet20" ]).Classes 10 "by default"
        }

        test "a description says units of one copy, the share that may move, and fixed axes without kernels' own" {
            inFolder (fun folder ->
                let file = Path.Combine(folder, "grouped.json")

                File.WriteAllText(
                    file,
                    """{"name":"grouped","input":[4,4,4],"nodes":[
                       {"name":"a","layer":{"kind":"convolution","channels":6,"kernel":1,"padding":0},"inputs":["input"]},
                       {"name":"b","layer":{"kind":"convolution","channels":6,"groups":2},"inputs":["a"]},
                       {"name":"p","layer":{"kind":"pooling","function":"Average","kernel":4},"inputs":["b"]},
                       {"name":"f","layer":{"kind":"flatten"},"inputs":["p"]},
                       {"name":"c","layer":{"kind":"dense","units":3},"inputs":["f"]}]}"""
                )

                let found = described file
                let groups = [ for g in found["groups"].Items -> g["units"].Int, g["copies"].Int ]
                // The two groups of the grouped convolution change places; within each three channels of what it reads, and of what it has.
                Expect.equal (List.sort groups) [ 2, 1; 3, 2; 3, 2 ] "units and copies"
                // 24 of a, 162 of b, 18 of c; the last bias of 3 stays.
                Expect.floatClose
                    Expecto.Accuracy.high
                    found["that may move (%)"].Float
                    (100.0 * 204.0 / 207.0)
                    "of 207 numbers"

                let pins = [ for pin in found["fixed"].Items -> pin["parameter"].String, pin["axis"].Int ]
                Expect.equal pins [ "a.weight", 1; "c.weight", 0; "c.bias", 0 ] "input and outputs")
        }

        test "data are scaled as asked for: bytes, shares of 255, means over deviations" {
            twoMlps (fun files words folder ->
                let image = Array.init 784 (fun k -> byte (k % 256))

                let path =
                    npz folder [
                        "x_train", npy "|u1" "1, 28, 28" image
                        "y_train", npy "|u1" "1," [| 3uy |]
                        "x_test", npy "|u1" "1, 28, 28" image
                        "y_test", npy "|u1" "1," [| 3uy |]
                    ]

                let numbers way =
                    let arguments = parse (files @ words @ [ "--data"; path; "--normalise"; way ])
                    let data = GivenData.ofArguments arguments mlp |> Option.get
                    use all = DataSet.load data
                    (all.Test.Images.flatten().data<float32>().ToArray(), DataSet.inputs data)

                let near expected (found: float32[], _) way =
                    for k in [ 0; 1; 100; 255; 300 ] do
                        Expect.isLessThan (abs (float found[k] - expected (float image[k]))) 1e-4 $"{way} {k}"

                near id (numbers "none") "none"
                near (fun x -> x / 255.0) (numbers "unit") "unit"
                near (fun x -> (x / 255.0 - 0.5) / 0.25) (numbers "0.5/0.25") "means and deviations"
                Expect.equal (snd (numbers "none")) "bytes, 0 to 255" "said"
                failsWith [ "--normalise"; "'half'" ] (fun () -> numbers "half" |> ignore))
        }

        test "tokens are whole numbers below the vocabulary's size, of the part that they are of" {
            let readsTokens =
                Network(
                    Architecture.FromJson
                        """{"name":"tokens","input":[3],"nodes":[
                           {"name":"e","layer":{"kind":"embedding","tokens":5,"units":4},"inputs":["input"]},
                           {"name":"p","layer":{"kind":"sequencePooling","function":"Mean"},"inputs":["e"]},
                           {"name":"c","layer":{"kind":"dense","units":3},"inputs":["p"]}]}"""
                )

            inFolder (fun folder ->
                let tokens (train: byte list) (test: byte list) =
                    let path =
                        npz folder [
                            "x_train", npy "|u1" "1, 3" (List.toArray train)
                            "y_train", npy "|u1" "1," [| 2uy |]
                            "x_test", npy "|u1" "1, 3" (List.toArray test)
                            "y_test", npy "|u1" "1," [| 1uy |]
                        ]

                    let words = [ "a"; "--arch"; "mlp"; "--data"; path; "--normalise"; "none" ]
                    use all = DataSet.load (GivenData.ofArguments (parse words) readsTokens |> Option.get)
                    [ all.Train.Images; all.Test.Images ] |> List.map (fun x -> List.ofSeq (x.flatten().data<int64>()))

                Expect.equal
                    (tokens [ 0uy; 4uy; 1uy ] [ 2uy; 3uy; 4uy ])
                    [ [ 0L; 4L; 1L ]; [ 2L; 3L; 4L ] ]
                    "as they are"

                failsWith [ "0 to 4"; "--data" ] (fun () -> tokens [ 0uy; 5uy; 1uy ] [ 2uy; 3uy; 4uy ] |> ignore))
        }

        test "examples of two axes fit with axes of one entry and flat, and not turned" {
            let sequences =
                Network(
                    Architecture.FromJson
                        """{"name":"sequences","input":[2,3],"nodes":[
                           {"name":"f","layer":{"kind":"flatten"},"inputs":["input"]},
                           {"name":"c","layer":{"kind":"dense","units":3},"inputs":["f"]}]}"""
                )

            inFolder (fun folder ->
                let numbers = [ 1f; -2f; 3f; -4f; 5f; -6f ]
                let stored = numbers |> List.map BitConverter.GetBytes |> Array.concat

                let read shape =
                    let path =
                        npz folder [
                            "x_train", npy "<f4" shape stored
                            "y_train", npy "|u1" "1," [| 2uy |]
                            "x_test", npy "<f4" shape stored
                            "y_test", npy "|u1" "1," [| 1uy |]
                        ]

                    let words = [ "a"; "--arch"; "mlp"; "--data"; path ]
                    use all = DataSet.load (GivenData.ofArguments (parse words) sequences |> Option.get)
                    let x = all.Test.Images
                    List.ofArray x.shape, List.ofArray (x.flatten().data<float32>().ToArray())

                for shape in [ "1, 2, 3"; "1, 1, 2, 3"; "1, 2, 3, 1"; "1, 6" ] do
                    Expect.equal (read shape) ([ 1L; 2L; 3L ], numbers) shape

                for shape, shown in [ "1, 3, 2", "1 x 3 x 2"; "1, 3, 2, 1", "3 x 2 x 1" ] do
                    failsWith [ "--data"; "2 x 3"; shown ] (fun () -> read shape |> ignore))
        }

        test "--points is on how many lambdas a barrier is measured" {
            twoMlps (fun files words _ ->
                let measured, _ =
                    MeasureCommand.run
                        (parse (
                            files
                            @ words
                            @ [ "--metric"; "barrier"; "--data"; "glyphs:20+30"; "--points"; "5"; "--threads"; "1" ]
                        ))
                        CancellationToken.None

                let lambdas =
                    [
                        for row in measured["rows"].Items do
                            for point in row["value"].["curve"].Items -> point["lambda"].Float
                    ]

                Expect.equal lambdas [ 0.0; 0.25; 0.5; 0.75; 1.0 ] "five")
        }

        test "a merged model's statistics are recomputed on examples to train on, and mixtures' are where there are any" {
            inFolder (fun folder ->
                let normed = Network(Catalogue.Named("resnet20", [| 1; 28; 28 |], 0.125, 10, Norm.Batch))
                let files = [ for name in [ "a"; "b"; "out" ] -> Path.Combine(folder, $"{name}.safetensors") ]
                use one = randomParameters normed 1L
                use other = randomParameters normed 2L
                write files[0] one
                write files[1] other

                let words = [ "--arch"; "resnet20"; "--width"; "0.125"; "--input"; "1"; "28"; "28"; "--threads"; "1" ]

                let merge = [ "--search"; "none"; "--reset-stats"; "glyphs:40+60"; "-o"; files[2] ]

                MergeCommand.run (parse (files[..1] @ words @ merge)) CancellationToken.None |> ignore
                use found = read files[2]
                use expected = Average.Of([| one; other |], null)
                let data = Library.dataSetOr "a data set" "--data" "glyphs:40+60"
                use examples = DataSet.load data
                StatisticsReset.Apply(expected, examples.Train)
                Expect.isLessThan (difference found.Flat expected.Flat) 1e-5 "of the 40"

                use models = Models.load 2 (parse (files[..1] @ words))

                Models.inMemory CancellationToken.None (fun memory ->
                    let population = Models.population memory (parse (files[..1] @ words)) models None
                    Expect.equal population.ResetOn (Some 10_000) "mixtures'"))

            twoMlps (fun files words _ ->
                use models = Models.load 2 (parse (files @ words))

                Models.inMemory CancellationToken.None (fun memory ->
                    let population = Models.population memory (parse (files @ words)) models None
                    Expect.equal population.ResetOn None "none without"))
        }

        test "a base comes first, before the files" {
            twoMlps (fun files words folder ->
                let third = Path.Combine(folder, "base.safetensors")
                use model = randomParameters mlp 3L
                write third model
                use models = Models.load 2 (parse (files @ words @ [ "--base"; third ]))

                Expect.equal
                    [ for placement in models.Placements -> placement.Source.Path ]
                    (third :: files)
                    "its place")
        }
    ]
