module LmcDsl.Tests.Core.LayerBoundTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Spectra
open LmcDsl.Tests.Fixtures
open TorchSharp

let tests =
    testList "LayerBound" [
        testPropertyWithConfig
            (config 30)
            "no input of any layer of random architectures exceeds the bound, whatever gamma"
        <| fun (seed: int64) ->
            let random = Random(int (seed % 100000L))
            let network = Network(randomArchitecture random)
            use a = randomParameters network seed
            use b = randomParameters network (seed + 1L)
            use task = toyTask network 40 seed

            for gamma in [ 0.0; random.NextDouble(); 1.0 ] do
                for layer in LayerBound.Between(a, b, task, gamma, 40) do
                    Expect.isLessThanOrEqual layer.LargestRatio 1.0001 $"{layer.Name}, gamma {gamma}"
                    Expect.isLessThanOrEqual layer.Measured (layer.Bound * 1.0001) layer.Name
                    Expect.isLessThanOrEqual layer.DominantPart (layer.Bound * 1.0001) layer.Name

        test "the bound is reached: weights of rank one with the same input direction, and no activation" {
            let network = Network(Catalogue.Mlp([| 1; 1; 2 |], [||], 2))
            use a = randomParameters network 1L
            use b = randomParameters network 2L
            a["fc1.weight"].copy_(torch.tensor([| 3f; 0f; 0f; 0f |]).view(2L, 2L)) |> ignore
            b["fc1.weight"].copy_(torch.tensor([| 1f; 0f; 0f; 0f |]).view(2L, 2L)) |> ignore
            b["fc1.bias"].copy_(a["fc1.bias"]) |> ignore

            use task =
                new LmcDsl.Core.Data.DataSplit(
                    torch.tensor([| 5f; 0f |]).view(1L, 1L, 1L, 2L),
                    torch.zeros (1L, torch.int64)
                )

            let layer = LayerBound.Between(a, b, task, 0.0, 1) |> Seq.head
            Expect.floatClose Accuracy.medium layer.Measured 10.0 "(3 - 1) 5"
            Expect.floatClose Accuracy.medium layer.Bound 10.0 "and no more"
        }

        test "the Lipschitz constants are not exceeded between neighbouring points" {
            for activation in Enum.GetValues<ActivationFunction>() do
                let layer = Activation activation
                use x = torch.linspace (-6.0, 6.0, 12001L, dtype = torch.float64)
                use y = layer.Forward([||], [| x |], Mode.Evaluation)

                let steepest =
                    ((y.slice (0, 1, 12001, 1) - y.slice (0, 0, 12000, 1)).abs().max() / (12.0 / 12000.0)).ToDouble()

                Expect.isLessThanOrEqual steepest (layer.Lipschitz.Value + 1e-6) (string activation)
                Expect.isGreaterThan steepest (layer.Lipschitz.Value - 1e-3) $"{activation}: and nearly reached"
        }

        test "a threshold out of range is refused" {
            use a = randomParameters smallMlp 1L
            use task = toyTask smallMlp 10 2L
            failsWith [ "gamma"; "found 2" ] (fun () -> LayerBound.Between(a, a, task, 2.0) |> ignore)
        }
    ]
