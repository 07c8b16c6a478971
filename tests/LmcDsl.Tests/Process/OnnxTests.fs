module LmcDsl.Tests.Process.OnnxTests

open System
open System.IO
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Importing
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private script = Path.Combine(__SOURCE_DIRECTORY__, "onnx_export.py")
let private python = "/usr/bin/python3"

let private isThere =
    lazy
        (File.Exists python
         && (let code, _, _ = runProgram "." python [ "-c"; "import torchvision, onnx" ] in code = 0))

/// Groups that move by themselves, and those of them with an order in each copy, as another derivation on exports of these networks
/// gave them; none where it had none.
let private known =
    dict [
        "resnet18", (12, 0)
        "mobilenet_v2", (25, 0)
        "mobilenet_v3_small", (27, 0)
        "efficientnet_b0", (40, 0)
        "densenet121", (120, 0)
        "squeezenet1_1", (25, 0)
        "googlenet", (57, 0)
        "resnext50_32x4d", (53, 32)
        "regnet_y_400mf", (69, 32)
        "unet", (12, 0)
    ]

/// The law, and by how much it is broken when one tensor stays as it was.
let private check (name: string) (network: Network) (model: ParameterSet) (x: torch.Tensor) =
    for seed in 1L .. 2L do
        let element = PermutationSet.Random(network, seed)
        use moved = element.Apply model
        let broken = SymmetryCheck.FirstBreak(model, moved, element, x) |> Option.ofNullable
        Expect.equal broken None $"{name}: the law at every node"

    let wanted = network.Forward(model.Views, x)
    use moved = PermutationSet.Random(network, 1L).Apply model
    let error (found: torch.Tensor) = difference found wanted / max 1.0 (wanted.abs().max().ToDouble())
    let law = error (network.Forward(moved.Views, x))
    Expect.isLessThan law 1e-5 $"{name}: the file's own numbers"
    // The control: the largest weight that moves stays where it was.
    let largest =
        network.Groups
        |> Seq.collect _.Axes
        |> Seq.map _.Parameter
        |> Seq.distinct
        |> Seq.maxBy (fun p -> network.Parameters[p].Count)

    moved.Views[largest].copy_(model.Views[largest]) |> ignore
    Expect.isGreaterThan (error (network.Forward(moved.Views, x))) (100.0 * law) $"{name}: the control"

let tests =
    testSequenced (
        testList "Onnx" [
            test "exported networks give what PyTorch gives, under their names, with their symmetries" {
                if not isThere.Value then
                    skiptest "python3-torchvision and python3-onnx are not installed"

                inFolder (fun folder ->
                    let code, output, errors = runProgram folder python [ script; folder ]
                    Expect.equal code 0 (output + errors)
                    let names = output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                    Expect.equal names.Length 11 "models"

                    for name in names do
                        use _ = torch.NewDisposeScope()
                        use _ = torch.no_grad ()
                        use io = TensorSource.Open(Path.Combine(folder, $"{name}.io.pt"))
                        let input, output = io.Read "input", io.Read "output"
                        let read = OnnxModel.Read(Path.Combine(folder, $"{name}.onnx"))
                        let network = Network read.Architecture
                        use model = read.Load network
                        let error = difference (network.Forward(model.Views, input)) output
                        Expect.isLessThan (error / max 1.0 (output.abs().max().ToDouble())) 1e-5 $"{name}: output"

                        if name <> "sequence" then
                            use state = TensorSource.Open(Path.Combine(folder, $"{name}.pt"))

                            let theirs =
                                set [
                                    for e in state.Entries do
                                        if not (e.Name.EndsWith "num_batches_tracked") then
                                            e.Name
                                ]

                            Expect.equal (set [ for p in network.Parameters -> p.Name ]) theirs $"{name}: names"
                            use loaded = Checkpoint.Load(state, network, NameMap.For network)
                            Expect.equal (bytes loaded) (bytes model) $"{name}: the state dict's numbers"

                        match known.TryGetValue name with
                        | true, (groups, own) ->
                            let children = network.Groups |> Seq.filter (fun g -> g.Parent >= 0) |> Seq.length
                            Expect.equal (network.Groups.Length, children) (groups, own) $"{name}: groups"
                        | _ -> ()

                        check name network model input)
            }

            test "what has no rule is refused by its name, and what is no model is told" {
                inFolder (fun folder ->
                    let file (name: string) (content: byte[]) =
                        let path = Path.Combine(folder, name)
                        File.WriteAllBytes(path, content)
                        path

                    failsWith [ "no.onnx"; "no such file" ] (fun () ->
                        OnnxModel.Read(Path.Combine(folder, "no.onnx")) |> ignore)

                    let text = file "text.onnx" "this is no model at all"B
                    failsWith [ text; "expected an ONNX model" ] (fun () -> OnnxModel.Read text |> ignore)
                    let empty = file "empty.onnx" [||]
                    failsWith [ empty; "opset 9 to 23" ] (fun () -> OnnxModel.Read empty |> ignore)
                    // A message: its field's number, its length, its content.
                    let field number (content: byte[]) =
                        Array.concat [ [| byte (number * 8 + 2); byte content.Length |]; content ]

                    let dimension size = field 1 [| 8uy; byte size |]
                    let shape = Array.concat [ dimension 1; dimension 3 ]
                    let value name = Array.concat [ field 1 name; field 2 (field 1 (field 2 shape)) ]

                    let node = Array.concat [ field 1 "x"B; field 2 "y"B; field 3 "odd"B; field 4 "Einsum"B ]

                    let graph = Array.concat [ field 1 node; field 11 (value "x"B); field 12 (value "y"B) ]
                    let model = Array.concat [ field 7 graph; field 8 [| 16uy; 13uy |] ]
                    let path = file "odd.onnx" model
                    failsWith [ path; "node 'odd'"; "Conv"; "found Einsum" ] (fun () -> OnnxModel.Read path |> ignore))
            }
        ]
    )
