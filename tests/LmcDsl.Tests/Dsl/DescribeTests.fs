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

        test "a sound network is given back" {
            Expect.equal (checkSymmetry (mlp [ 5 ] Glyphs)).Name "mlp 5" "as it was"
        }
    ]
