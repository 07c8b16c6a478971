/// Graphs of several outputs: whose weights are the network's, and which of its units may move.
module LmcDsl.Tests.Core.OnnxOutputsTests

open System.IO
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Importing
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Core.OnnxBytes
open LmcDsl.Tests.Fixtures
open TorchSharp

let private dense input weights output = node "Gemm" [ input; weights ] output [ attribute "transB" 1L ]

let private outputs names sizes = [ for name, size in List.zip names sizes -> field 12 (valueOf name [ 1L; size ]) ]

// Three units, which two heads read.
let private heads =
    [
        dense "x" "a.weight" "h"
        node "Relu" [ "h" ] "r" []
        dense "r" "first.weight" "y"
        dense "r" "second.weight" "z"
        weight "a.weight" [ 3L; 2L ] [ 1f; 2f; 3f; 4f; 5f; 6f ]
        weight "first.weight" [ 2L; 3L ] [ 1f; 0f; -1f; 2f; 1f; 1f ]
        weight "second.weight" [ 1L; 3L ] [ 3f; -2f; 5f ]
        field 11 (valueOf "x" [ 1L; 2L ])
    ]

let private ofParts (parts: byte[] list) work =
    inFolder (fun folder ->
        use _ = torch.NewDisposeScope()
        let path = Path.Combine(folder, "model.onnx")
        File.WriteAllBytes(path, model 13L parts)
        work path)

let private names (network: Network) = set [ for parameter in network.Parameters -> parameter.Name ]

let private ofFloats (sizes: int64 list) (values: float32 list) =
    torch.tensor(Array.ofList values).reshape(Array.ofList sizes)

let tests =
    testList "OnnxOutputs" [
        test "all heads are the network's, the first is what it gives, and its units move in every one" {
            ofParts (heads @ outputs [ "y"; "z" ] [ 2L; 1L ]) (fun path ->
                let read = OnnxModel.Read path
                let network = Network read.Architecture
                Expect.equal (List.ofSeq read.Outputs) [ "y"; "z" ] "outputs"
                Expect.equal (names network) (set [ "a.weight"; "first.weight"; "second.weight" ]) "weights"

                Expect.equal
                    [ for group in network.Groups -> group.Units, group.Axes.Length ]
                    [ 3, 3 ]
                    "one group of three"

                Expect.equal
                    (set [ for pin in network.Pins -> network.Parameters[pin.Parameter].Name, pin.Dimension, pin.Node ])
                    (set [ "a.weight", 1, "input"; "first.weight", 0, "outputs" ])
                    "what stays, and why"

                use weights = read.Load network
                use input = ofFloats [ 1L; 2L ] [ 1f; -1f ]
                // h = -1, -1, -1, of which nothing is left; for 1, 1 it is 3, 7, 11.
                let given (values: float32 list) =
                    (network.Forward(weights.Views, ofFloats [ 1L; 2L ] values)).data<float32>().ToArray()

                Expect.equal (given [ 1f; -1f ]) [| 0f; 0f |] "nothing"
                Expect.equal (given [ 1f; 1f ]) [| 3f - 11f; 6f + 7f + 11f |] "the first head"
                Expect.isNull (read.ChangedOutput weights) "no output is left out"

                // The second head, by hand, on units in another order.
                let turned = PermutationSet(network, [| Permutation [| 2; 0; 1 |] |])
                use moved = turned.Apply weights
                let at name = moved.Views[Seq.findIndex (fun (p: ParameterSpec) -> p.Name = name) network.Parameters]
                use hidden = torch.mm(ofFloats [ 1L; 2L ] [ 1f; 1f ], (at "a.weight").t()).relu()

                Expect.equal
                    ((torch.mm (hidden, (at "second.weight").t())).item<float32>())
                    (9f - 14f + 55f)
                    "the second head"

                Expect.notEqual (hidden.data<float32>().ToArray()) [| 3f; 7f; 11f |] "in another order")
        }

        test "a checkpoint with all heads fits, and one without the second does not" {
            ofParts (heads @ outputs [ "y"; "z" ] [ 2L; 1L ]) (fun path ->
                let network = Network (OnnxModel.Read path).Architecture

                let saved (tensors: (string * torch.Tensor) list) =
                    let file = Path.ChangeExtension(path, ".safetensors")

                    using (File.Create file) (fun stream ->
                        SafeTensors.Write(stream, [| for name, tensor in tensors -> struct (name, tensor) |]))

                    file

                let trunk = [ "a.weight", torch.ones [| 3L; 2L |]; "first.weight", torch.ones [| 2L; 3L |] ]

                let opened file =
                    let placement = Checkpoint.Open(file, network, NameMap.For network)
                    use _ = placement.Source
                    placement.Places.Count

                Expect.equal (opened (saved (trunk @ [ "second.weight", torch.ones [| 1L; 3L |] ]))) 3 "all"
                failsWith [ "missing"; "second.weight" ] (fun () -> opened (saved trunk) |> ignore))
        }

        test "one that is asked for is the network alone, and the other is told where it would change" {
            ofParts (heads @ outputs [ "y"; "z" ] [ 2L; 1L ]) (fun path ->
                for output, own, other in [ "y", "first.weight", "z"; "z", "second.weight", "y" ] do
                    let read = OnnxModel.Read(path, output)
                    let network = Network read.Architecture
                    Expect.equal (names network) (set [ "a.weight"; own ]) output
                    Expect.equal (List.ofSeq read.Outputs) [ output ] "the only one"
                    use weights = read.Load network
                    Expect.equal (Option.ofObj (read.ChangedOutput weights)) (Some other) "the other one")
        }

        test "units that are an output themselves stay, and a constant beside the network holds nothing" {
            let fixed' = node "Identity" [ "c" ] "k" []
            let constant = weight "c" [ 1L; 1L ] [ 4f ]

            for given, groups in
                [
                    outputs [ "y"; "h" ] [ 2L; 3L ], 0
                    outputs [ "y"; "r" ] [ 2L; 3L ], 0
                    outputs [ "y" ] [ 2L ], 1
                    outputs [ "y"; "y" ] [ 2L; 2L ], 1
                    outputs [ "y"; "k" ] [ 2L; 1L ] @ [ fixed'; constant ], 1
                ] do
                ofParts (heads @ given) (fun path ->
                    Expect.equal (Network (OnnxModel.Read path).Architecture).Groups.Length groups $"{given.Length}")
        }
    ]
