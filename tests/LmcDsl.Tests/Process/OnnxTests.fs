/// Networks that PyTorch exports to ONNX, read back: what they compute, what their tensors are called, what of them may be permuted.
module LmcDsl.Tests.Process.OnnxTests

open System
open System.IO
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Data
open LmcDsl.Core.Importing
open LmcDsl.Core.Matching
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private script = Path.Combine(__SOURCE_DIRECTORY__, "onnx_export.py")

let private isThere = lazy (hasPython "torchvision, onnx")

/// Groups that move by themselves, and those of them with an order in each copy, as another derivation on exports of these networks
/// gave them; of small ones, as counted by hand: the stream, and for each block its inner layer, heads, queries and keys, values.
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
        "vgg16_bn_narrow", (15, 0)
        "convnext_tiny", (22, 0)
        "vit_b_32_narrow", (49, 24)
        "swin_t_narrow", (52, 24)
        "unet", (12, 0)
        "groupnorm", (3, 1)
        "vit", (9, 4)
        "swin", (18, 8)
        "convnext", (6, 0)
        "timm_vit", (5, 2)
        "gpt2", (9, 4)
        "bert", (10, 4)
        "llama", (9, 4)
        "lstm", (3, 0)
        "bilstm", (3, 0)
        "gru", (3, 0)
        "resnet18.default", (12, 0)
        "resnet18.dynamic", (12, 0)
        "timm_vit.default", (5, 2)
        "timm_vit.dynamic", (5, 2)
        "timm_vit.three", (5, 2)
        "bert.open", (10, 4)
        "unet.open", (12, 0)
        "unet.old", (12, 0)
    ]

/// Axes that may move in what another derivation had to leave in its place.
let private atLeast = dict [ "shufflenet_v2_x0_5", (18, 193) ]

/// Names that an export without the two options loses: those of norms that it has fused.
let private losesNames = set [ "resnet18.default" ]

/// The law with several random elements, and by how much it is broken when one tensor stays as it was.
let private check (name: string) (network: Network) (model: ParameterSet) (x: torch.Tensor) =
    let struct (largest, nodes) = SymmetryCheck.Measure model
    Expect.equal nodes network.Outputs.Length $"{name}: nodes"
    Expect.isLessThan largest.Error 1e-5 $"{name}: the law at every node, worst at {largest.Node}"
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

let private names (source: TensorSource) =
    set [
        for e in source.Entries do
            if not (e.Name.EndsWith "num_batches_tracked" || e.Type.IsWhole) then
                e.Name
    ]

/// Reads one export and holds it against what PyTorch said.
let private holds folder (name: string) =
    use _ = torch.NewDisposeScope()
    use _ = torch.no_grad ()
    use io = TensorSource.Open(Path.Combine(folder, $"{name}.io.pt"))
    let input, output = io.Read "input", io.Read "output"
    let path = Path.Combine(folder, $"{name}.onnx")
    // What the file leaves open is the example's, and where nobody says it, something usual: the symmetries are the same.
    let length = if name = "bert.open" then 6 else 16
    let sizes: int[] | null = if name.EndsWith ".open" then [| length |] else null
    let read = OnnxModel.Read(path, ``open`` = sizes)
    let network = Network read.Architecture

    if name.EndsWith ".open" then
        let usual = OnnxModel.Read path
        Expect.equal (List.ofSeq usual.TakenSizes) [ 16 ] $"{name}: sizes that are taken"

        let groups (network: Network) =
            [
                for g in network.Groups ->
                    g.Name,
                    g.Units,
                    g.Copies,
                    [ for axis in g.Axes -> axis.Parameter, axis.View, List.ofSeq axis.Copies ]
            ]

        Expect.equal (groups (Network usual.Architecture)) (groups network) $"{name}: whatever the sizes"

    use model = read.Load network
    let found = network.Forward(model.Views, input)
    let error = difference found (output.reshape found.shape)
    Expect.isLessThan (error / max 1.0 (output.abs().max().ToDouble())) 1e-5 $"{name}: output"
    // The file as another library reads it.
    if name <> "timm_vit.three" then
        let runtime = OnnxOracle.output path length input
        let apart = difference found (runtime.reshape found.shape)
        Expect.isLessThan (apart / max 1.0 (output.abs().max().ToDouble())) 1e-5 $"{name}: ONNX Runtime's output"
        // And as it is written with its units permuted.
        let moved = Path.Combine(folder, $"{name}.moved.onnx")
        let placement = Checkpoint.Open(path, network, NameMap.For network, ``open`` = sizes)

        using (File.Create moved) (fun file ->
            Checkpoint.SavePermuted(file, PermutationSet.Random(network, 7L), placement))

        let apart = difference found ((OnnxOracle.output moved length input).reshape found.shape)

        Expect.isLessThan
            (apart / max 1.0 (output.abs().max().ToDouble()))
            1e-5
            $"{name}: ONNX Runtime's output of the permuted file"

    // The description alone is the network.
    let again = Network(Architecture.FromJson(read.Architecture.ToJson()))
    Expect.equal (difference (again.Forward(model.Views, input)) found) 0.0 $"{name}: from its description"

    if not (losesNames.Contains name) then
        use state = TensorSource.Open(Path.Combine(folder, $"{name}.pt"))
        Expect.equal (set [ for p in network.Parameters -> p.Name ]) (names state) $"{name}: names"
        use loaded = Checkpoint.Load(state, network, NameMap.For network)
        Expect.equal (bytes loaded) (bytes model) $"{name}: the state dict's numbers"

    let children = network.Groups |> Seq.filter (fun g -> g.Parent >= 0) |> Seq.length

    match known.TryGetValue name, atLeast.TryGetValue name with
    | (true, (groups, own)), _ -> Expect.equal (network.Groups.Length, children) (groups, own) $"{name}: groups"
    | _, (true, (groups, moved)) ->
        let tensors = network.Groups |> Seq.collect _.Axes |> Seq.map _.Parameter |> Seq.distinct |> Seq.length
        Expect.isGreaterThanOrEqual network.Groups.Length groups $"{name}: groups"
        Expect.isGreaterThanOrEqual tensors moved $"{name}: tensors that move"
    | _ -> ()

    check name network model input
    foundAgain name network model
    // Several examples are each what one is.
    let three = torch.cat ([| input; input; input |], 0L)
    let several = network.Forward(model.Views, three)

    Expect.isLessThan
        (difference several (torch.cat ([| found; found; found |], 0L)))
        (1e-5 * max 1.0 (output.abs().max().ToDouble()))
        $"{name}: several examples"

