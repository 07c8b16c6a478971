/// Folders as Hugging Face's libraries write them, of models that PyTorch computes: the templates' networks beside PyTorch's outputs and beside
/// what the ONNX import of the same model derives.
module LmcDsl.Tests.Process.HuggingFaceTests

open System.IO
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Importing
open LmcDsl.Core.Matching
open LmcDsl.Core.Data
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private script = Path.Combine(__SOURCE_DIRECTORY__, "hf_folders.py")

let private isThere = lazy (hasPython "torch, onnx")

/// What moves together, by the tensors' names: of each group its units, its copies, and every place where they lie.
let private groups (prefixes: string list) (network: Network) =
    let bare (name: string) =
        prefixes
        |> List.tryFind (fun prefix -> name.StartsWith prefix)
        |> Option.map (fun prefix -> name.Substring prefix.Length)
        |> Option.defaultValue name

    set [
        for group in network.Groups ->
            group.Units,
            group.Copies,
            set [
                for axis in group.Axes ->
                    bare network.Parameters[axis.Parameter].Name,
                    axis.Dimension,
                    (axis.Offset, axis.Outer, axis.Units, axis.Block),
                    [ for c in axis.Copies -> c.Dimension, c.Offset, c.Outer, c.Units, c.Block ]
            ]
    ]

let private prefixes = [ "transformer."; "bert."; "vit."; "model."; "convnext."; "resnet." ]

let private difference' (found: torch.Tensor) (expected: torch.Tensor) =
    difference found expected / max 1.0 (expected.abs().max().ToDouble())

let private holds folder (name: string) =
    use _ = torch.NewDisposeScope()
    use _ = torch.no_grad ()
    use io = TensorSource.Open(Path.Combine(folder, $"{name}.io.pt"))
    let input, output = io.Read "input", io.Read "output"
    let size = [| for size in input.shape[1..] -> int size |]
    use read = ModelFolder.Open(Path.Combine(folder, name), size)
    let network = Network read.Architecture
    let placement = read.Place network
    use model = Checkpoint.Load placement
    let found = network.Forward(model.Views, input)
    Expect.equal (List.ofArray found.shape) (List.ofArray output.shape) $"{name}: shape"
    Expect.isLessThan (difference' found output) 1e-5 $"{name}: PyTorch's output"
    Expect.equal placement.PassedOver.Length 0 $"{name}: nothing of the folder is beside the model"
    let again = Network(Architecture.FromJson(read.Architecture.ToJson()))
    Expect.equal (difference (again.Forward(model.Views, input)) found) 0.0 $"{name}: from its description"
    let struct (largest, nodes) = SymmetryCheck.Measure model
    Expect.equal nodes network.Outputs.Length $"{name}: nodes"
    Expect.isLessThan largest.Error 1e-5 $"{name}: the law at every node, worst at {largest.Node}"
    use moved = PermutationSet.Random(network, 1L).Apply model
    Expect.isLessThan (difference' (network.Forward(moved.Views, input)) output) 1e-5 $"{name}: the law on its input"
    let export = Path.Combine(folder, $"{name}.onnx")

    if File.Exists export then
        let graph = OnnxModel.Read export
        let other = Network graph.Architecture
        Expect.equal (groups prefixes network) (groups prefixes other) $"{name}: groups of the export"

    foundAgain name network model

let tests =
    testSequenced (
        testList "Hugging Face templates" [
            test "folders give what PyTorch gives, and what moves together is what their exports say" {
                if not isThere.Value then
                    skiptest "python3-torch and python3-onnx are not installed"

                inFolder (fun folder ->
                    for name in (runProgram folder python [ script; folder ] |> done').Trim().Split '\n' do
                        holds folder name)
            }

            test "a head that is not known may read pooled features too: none of both moves" {
                if not isThere.Value then
                    skiptest "python3-torch and python3-onnx are not installed"

                use _ = torch.NewDisposeScope()

                inFolder (fun folder ->
                    runProgram folder python [ script; folder; "bert_classes" ] |> done' |> ignore
                    let path = Path.Combine(folder, "bert_classes")

                    let moving () =
                        use read = ModelFolder.Open path
                        let network = Network read.Architecture
                        read.Place network |> ignore

                        set [
                            for group in network.Groups do
                                for axis in group.Axes -> network.Parameters[axis.Parameter].Name
                        ]

                    Expect.isTrue ((moving ()).Contains "pooler.dense.bias") "with the head that is known"
                    let weights = Path.Combine(path, "model.safetensors")
                    use file = SafeTensors.Read(System.ReadOnlySpan(File.ReadAllBytes weights), weights)

                    using (File.Create weights) (fun stream ->
                        SafeTensors.Write(
                            stream,
                            Array.append [| for tensor in file.Tensors -> struct (tensor.Key, tensor.Value) |] [|
                                struct ("other.weight", torch.ones (3L, 24L))
                            |]
                        ))

                    let found = moving ()
                    Expect.isFalse (found.Contains "pooler.dense.bias") "pooled features"
                    Expect.isFalse (found.Contains "embeddings.LayerNorm.weight") "features"
                    Expect.isTrue (found.Contains "encoder.layer.0.intermediate.dense.bias") "what lies within blocks")
            }
        ]
    )
