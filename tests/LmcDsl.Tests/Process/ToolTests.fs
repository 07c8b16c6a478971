/// The command `lmc`, run as a user runs it; with PyTorch's own files where python3-torch is installed.
module LmcDsl.Tests.Process.ToolTests

open System
open System.IO
open Expecto
open LmcDsl
open LmcDsl.Core.Checkpoints
open LmcDsl.Tests.Fixtures

let private roundTrip = Path.Combine(__SOURCE_DIRECTORY__, "pytorch_round_trip.py")

/// Two MLPs as safetensors, written by the command's own library.
let private models folder =
    let network =
        LmcDsl.Core.Architectures.Network(LmcDsl.Core.Architectures.Catalogue.Mlp([| 1; 28; 28 |], [| 16; 8 |], 10))

    for name, seed in [ "a", 1L; "b", 2L ] do
        use model = randomParameters network seed
        use file = File.Create(Path.Combine(folder, $"{name}.safetensors"))
        LmcDsl.Core.Checkpoints.ModelFile.Write(file, model)

let private small = [ "--arch"; "mlp"; "--hidden"; "16"; "8" ]


let private pytorchIsThere = lazy (hasPython "torch")

let tests =
    testSequenced (
        testList "Tool" [
            test "align, merge and measure, as JSON and for people" {
                inFolder (fun folder ->
                    models folder
                    let files = [ "a.safetensors"; "b.safetensors" ]

                    let aligned =
                        lmc folder ([ "align" ] @ files @ small @ [ "-o"; "out.safetensors"; "--json" ])
                        |> done'
                        |> Json.parse

                    Expect.isGreaterThan aligned["L2 drop (%)"].Float 0.0 "nearer"
                    Expect.equal aligned["search"].String "outward WM" "which search"

                    let measure files =
                        let found = lmc folder ([ "measure" ] @ files @ small @ [ "--json" ]) |> done' |> Json.parse
                        found["measured"].Items[0]

                    let after = measure [ "a.safetensors"; "out.safetensors" ]

                    Expect.floatClose
                        Expecto.Accuracy.high
                        after["L2"].Float
                        aligned["L2"].Float
                        "the file holds what was found"

                    lmc folder ([ "merge" ] @ files @ small @ [ "-o"; "mean.safetensors" ]) |> done' |> ignore
                    let halfway = measure [ "a.safetensors"; "mean.safetensors" ]

                    Expect.floatClose
                        Expecto.Accuracy.medium
                        halfway["L2"].Float
                        (after["L2"].Float / 2.0)
                        "the mean is halfway"

                    let text = lmc folder ([ "measure" ] @ files @ small) |> done'
                    Expect.stringContains text "Pairs of models" "a table"
                    Expect.stringContains text "R (γ=0.3)" "with the names that experiments' tables have")
            }

            test "a word means in the command what it means in a script, with the same defaults" {
                inFolder (fun folder ->
                    models folder

                    use a = ModelFile.Read(ReadOnlySpan(File.ReadAllBytes(Path.Combine(folder, "a.safetensors"))), "a")
                    use b = ModelFile.Read(ReadOnlySpan(File.ReadAllBytes(Path.Combine(folder, "b.safetensors"))), "b")
                    use memory = new InMemory(Threading.CancellationToken.None)

                    let population =
                        Population.ofModels [ memory.Given("a", a); memory.Given("b", b) ] Glyphs "cpu" None

                    for word, search in [ "wm", WM; "sinkhorn", SinkhornWM ] do
                        let found =
                            lmc
                                folder
                                ([ "align"; "a.safetensors"; "b.safetensors"; "-o"; $"{word}.safetensors"; "--json" ]
                                 @ small
                                 @ [ "--search"; word ])
                            |> done'
                            |> Json.parse

                        let report = memory.Report((align search >> measure L2) population)
                        let aligned = Subject.ofReport report |> List.find _.Aligned

                        Expect.floatClose
                            Expecto.Accuracy.high
                            found["L2"].Float
                            (Option.get (Quantity.l2.Of aligned))
                            word)
            }

            test "every pair of three models is measured, scores and barriers on the data as it is asked to be scaled" {
                inFolder (fun folder ->
                    models folder
                    File.Copy(Path.Combine(folder, "a.safetensors"), Path.Combine(folder, "c.safetensors"))

                    let measure words =
                        lmc
                            folder
                            ([ "measure"; "a.safetensors"; "b.safetensors"; "c.safetensors"; "--json" ] @ small @ words)
                        |> done'
                        |> Json.parse

                    let all = measure []
                    let pairs = all["measured"].Items
                    Expect.equal pairs.Length 3 "three pairs"
                    Expect.equal pairs[1].["L2"].Float 0.0 "a and c are one"

                    let score words =
                        let found = measure ([ "--metric"; "accuracy"; "--data"; "glyphs:50+100" ] @ words)
                        found["inputs"].String, found["measured"].Items[0].["loss (nats)"].Float

                    let own, unit = score [], score [ "--normalise"; "unit" ]
                    Expect.stringContains (fst own) "standardised" "said"
                    Expect.stringContains (fst unit) "from 0 to 1" "said"
                    Expect.notEqual (snd own) (snd unit) "and another number"
                    let given = score [ "--normalise"; "0/1" ]
                    Expect.equal given unit "the same, in numbers"
                    Expect.notEqual (score [ "--normalise"; "0.5/0.25" ] |> snd) (snd unit) "others")
            }

            test "models trained on inputs from 0 to 1 have the scores and the barrier that PyTorch gives them" {
                let mnist = Path.Combine(string (Environment.GetEnvironmentVariable "LMC_DATA"), "mnist")

                if not (pytorchIsThere.Value && Directory.Exists mnist) then
                    skiptest "python3-torch, or MNIST in LMC_DATA, is not at hand"

                inFolder (fun folder ->
                    let script = Path.Combine(__SOURCE_DIRECTORY__, "pytorch_unit_inputs.py")
                    let theirs = runProgram folder python [ script; mnist; "." ] |> done' |> Json.parse
                    let words = [ "--arch"; "mlp"; "--hidden"; "32"; "--data"; "mnist:6000+2000"; "--json" ]

                    let measure more =
                        lmc
                            folder
                            ([ "measure"; "a.pt"; "b.pt"; "--metric"; "accuracy,barrier"; "--points"; "3" ]
                             @ words
                             @ more)
                        |> done'
                        |> Json.parse

                    let number (json: Json) name models =
                        json["measured"].Items
                        |> List.find (fun row -> row["models"] = Json.texts models)
                        |> fun row -> row[name].Float

                    let unit, own = measure [ "--normalise"; "unit" ], measure []
                    let near what (x: float) (y: float) = Expect.isLessThan (abs (x - y)) 1e-4 $"{what}: {x} and {y}"

                    for name, model in [ "a", "0"; "b", "1" ] do
                        near name (number unit "loss (nats)" [ model ]) theirs[name].["loss"].Float
                        near name (number unit "accuracy (%)" [ model ] / 100.0) theirs[name].["accuracy"].Float

                    let loss name = theirs[name].["loss"].Float
                    let excess = loss "mean" - (loss "a" + loss "b") / 2.0
                    near "the midpoint" (number unit "excess loss at λ=1/2 (nats)" [ "0"; "1" ]) excess
                    // Standardised inputs are other ones: what was used is said.
                    Expect.isGreaterThan (abs (number own "loss (nats)" [ "0" ] - loss "a")) 0.01 "another loss"
                    Expect.stringContains own["inputs"].String "standardised" "said"
                    Expect.stringContains unit["inputs"].String "from 0 to 1" "said")
            }

            test "an argument that a command does not use is refused, and so is a number with a comma" {
                inFolder (fun folder ->
                    models folder
                    let files = [ "a.safetensors"; "b.safetensors" ]

                    for command, words, part in
                        [
                            "measure", [ "--search"; "wm" ], "--search is an argument of align and merge"
                            "measure", [ "-o"; "x.safetensors" ], "--output is an argument of align and merge"
                            "align", [ "--metric"; "l2"; "-o"; "x.safetensors" ], "--metric is an argument of measure"
                            "align", [ "--reset-stats"; "glyphs"; "-o"; "x.safetensors" ], "--reset-stats is"
                            "merge", [ "--points"; "5"; "-o"; "x.safetensors" ], "--points is an argument of measure"
                            "merge", [ "--search"; "none"; "--seed"; "5"; "-o"; "x.safetensors" ], "--seed"
                        ] do
                        let code, _, errors = lmc folder ([ command ] @ files @ small @ words)
                        Expect.equal code 2 $"{command} {words}"
                        Expect.stringContains errors part "says whose it is"

                    for words, parts in
                        [
                            [ "--width"; "0,25" ], [ "--width"; "'0,25'" ]
                            [ "--points"; "5" ], [ "--points"; "l2, r" ]
                            [ "--metric"; "barriers" ], [ "--metric"; "'barriers'"; "nearest: barrier" ]
                            [ "--metric"; "barrier" ], [ "--data"; "barrier needs a data set" ]
                            [ "--metric"; "barrier"; "--data"; "cifar-10" ], [ "--data"; "1 x 28 x 28"; "3 x 32 x 32" ]
                            [ "--metric"; "barrier"; "--data"; "mine.npy" ],
                            [ "--data"; "a .npz file, a folder of pictures, or one of"; "'mine.npy'" ]
                            [ "--metric"; "accuracy"; "--data"; "glyphs"; "--normalise"; "1/0" ], [ "deviations" ]
                            [ "--metric"; "accuracy"; "--data"; "glyphs"; "--normalise"; "std" ],
                            [ "--normalise"; "'std'" ]
                        ] do
                        lmc folder ([ "measure" ] @ files @ small @ words) |> refused parts

                    for search, option in [ "am", "--seed"; "am", "--starts" ] do
                        lmc
                            folder
                            ([ "align" ]
                             @ files
                             @ small
                             @ [ "--search"; search; option; "3"; "--data"; "glyphs"; "-o"; "x.safetensors" ])
                        |> refused [ option; "am" ]

                    for words, parts in
                        [
                            [ "measur" ], [ "nearest: measure"; "lmc --help" ]
                            [ "measure"; "--threads"; "many" ], [ "lmc measure: "; "--threads"; "many"; "--help" ]
                            [ "new"; "a"; "b" ], [ "lmc new: expected NAME"; "lmc new --help" ]
                        ] do
                        let code, _, errors = lmc folder words
                        Expect.equal code 2 $"{words}"
                        Expect.isFalse (errors.Trim().Contains '\n') $"{words}: one line"

                        for part in parts do
                            Expect.stringContains errors part $"{words}"

                    Expect.equal (Directory.GetFiles folder).Length 2 "nothing written")
            }

            test "mistakes are told in one line, with nothing written" {
                inFolder (fun folder ->
                    models folder
                    let align words = lmc folder ([ "align" ] @ words)

                    refused
                        [ "nope.safetensors"; "no such file" ]
                        (align ([ "a.safetensors"; "nope.safetensors" ] @ small @ [ "-o"; "o.safetensors" ]))

                    refused [ "--output" ] (align ([ "a.safetensors"; "b.safetensors" ] @ small))

                    refused
                        [ "--arch"; "'lenet'" ]
                        (align [ "a.safetensors"; "b.safetensors"; "--arch"; "lenet"; "-o"; "o.safetensors" ])

                    refused
                        [ "--search"; "'magic'" ]
                        (align (
                            [ "a.safetensors"; "b.safetensors" ]
                            @ small
                            @ [ "-o"; "o.safetensors"; "--search"; "magic" ]
                        ))

                    refused
                        [ "--data" ]
                        (align (
                            [ "a.safetensors"; "b.safetensors" ] @ small @ [ "-o"; "o.safetensors"; "--search"; "am" ]
                        ))

                    refused
                        [ "fc1.weight [16, 784] where fc1.weight [512, 784]" ]
                        (align [ "a.safetensors"; "b.safetensors"; "--arch"; "mlp"; "-o"; "o.safetensors" ])

                    refused
                        [ "2 or more"; "found 1" ]
                        (align ([ "a.safetensors" ] @ small @ [ "-o"; "o.safetensors" ]))

                    Expect.equal (Directory.GetFiles folder).Length 2 "only the models")
            }

            test "a checkpoint with NaN is refused by every command, with the tensors' names" {
                inFolder (fun folder ->
                    models folder
                    let path = Path.Combine(folder, "b.safetensors")

                    use broken = LmcDsl.Core.Checkpoints.ModelFile.Read(ReadOnlySpan(File.ReadAllBytes path), path)

                    for name in [ "fc1.bias"; "fc3.weight" ] do
                        broken[name].fill_(TorchSharp.Scalar.op_Implicit nan) |> ignore

                    (use file = File.Create path
                     LmcDsl.Core.Checkpoints.ModelFile.Write(file, broken))

                    for words in
                        [
                            [ "align"; "-o"; "o.safetensors" ]
                            [ "merge"; "-o"; "o.safetensors" ]
                            [ "merge"; "-o"; "o.safetensors"; "--search"; "none" ]
                            [ "measure" ]
                        ] do
                        lmc folder ([ words.Head; "a.safetensors"; "b.safetensors" ] @ words.Tail @ small)
                        |> refused [ "b.safetensors"; "NaN"; "fc1.bias, fc3.weight" ]

                    Expect.isFalse (File.Exists(Path.Combine(folder, "o.safetensors"))) "nothing written")
            }

            test "help and wrong words have their exit codes" {
                let code, output, _ = lmc "." [ "--help" ]
                Expect.equal code 0 "help"
                Expect.stringContains output "lmc align a.safetensors" "an example"
                let code, output, _ = lmc "." [ "align"; "--help" ]
                Expect.equal code 0 "help of a command"
                Expect.stringContains output "--arch" "its arguments"
                let code, _, errors = lmc "." [ "destroy" ]
                Expect.equal code 2 "a wrong word"
                Expect.stringContains errors "found 'destroy'" "is told"
            }

            test "a store is listed, verified, exported from and tidied" {
                inFolder (fun folder ->
                    let store = Store.Open(Path.Combine(folder, "store"))
                    let key = String('a', 64)
                    store.Write(key, "value.json", "[1]\n"B, [ "op", Json.Text "test"; "title", Json.Text "a test" ])
                    let run words = lmc folder ([ "store" ] @ words @ [ "--store"; "store"; "--json" ])

                    Expect.equal
                        ((run [ "list" ] |> done' |> Json.parse).Items |> List.map (fun r -> r["title"].String))
                        [ "a test" ]
                        "listed"

                    run [ "export"; key; "-o"; "out.json" ] |> done' |> ignore
                    Expect.equal (File.ReadAllText(Path.Combine(folder, "out.json"))) "[1]\n" "exported"

                    Expect.equal
                        (run [ "verify" ] |> done' |> Json.parse)
                        (Json.parse """{"damaged":[],"intact":1}""")
                        "intact"

                    Expect.equal
                        (run [ "pack"; "-o"; "measured.zip" ] |> done' |> Json.parse)
                        (Json.parse """{"written":"measured.zip","measurements":1}""")
                        "packed"

                    lmc folder [ "store"; "unpack"; "measured.zip"; "--store"; "other" ] |> done' |> ignore

                    match (Store.Open(Path.Combine(folder, "other"))).Read key with
                    | Intact(_, content) -> Expect.equal content "[1]\n"B "unpacked into a store of its own"
                    | other -> failtest $"{other}"

                    refused [ "out.json"; "an archive of measurements" ] (run [ "unpack"; "out.json" ])
                    refused [ "nowhere.zip" ] (run [ "unpack"; "nowhere.zip" ])

                    File.WriteAllText(Path.Combine(folder, "store", "objects", "aa", key, "value.json"), "[2]\n")
                    let verified = run [ "verify" ] |> done' |> Json.parse
                    Expect.equal verified["damaged"].Items.Length 1 "damaged"

                    Expect.equal
                        (run [ "gc" ] |> done' |> Json.parse)
                        (Json.parse """{"removed":0}""")
                        "nothing to remove"

                    refused [ "expected a value"; "bbb" ] (run [ "export"; "bbb" ])
                    refused [ "found 'burn'" ] (run [ "burn" ])
                    refused [ "no folder" ] (lmc folder [ "store"; "list"; "--store"; "nowhere" ]))
            }

            test "PyTorch's state dicts are read, aligned and merged, and what comes back computes the same in PyTorch" {
                if not pytorchIsThere.Value then
                    skiptest "python3-torch is not installed"

                inFolder (fun folder ->
                    runProgram folder python [ roundTrip; "write"; "." ] |> done' |> ignore
                    let resnet = [ "--arch"; "resnet20" ]
                    let mlp = [ "--arch"; "mlp"; "--hidden"; "64"; "32" ]
                    lmc folder ([ "align"; "a.pt"; "b.pt"; "-o"; "b-aligned.safetensors" ] @ resnet) |> done' |> ignore
                    lmc folder ([ "merge"; "a.pt"; "b.pt"; "-o"; "merged.safetensors" ] @ resnet) |> done' |> ignore
                    lmc folder ([ "align"; "m1.pt"; "m2.pt"; "-o"; "m-aligned.safetensors" ] @ mlp) |> done' |> ignore

                    lmc folder ([ "align"; "m1.pt"; "half.pt"; "-o"; "half-aligned.safetensors" ] @ mlp)
                    |> done'
                    |> ignore

                    Expect.stringStarts
                        (runProgram folder python [ roundTrip; "check"; "." ] |> done')
                        "ok"
                        "in PyTorch"
                    // A module pickled whole, whose class is nowhere here: the same model.
                    let whole =
                        lmc folder ([ "align"; "m1.pt"; "whole.pt"; "-o"; "x.safetensors"; "--json" ] @ mlp)
                        |> done'
                        |> Json.parse

                    Expect.equal whole["L2 before"].Float 0.0 "the same numbers")
            }

            test "arguments beyond any use are told at once, and pipes hang nothing" {
                inFolder (fun folder ->
                    models folder
                    let measure words = lmc folder ([ "measure"; "a.safetensors"; "b.safetensors" ] @ words)
                    let write name (text: string) = File.WriteAllText(Path.Combine(folder, name), text)
                    write "null.json" """{"a": null}"""
                    write "list.json" "[1]"
                    runProgram folder "mkfifo" [ "pipe" ] |> done' |> ignore

                    for words, parts in
                        [
                            small @ [ "--width"; "1e300" ], [ "--width"; "1E+300" ]
                            small @ [ "--width"; "nan" ], [ "--width"; "NaN" ]
                            small @ [ "--threads"; "100000" ], [ "--threads"; "100000" ]
                            small @ [ "--threads"; "0" ], [ "--threads"; "found 0" ]
                            small @ [ "--metric"; "barrier"; "--data"; "glyphs"; "--points"; "2000000000" ],
                            [ "--points"; "2000000000" ]
                            small @ [ "--classes"; "-1" ], [ "--classes"; "-1" ]
                            [ "--arch"; "mlp"; "--hidden"; "2000000000" ], [ "--hidden"; "2000000000" ]
                            [ "--arch"; "mlp"; "--input"; "100000"; "100000" ], [ "--input" ]
                            small @ [ "--names"; "null.json" ], [ "null.json"; "'a'"; "null" ]
                            small @ [ "--names"; "list.json" ], [ "list.json"; "JSON object" ]
                            small @ [ "--names"; "pipe" ], [ "pipe"; "found a pipe" ]
                            small @ [ "--names"; "nope.json" ], [ "nope.json"; "no such file" ]
                            [ "--arch"; "pipe" ], [ "pipe"; "found a pipe" ]
                            [ "--arch"; "." ], [ "found a folder" ]
                            small @ [ "--key"; "ema" ], [ "'ema'"; ". (6 tensors)" ]
                            small @ [ "--key"; "a"; "b"; "c" ], [ "--key"; "found 3" ]
                        ] do
                        measure words |> refused parts

                    lmc folder ([ "measure"; "a.safetensors"; "pipe" ] @ small) |> refused [ "pipe"; "found a pipe" ])
            }

            test
                "a merge is of models in one order: its distances are those of alignment, and statistics are recomputed on it" {
                inFolder (fun folder ->
                    let at name = Path.Combine(folder, name)

                    let network =
                        LmcDsl.Core.Architectures.Network(
                            LmcDsl.Core.Architectures.Catalogue.ResNet20(
                                [| 1; 28; 28 |],
                                0.25,
                                10,
                                LmcDsl.Core.Architectures.Norm.Batch
                            )
                        )

                    let write name (model: LmcDsl.Core.Architectures.ParameterSet) =
                        use file = File.Create(at $"{name}.safetensors")
                        LmcDsl.Core.Checkpoints.ModelFile.Write(file, model)

                    use a = randomParameters network 1L
                    use b = randomParameters network 2L
                    use moved = LmcDsl.Core.Permutations.PermutationSet.Random(network, 3L).Apply a
                    List.iter2 write [ "a"; "again"; "b"; "moved" ] [ a; a; b; moved ]

                    let run command (names: string list) out more =
                        let files = [ for name in names -> $"{name}.safetensors" ]

                        let words =
                            [
                                "--arch"
                                "resnet20"
                                "--width"
                                "0.25"
                                "--input"
                                "1"
                                "28"
                                "28"
                                "-o"
                                out
                                "--json"
                            ]

                        lmc folder (command :: files @ words @ more) |> done' |> Json.parse

                    let merge names out more = run "merge" names out more
                    let aligned = run "align" [ "a"; "b" ] "aligned.safetensors" []
                    let both = merge [ "a"; "b"; "moved" ] "both.safetensors" []

                    match both["L2 to the first"].Items with
                    | [ one; copy ] ->
                        Expect.floatClose Expecto.Accuracy.high one.Float aligned["L2"].Float "as align says"
                        Expect.isLessThan one.Float aligned["L2 before"].Float "nearer"
                        Expect.equal copy.Float 0.0 "its own copy"
                    | other -> failtest $"{other}"

                    // What is recomputed is of the merged model: here the model itself.
                    let reset = [ "--reset-stats"; "glyphs" ]
                    merge [ "a"; "moved" ] "found.safetensors" reset |> ignore
                    merge [ "a"; "again" ] "same.safetensors" ([ "--search"; "none" ] @ reset) |> ignore
                    merge [ "a"; "again" ] "kept.safetensors" [ "--search"; "none" ] |> ignore
                    let content name = File.ReadAllBytes(at $"{name}.safetensors")
                    Expect.equal (content "found") (content "same") "found again first"
                    Expect.notEqual (content "same") (content "kept") "recomputed")
            }

            test "large files are told by their bytes while they are read and written" {
                for bytes, total, said in
                    [
                        0L, 999_999L, ""
                        260_000L, 1_000_000L, ": 0.3 of 1.0 MB"
                        1_240_000_000L, 2_200_119_840L, ": 1.2 of 2.2 GB"
                        3_000_000_000L, 2_200_119_840L, ": 2.2 of 2.2 GB"
                    ] do
                    Expect.equal (LmcDsl.Tool.Stage.share bytes total) said $"{bytes} of {total}"

                use inner = new MemoryStream()
                let told = ResizeArray<int64>()
                use counted = new LmcDsl.Tool.Counted(inner, told.Add)
                counted.Write([| 1uy; 2uy; 3uy |], 1, 2)
                counted.Write(ReadOnlySpan [| 4uy |])
                Expect.equal (List.ofArray (inner.ToArray())) [ 2uy; 3uy; 4uy ] "what was written"
                Expect.equal (List.ofSeq told) [ 2L; 3L ] "and told"

                use model = randomParameters smallMlp 1L

                inFolder (fun folder ->
                    let path = Path.Combine(folder, "a.safetensors")
                    using (File.Create path) (fun file -> LmcDsl.Core.Checkpoints.ModelFile.Write(file, model))
                    let map = LmcDsl.Core.Checkpoints.NameMap.For smallMlp
                    let placement = LmcDsl.Core.Checkpoints.Checkpoint.Open(path, smallMlp, map)
                    use _ = placement.Source
                    let read = ResizeArray<int64>()
                    use _ = LmcDsl.Core.Checkpoints.Checkpoint.Load(placement, Action<int64> read.Add)
                    Expect.equal (Seq.last read) (4L * smallMlp.TotalCount) "all bytes"

                    Expect.equal
                        (Seq.last read)
                        (LmcDsl.Tool.Stage.bytesOf placement.Source.Entries)
                        "as many as there are")
            }

            test "what cannot be written, and what is no graph or description, is told by the name that was given" {
                inFolder (fun folder ->
                    models folder
                    File.WriteAllBytes(Path.Combine(folder, "a.onnx"), [| 8uy; 7uy |])
                    let two = [ "a.safetensors"; "b.safetensors" ]

                    for words, parts in
                        [
                            [ "align"; yield! two; yield! small; "-o"; "a.safetensors/o.safetensors" ],
                            [ "--output"; "'a.safetensors/o.safetensors'"; "is a file" ]
                            [ "align"; yield! two; yield! small; "-o"; "/proc/o.safetensors" ],
                            [ "--output"; "'/proc/o.safetensors'"; "takes no files" ]
                            [ "align"; yield! two; "--graph"; "."; "-o"; "o.safetensors" ],
                            [ "."; "expected an ONNX model"; "found a folder" ]
                            [ "describe"; "a.safetensors" ], [ "a.safetensors"; "no text in UTF-8" ]
                            [ "measure"; "a.onnx"; "b.safetensors" ], [ "b.safetensors"; "--graph a.onnx" ]
                        ] do
                        lmc folder words |> refused parts)
            }

            test "an answer that cannot be written is told, and errors that cannot be have their exit code" {
                inFolder (fun folder ->
                    models folder

                    let words =
                        String.concat " " ([ "dotnet"; tool; "measure"; "a.safetensors"; "b.safetensors" ] @ small)

                    let shell line = runProgram folder "/bin/sh" [ "-c"; line ]
                    shell $"{words} > /dev/full" |> refused [ "standard output"; "No space left" ]
                    shell $"{words} >&-" |> refused [ "standard output" ]

                    for errors in [ "2>&-"; "2> /dev/full" ] do
                        let code, _, _ = shell $"{words} --width 0 {errors}"
                        Expect.equal code 1 errors)
            }

            test "a mean that the first file's type does not hold is refused, and nothing is written" {
                inFolder (fun folder ->
                    let network =
                        LmcDsl.Core.Architectures.Network(
                            LmcDsl.Core.Architectures.Catalogue.Mlp([| 1; 28; 28 |], [| 16; 8 |], 10)
                        )

                    let write name (kind: TorchSharp.torch.ScalarType) (scale: float32) =
                        use model = randomParameters network 1L
                        model.Flat.mul_ (TorchSharp.Scalar.op_Implicit scale) |> ignore
                        use file = File.Create(Path.Combine(folder, name))

                        LmcDsl.Core.Checkpoints.SafeTensors.Write(
                            file,
                            [|
                                for spec, view in Seq.zip network.Parameters model.Views ->
                                    struct (spec.Name, view.``to`` kind)
                            |],
                            null
                        )

                    write "half.safetensors" TorchSharp.torch.ScalarType.Float16 1f
                    write "large.safetensors" TorchSharp.torch.ScalarType.Float32 1e6f
                    write "whole.safetensors" TorchSharp.torch.ScalarType.Int64 10f

                    let merge first =
                        lmc folder ([ "merge"; first; "large.safetensors"; "-o"; "m.safetensors" ] @ small)

                    merge "half.safetensors" |> refused [ "half.safetensors"; "'fc1.weight'"; "F16" ]

                    merge "whole.safetensors"
                    |> refused [ "whole.safetensors"; "'fc1.weight'"; "whole numbers of I64" ]

                    Expect.equal (Directory.GetFiles folder).Length 3 "nothing written")
            }

            test
                "what a killed command left of its output is taken away by the next one, and what another writes is not" {
                inFolder (fun folder ->
                    models folder
                    let left = Path.Combine(folder, $"mean.safetensors.{Guid.NewGuid():N}.tmp")
                    let held = Path.Combine(folder, $"other.safetensors.{Guid.NewGuid():N}.tmp")
                    let mine = Path.Combine(folder, "notes.tmp")

                    for path in [ left; mine ] do
                        File.WriteAllText(path, "half")

                    use _ = new FileStream(held, FileMode.CreateNew, FileAccess.Write, FileShare.None)

                    lmc folder ([ "merge"; "a.safetensors"; "b.safetensors"; "-o"; "mean.safetensors" ] @ small)
                    |> done'
                    |> ignore

                    Expect.equal
                        (Directory.GetFiles folder |> Array.map Path.GetFileName |> Array.sort)
                        (Array.sort [|
                            "a.safetensors"
                            "b.safetensors"
                            "mean.safetensors"
                            Path.GetFileName held
                            "notes.tmp"
                        |])
                        "the one that nobody holds is gone")
            }
        ]
    )