/// A message of a model: its field's number, its length, its content.
let private field number (content: byte[]) =
    let length = content.Length

    let size =
        if length < 128 then
            [| byte length |]
        else
            [| byte (length % 128 + 128); byte (length / 128) |]

    Array.concat [ [| byte (number * 8 + 2) |]; size; content ]

let private value (name: byte[]) (sizes: int list) =
    let shape = sizes |> List.map (fun size -> field 1 [| 8uy; byte size |]) |> Array.concat
    Array.concat [ field 1 name; field 2 (field 1 (Array.append [| 8uy; 1uy |] (field 2 shape))) ]

let private node (name: byte[]) (operator: byte[]) (inputs: byte[] list) (output: byte[]) =
    Array.concat [ yield! inputs |> List.map (field 1); field 2 output; field 3 name; field 4 operator ]

let private tensor (name: byte[]) (sizes: int list) =
    let count = List.fold (*) 1 sizes
    let numbers = [| for k in 1..count -> BitConverter.GetBytes(float32 (k % 7) - 3f) |] |> Array.concat

    Array.concat [
        yield! sizes |> List.map (fun size -> [| 8uy; byte size |])
        [| 16uy; 1uy |]
        field 8 name
        field 9 numbers
    ]

let private modelOf (nodes: byte[] list) (tensors: byte[] list) (values: byte[] list) =
    let graph =
        Array.concat [
            yield! nodes |> List.map (field 1)
            yield! tensors |> List.map (field 5)
            field 11 (value "x"B [ 1; 3 ])
            field 12 (value "y"B [ 1; 4 ])
            yield! values |> List.map (field 13)
        ]

    Array.concat [ field 7 graph; field 8 [| 16uy; 13uy |] ]

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
                    Expect.equal (set names) (set [ yield! known.Keys; yield! atLeast.Keys; "sequence" ]) "models"

                    for name in names do
                        holds folder name)
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
                    failsWith [ empty; "opset 7 to 28" ] (fun () -> OnnxModel.Read empty |> ignore)
                    let odd = modelOf [ node "odd"B "Fourier"B [ "x"B ] "y"B ] [] []
                    // The shape of what the node gives is not told: nothing can follow.
                    let path =
                        file
                            "odd.onnx"
                            (modelOf [ node "odd"B "Fourier"B [ "x"B ] "z"B; node "end"B "Relu"B [ "z"B ] "y"B ] [] [])

                    failsWith [ path; "node 'odd'"; "Conv"; "found Fourier" ] (fun () -> OnnxModel.Read path |> ignore)
                    Expect.isNonEmpty odd "a model")
            }

            test "a node without a rule fixes what goes through it, is named, and cannot be computed" {
                inFolder (fun folder ->
                    let path = Path.Combine(folder, "odd.onnx")

                    let nodes =
                        [
                            node "one"B "MatMul"B [ "x"B; "onnx::MatMul_1"B ] "h"B
                            node "act"B "Relu"B [ "h"B ] "a"B
                            node "two"B "MatMul"B [ "a"B; "onnx::MatMul_2"B ] "b"B
                            node "odd"B "Fourier"B [ "b"B ] "c"B
                            node "three"B "MatMul"B [ "c"B; "onnx::MatMul_3"B ] "y"B
                        ]

                    let tensors =
                        [
                            tensor "onnx::MatMul_1"B [ 3; 5 ]
                            tensor "onnx::MatMul_2"B [ 5; 6 ]
                            tensor "onnx::MatMul_3"B [ 6; 4 ]
                        ]

                    File.WriteAllBytes(path, modelOf nodes tensors [ value "c"B [ 1; 6 ] ])
                    let read = OnnxModel.Read path
                    let network = Network read.Architecture
                    Expect.equal [ for g in network.Groups -> g.Units ] [ 5 ] "the first layer alone may move"

                    Expect.isTrue
                        (network.Notes |> Seq.exists (fun note -> note.Contains "'odd' (Fourier)"))
                        "the node is named"

                    let pins =
                        [ for pin in network.Pins -> network.Parameters[pin.Parameter].Shape[pin.Dimension], pin.Node ]

                    Expect.contains pins (6L, "odd") "because of which node"
                    use model = read.Load network

                    failsWith [ "'odd' (Fourier)"; "rule" ] (fun () ->
                        network.Forward(model.Views, torch.zeros (1L, 3L)) |> ignore)
                    // The law is tried as far as it can be.
                    let struct (largest, nodes) = SymmetryCheck.Measure model
                    Expect.equal nodes 3 "nodes before it"
                    Expect.isLessThan largest.Error 1e-5 "the law")
            }
        ]
    )
