/// Exports that lost the names of the state dict: the checkpoint's tensors are found again by their numbers, or it is said why not.
module LmcDsl.Tests.Process.OnnxNamesTests

open System
open System.IO
open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Data
open LmcDsl.Core.Importing
open LmcDsl.Core.Matching
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private exports = Path.Combine(__SOURCE_DIRECTORY__, "onnx_export.py")
let private cases = Path.Combine(__SOURCE_DIRECTORY__, "onnx_names.py")

let private isThere = lazy (hasPython "torchvision, onnx")

/// Groups, and those with an order in each copy, that exports which keep names give (`OnnxTests`).
let private groupsOf =
    [
        "resnet18", (12, 0)
        "mobilenet_v2", (25, 0)
        "vgg16_bn_narrow", (15, 0)
        "unet", (12, 0)
        "swin", (18, 8)
        "gpt2", (9, 4)
        "llama", (9, 4)
        "lstm", (3, 0)
        "bilstm", (3, 0)
        "gru", (3, 0)
        "groupnorm", (3, 1)
    ]

let private learned (source: TensorSource) =
    set [
        for e in source.Entries do
            if not (Prefix.IsCounter e.Name || e.Type.IsWhole) then
                e.Name
    ]

/// The network under the checkpoint's names, with the checkpoint's numbers: what it gives is what PyTorch gave.
let private found (folder: string) (name: string) (tolerance: float) =
    let at kind = Path.Combine(folder, $"{name}.{kind}")
    use io = TensorSource.Open(at "io.pt")
    let input, output = io.Read "input", io.Read "output"
    use source = TensorSource.Open(at "pt")
    let read = OnnxModel.Read(at "onnx")
    let named = read.Named source
    Expect.isNonEmpty named.Found $"{name}: what was found is said"
    let network = Network named.Architecture
    use placement = (Checkpoint.Open(at "pt", network, NameMap.For network)).Source
    use model = Checkpoint.Load(placement, network, NameMap.For network)
    use own = named.Load network
    Expect.equal (bytes own) (bytes model) $"{name}: its numbers are the checkpoint's"
    let given = network.Forward(model.Views, input)
    let error = difference given (output.reshape given.shape)
    Expect.isLessThan (error / max 1.0 (output.abs().max().ToDouble())) tolerance $"{name}: output"
    let runtime = OnnxOracle.output (at "onnx") 1 input
    let apart = difference given (runtime.reshape given.shape)
    Expect.isLessThan (apart / max 1.0 (output.abs().max().ToDouble())) tolerance $"{name}: ONNX Runtime's output"
    // The description alone is the network.
    let again = Network(Architecture.FromJson(named.Architecture.ToJson()))
    Expect.equal (difference (again.Forward(model.Views, input)) given) 0.0 $"{name}: from its description"
    let struct (largest, _) = SymmetryCheck.Measure model
    Expect.isLessThan largest.Error 1e-5 $"{name}: the law, worst at {largest.Node}"
    foundAgain name network model
    network

/// Which axes move together, by the parameters' names.
let private groups (network: Network) =
    set [
        for group in network.Groups ->
            set [
                for axis in group.Axes ->
                    network.Parameters[axis.Parameter].Name.Replace("model.", ""), axis.Dimension, axis.Offset
            ],
            group.Units,
            group.Copies
    ]

