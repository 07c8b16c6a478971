module LmcDsl.Tests.Core.NetworkTests

open System
open System.Collections.Immutable
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures
open TorchSharp

let private network (nodes: (string * Layer * string list) list) =
    Network(
        Architecture(
            "test",
            ImmutableArray.Create(1, 2, 2),
            ImmutableArray.CreateRange [
                for name, layer, inputs in nodes -> LayerNode(name, layer, ImmutableArray.CreateRange inputs)
            ]
        )
    )

let tests =
    testList "Network" [
        test "the MLP of the papers has the parameters that PyTorch's has" {
            let mlp = Network(Catalogue.Mlp([| 1; 28; 28 |], [| 512; 512; 512 |], 10))
            // 784*512+512 + 2*(512*512+512) + 512*10+10
            Expect.equal mlp.TotalCount 932362L "counted by hand"

            Expect.equal
                [ for p in mlp.Parameters -> p.Name ]
                [
                    "fc1.weight"
                    "fc1.bias"
                    "fc2.weight"
                    "fc2.bias"
                    "fc3.weight"
                    "fc3.bias"
                    "fc4.weight"
                    "fc4.bias"
                ]
                "names"
        }

        test "its forward pass is the matrix formula" {
            use p = randomParameters smallMlp 1L
            use x = randomInput smallMlp 7 2L
            use out = smallMlp.Forward(p.Views, x)
            let layer k (x: torch.Tensor) = x.mm (p[$"fc{k}.weight"].t()) + p[$"fc{k}.bias"]
            use expected = x.flatten (1L) |> layer 1 |> _.relu() |> layer 2 |> _.relu() |> layer 3
            Expect.isLessThan (difference out expected) float32Rounding "relu(xW'+b) three times"
        }

        test "learned parameters fill the first part of the buffer, statistics the rest" {
            let net =
                network [
                    "f", Flatten(), [ "input" ]
                    "d", Dense 3, [ "f" ]
                    "n", BatchNorm(), [ "d" ]
                    "o", Dense 2, [ "n" ]
                ]

            Expect.equal net.LearnedCount (int64 (4 * 3 + 3 + 6 + 3 * 2 + 2)) "weights, biases, norm"
            Expect.equal net.TotalCount (net.LearnedCount + 6L) "and two statistics of 3"

            for p in net.Parameters do
                Expect.equal (p.Offset < net.LearnedCount) p.Learned p.Name
        }

        test "an architecture survives JSON" {
            for seed in 1..30 do
                let architecture = randomArchitecture (Random seed)
                let back = Architecture.FromJson(architecture.ToJson())
                Expect.equal (back.ToJson()) (architecture.ToJson()) "same text"
                Expect.equal (Network back).TotalCount (Network architecture).TotalCount "same network"
        }

        test "initialisation is uniform within 1/sqrt(fan in), and the seed decides it" {
            use a = ParameterSet.Initialize(smallMlp, 1L)
            use again = ParameterSet.Initialize(smallMlp, 1L)
            use other = ParameterSet.Initialize(smallMlp, 2L)
            Expect.equal (bytes a) (bytes again) "same seed, same bytes"
            Expect.notEqual (bytes a) (bytes other) "another seed, other bytes"
            let largest = a["fc1.weight"].abs().max().ToDouble()
            Expect.isLessThan largest (1.0 / sqrt 6.0) "bound of 6 inputs"
            Expect.isGreaterThan largest (0.7 / sqrt 6.0) "and near it"
        }

        testList "mistakes are told with the layer's name" [
            test "a dense layer on an image" {
                failsWith [ "layer 'd'"; "flatten"; "[1, 2, 2]" ] (fun () ->
                    network [ "d", Dense 3, [ "input" ] ] |> ignore)
            }
            test "a sum of two sizes" {
                failsWith [ "layer 's'"; "[3]"; "[4]" ] (fun () ->
                    network [ "f", Flatten(), [ "input" ]; "a", Dense 3, [ "f" ]; "s", Sum(), [ "a"; "f" ] ] |> ignore)
            }
            test "an input that is not there" {
                failsWith [ "layer 'd'"; "'x'" ] (fun () -> network [ "d", Dense 3, [ "x" ] ] |> ignore)
            }
            test "a name given twice" {
                failsWith [ "layer 'f'"; "taken" ] (fun () ->
                    network [ "f", Flatten(), [ "input" ]; "f", Dense 3, [ "f" ] ] |> ignore)
            }
            test "text that is no architecture" {
                failsWith [ "architecture" ] (fun () -> Architecture.FromJson "{\"name\":1" |> ignore)
                failsWith [ "architecture"; "nodes" ] (fun () -> Architecture.FromJson "{\"name\":\"x\"}" |> ignore)
            }
        ]
    ]
