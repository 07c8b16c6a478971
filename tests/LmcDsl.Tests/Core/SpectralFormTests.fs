module LmcDsl.Tests.Core.SpectralFormTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Permutations
open LmcDsl.Core.Spectra
open LmcDsl.Tests.Fixtures

let tests =
    testList "SpectralForm" [
        testPropertyWithConfig
            (config 30)
            "both forms of the distance agree on random architectures, permuted or not (theorem 4.1)"
        <| fun (seed: int64) ->
            let network = Network(randomArchitecture (Random(int (seed % 100000L))))
            use a = randomParameters network seed
            use b = randomParameters network (seed + 1L)
            use moved = PermutationSet.Random(network, seed).Apply b

            for other in [ b; moved ] do
                for layer in SpectralForm.Between(a, other) do
                    let scale = max 1.0 layer.Direct
                    Expect.isLessThan (abs (layer.Direct - layer.Spectral)) (float32Rounding * scale) layer.Name

        test "two architectures are refused" {
            use a = randomParameters smallMlp 1L
            use b = randomParameters (Network(Catalogue.Mlp([| 1; 2; 3 |], [| 5 |], 3))) 1L
            failsWith [ "one architecture" ] (fun () -> SpectralForm.Between(a, b) |> ignore)
        }
    ]