let tests =
    testSequenced (
        testList "Onnx names" [
            test "networks that were exported as a user does who asks for nothing have the checkpoint's names again" {
                if not isThere.Value then
                    skiptest "python3-torchvision and python3-onnx are not installed"

                inFolder (fun folder ->
                    let wanted = [ for name, _ in groupsOf -> $"{name}.default" ]
                    runProgram folder python ([ exports; folder ] @ wanted) |> done' |> ignore

                    for name, (count, own) in groupsOf do
                        use _ = torch.NewDisposeScope()
                        use _ = torch.no_grad ()
                        let network = found folder $"{name}.default" 1e-5
                        use state = TensorSource.Open(Path.Combine(folder, $"{name}.default.pt"))
                        Expect.equal (set [ for p in network.Parameters -> p.Name ]) (learned state) $"{name}: names"
                        let children = network.Groups |> Seq.filter (fun g -> g.Parent >= 0) |> Seq.length
                        Expect.equal (network.Groups.Length, children) (count, own) $"{name}: groups"

                    // As a user does it: a checkpoint's permuted copy comes back bit for bit, so that PyTorch loads it as the checkpoint.
                    for name in [ "resnet18"; "vgg16_bn_narrow"; "mobilenet_v2"; "unet"; "lstm" ] do
                        use _ = torch.NewDisposeScope()
                        let file kind = Path.Combine(folder, $"{name}.default.{kind}")
                        use source = TensorSource.Open(file "pt")
                        let network = Network((OnnxModel.Read(file "onnx")).Named(source).Architecture)
                        let placement = Placement.Of(source, network, NameMap.For network)

                        using (File.Create(file "moved.safetensors")) (fun stream ->
                            Checkpoint.SavePermuted(stream, PermutationSet.Random(network, 7L), placement))

                        let answer =
                            lmc folder [
                                "align"
                                file "pt"
                                file "moved.safetensors"
                                "--graph"
                                file "onnx"
                                "-o"
                                file "back.safetensors"
                                "--json"
                            ]
                            |> done'
                            |> Json.parse

                        Expect.equal answer["L2"].Float 0.0 $"{name}: distance"
                        Expect.stringContains answer["names"].String "default.pt" $"{name}: what was found is said"
                        use back = TensorSource.Open(file "back.safetensors")
                        Expect.equal [ for e in back.Entries -> e.Name ] [ for e in source.Entries -> e.Name ] "names"

                        for entry in source.Entries do
                            Expect.equal
                                ((back.Read entry.Name).bytes.ToArray())
                                ((source.Read entry.Name).bytes.ToArray())
                                $"{name}: {entry.Name}")
            }

            test "numbers decide where they can, the module where they cannot, and else it is refused" {
                if not isThere.Value then
                    skiptest "python3-torchvision and python3-onnx are not installed"

                inFolder (fun folder ->
                    let names =
                        (runProgram folder python [ cases; folder ] |> done')
                            .Split('\n', StringSplitOptions.RemoveEmptyEntries)

                    Expect.isGreaterThan names.Length 15 "cases"

                    for name in names do
                        if not (name.StartsWith "refused") then
                            use _ = torch.NewDisposeScope()
                            use _ = torch.no_grad ()
                            let network = found folder name (if name = "half" then 2e-2 else 1e-5)

                            let kept =
                                Network((OnnxModel.Read(Path.Combine(folder, $"{name}.kept.onnx"))).Architecture)

                            Expect.equal (groups network) (groups kept) $"{name}: groups"

                    // A graph is written with all its outputs: they must stay what they are.
                    let twice name words =
                        lmc folder ([ "align"; $"{name}.onnx"; $"{name}.onnx"; "-o"; "two.onnx" ] @ words)

                    let said: string = twice "two-heads" [] |> done'
                    Expect.stringContains said "outputs: a, b: all stay what they are, 'a' is measured" "which outputs"
                    twice "two-heads" [ "--graph-output"; "a" ] |> refused [ "two-heads.onnx"; "'b' changes" ]
                    twice "two-heads" [ "--graph-output"; "b" ] |> refused [ "'a' changes" ]

                    // A checkpoint has the other head, which the graph's one output does not read.
                    let file kind = Path.Combine(folder, $"two-heads.{kind}")

                    let both = [ "align"; file "pt"; file "pt"; "--graph"; file "onnx"; "-o"; "two.safetensors" ]
                    lmc folder both |> done' |> ignore

                    lmc folder (both @ [ "--graph-output"; "a" ])
                    |> refused [
                        "two-heads.pt"
                        "not expected"
                        "--graph-output a"
                        "without it all is read"
                        "no other fit"
                    ]

                    twice "two-inner" [] |> done' |> ignore
                    twice "two-inner" [ "--graph-output"; "b" ] |> refused [ "'a' changes" ]
                    // What is refused says why, and how to export.
                    for name, parts in
                        [
                            "refused-equal", [ "one.weight, two.weight" ]
                            "refused-fresh", [ "bn1 after conv1.weight"; "bn2 after conv1.weight" ]
                            "refused-rows", [ "found none that is table" ]
                            "refused-mixed", [ "found none that is table" ]
                            "refused-scaled", [ "/MatMul"; "found others" ]
                            "refused-reshaped", [ "'weight' in another shape" ]
                            "refused-other", [ "found others in 'before.weight'" ]
                            "refused-swapped", [ "found others in 'norm" ]
                        ] do
                        let file kind = Path.Combine(folder, $"{name}.{kind}")

                        lmc folder [ "align"; file "pt"; file "pt"; "--graph"; file "onnx"; "-o"; "x.safetensors" ]
                        |> refused (parts @ [ "TrainingMode.PRESERVE"; "do_constant_folding=False" ]))
            }

            test "of several checkpoints the one that the graph was exported from names it" {
                if not isThere.Value then
                    skiptest "python3-torchvision and python3-onnx are not installed"

                inFolder (fun folder ->
                    for seed in [ "1"; "2" ] do
                        let into = Path.Combine(folder, seed)
                        Directory.CreateDirectory into |> ignore

                        runProgram folder "/bin/sh" [ "-c"; $"SEED={seed} {python} '{exports}' '{into}' unet.default" ]
                        |> done'
                        |> ignore

                    let align graph out =
                        lmc folder [
                            "align"
                            "1/unet.default.pt"
                            "2/unet.default.pt"
                            "--graph"
                            graph
                            "-o"
                            out
                            "--json"
                        ]
                        |> done'
                        |> Json.parse

                    let one = align "1/unet.default.onnx" "one.safetensors"
                    let two = align "2/unet.default.onnx" "two.safetensors"
                    Expect.stringContains one["names"].String "1/unet.default.pt" "the first"
                    Expect.stringContains two["names"].String "2/unet.default.pt" "the second"

                    Expect.equal
                        (File.ReadAllBytes(Path.Combine(folder, "one.safetensors")))
                        (File.ReadAllBytes(Path.Combine(folder, "two.safetensors")))
                        "one network either way")
            }
        ]
    )
