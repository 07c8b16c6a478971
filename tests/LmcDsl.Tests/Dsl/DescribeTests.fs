module LmcDsl.Tests.Dsl.DescribeTests

open System
open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let tests =
    testList "Describe" [
        test "the table names every axis's group" {
            let table = Describe.table (mlp [ 5; 4 ] Glyphs)
            Expect.stringContains table.Title "2 permutation groups" "title"

            Expect.equal
                table.Rows
                [
                    [ "flatten"; "Flatten"; "[784]"; "" ]
                    [ "fc1"; "Dense"; "[5 fc1]"; "weight [5 fc1, 784]; bias [5 fc1]" ]
                    [ "relu1"; "relu"; "[5 fc1]"; "" ]
                    [ "fc2"; "Dense"; "[4 fc2]"; "weight [4 fc2, 5 fc1]; bias [4 fc2]" ]
                    [ "relu2"; "relu"; "[4 fc2]"; "" ]
                    [ "fc3"; "Dense"; "[10]"; "weight [10, 4 fc2]; bias [10]" ]
                ]
                "rows"
        }

        test "the picture has every layer and edge, and one colour for layers that share their units" {
            let architecture = resnet20 0.25 Norm.Batch Cifar10
            let text = Describe.mermaid architecture

            for node in architecture.Nodes do
                Expect.stringContains text $"[\"{node.Name}<br/>" node.Name

            let edges = architecture.Nodes |> Seq.sumBy _.Inputs.Length
            Expect.equal (text.Split "-->" |> Array.length) (edges + 1) "edges"
            let colour name = text.Split '\n' |> Array.find _.Contains($"style n_{name} ")
            let only (line: string) = line.Substring(line.IndexOf "fill:")
            Expect.equal (only (colour "stem")) (only (colour "stage1_3_sum")) "stem and stage 1 share their units"
        }

        testPropertyWithConfig (config 40) "every architecture of our own keeps the law, layer by layer"
        <| fun (seed: int) ->
            (SymmetryCheck.FirstBreak(Network(randomArchitecture (Random seed)), int64 seed)).HasValue |> not

        test "a layer that breaks the law is named" {
            use _ = torch.NewDisposeScope()
            let permutations = PermutationSet.Random(smallMlp, 1L)
            use original = randomParameters smallMlp 1L
            use permuted = permutations.Apply original
            let input = randomInput smallMlp 4 1L
            let check () = SymmetryCheck.FirstBreak(original, permuted, permutations, input) |> Option.ofNullable
            Expect.equal (check ()) None "all keep it"
            // The second layer's bias in the first model's order: what it gives no longer follows the permutation.
            permuted["fc2.bias"].copy_(original["fc2.bias"]) |> ignore
            Expect.equal (check () |> Option.map _.Node) (Some "fc2") "the second layer"
        }

        test "a layer that breaks the law in training alone is named" {
            use _ = torch.NewDisposeScope()

            let network =
                Network(
                    Architecture.FromJson
                        """{"name":"normed","input":[3],"nodes":[
                           {"name":"a","layer":{"kind":"dense","units":4},"inputs":["input"]},
                           {"name":"n","layer":{"kind":"batchNorm"},"inputs":["a"]},
                           {"name":"b","layer":{"kind":"dense","units":2},"inputs":["n"]}]}"""
                )

            let permutations = PermutationSet.Random(network, 1L)
            use original = randomParameters network 1L
            use permuted = permutations.Apply original
            // With its own statistics the norm computes the same, with a batch's twice as much.
            permuted["n.weight"].mul_(2.0.ToScalar()) |> ignore
            permuted["n.running_var"].mul_(4.0.ToScalar()) |> ignore
            let input = randomInput network 8 1L

            let apart (mode: Mode) =
                let outputs (model: ParameterSet) =
                    use copy = model.Clone()
                    network.Forward(copy.Views, input, mode)

                difference (outputs original) (outputs permuted)

            Expect.isLessThan (apart Mode.Evaluation) 1e-4 "the same when it is used"
            Expect.isGreaterThan (apart Mode.Training) 0.1 "and another in training"

            Expect.equal
                (SymmetryCheck.FirstBreak(original, permuted, permutations, input)
                 |> Option.ofNullable
                 |> Option.map _.Node)
                (Some "n")
                "the norm"
        }

        test "the largest break is told, wherever it is" {
            // Of a sine of large numbers rounding is all that is left; what comes after is too small to show it.
            let network =
                Network(
                    Architecture.FromJson
                        """{"name":"waves","input":[3],"nodes":[
                           {"name":"a","layer":{"kind":"dense","units":40},"inputs":["input"]},
                           {"name":"b","layer":{"kind":"dense","units":40},"inputs":["a"]},
                           {"name":"sine","layer":{"kind":"elementary","function":"Sine"},"inputs":["b"]},
                           {"name":"c","layer":{"kind":"dense","units":2},"inputs":["sine"]}]}"""
                )

            use model = randomParameters network 1L
            model["b.weight"].mul_(1e7.ToScalar()) |> ignore
            model["c.weight"].mul_(1e-9.ToScalar()) |> ignore
            model["c.bias"].zero_() |> ignore
            let struct (largest, nodes) = SymmetryCheck.Measure model
            Expect.equal (largest.Node, nodes) ("sine", network.Outputs.Length) "where"
            Expect.isGreaterThan largest.Error 0.1 "and how large"
        }

        test "a sound network is given back" {
            Expect.equal (checkSymmetry (mlp [ 5 ] Glyphs)).Name "mlp 5" "as it was"
        }
    ]
