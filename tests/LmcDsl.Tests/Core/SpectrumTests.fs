module LmcDsl.Tests.Core.SpectrumTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Permutations
open LmcDsl.Core.Spectra
open LmcDsl.Tests.Fixtures
open TorchSharp

let tests =
    testList "Spectrum" [
        testPropertyWithConfig (config 20) "a permutation of units leaves every singular value as it is"
        <| fun (seed: int64) ->
            use a = randomParameters smallMlp seed
            use moved = PermutationSet.Random(smallMlp, seed).Apply a

            for one, other in Seq.zip (Spectrum.Of a) (Spectrum.Of moved) do
                for x, y in Seq.zip one.Values other.Values do
                    Expect.isLessThan (abs (x - y)) float32Rounding one.Name

        testPropertyWithConfig (config 20) "the squares of a weight's singular values sum to those of its entries"
        <| fun (seed: int64) ->
            use a = randomParameters smallMlp seed

            for layer in Spectrum.Of a do
                let entries = a[layer.Name].square().sum().ToDouble()
                Expect.isLessThan (abs (Seq.sumBy (fun s -> s * s) layer.Values - entries)) float32Rounding layer.Name

        test "the dominant share of values 4, 2, 1 and 10, 1 is counted over all layers" {
            let layers =
                [
                    LayerSpectrum("a", [ 4.0; 2.0; 1.0 ] |> System.Collections.Immutable.ImmutableArray.CreateRange)
                    LayerSpectrum("b", [ 10.0; 1.0 ] |> System.Collections.Immutable.ImmutableArray.CreateRange)
                ]

            Expect.equal (Spectrum.DominantShare(layers, 0.3)) 0.6 "4, 2 and 10 of five"
            Expect.equal (Spectrum.DominantShare(layers, 0.0)) 1.0 "all"
            Expect.equal (Spectrum.DominantShare(layers, 1.0)) 0.4 "the largest"
        }

        test "a weight that is all zero is refused by name" {
            use a = randomParameters smallMlp 1L
            a["fc2.weight"].zero_() |> ignore
            failsWith [ "fc2.weight"; "all zeros" ] (fun () -> Spectrum.Of a |> ignore)
        }

        test "a weight that is a vector has no spectrum" {
            use a = randomParameters scaledMlp 1L
            Expect.equal [ for layer in Spectrum.Of a -> layer.Name ] [ "fc1.weight"; "fc2.weight" ] "matrices alone"
        }

        test "thresholds outside of 0 to 1 are refused" {
            use a = randomParameters smallMlp 1L
            let layers = Spectrum.Of a

            for gamma in [ -0.1; 1.5; nan ] do
                failsWith [ "gamma"; "0 to 1" ] (fun () -> Spectrum.DominantShare(layers, gamma) |> ignore)
                failsWith [ "gamma"; "0 to 1" ] (fun () -> layers[0].Dominant gamma |> ignore)
        }
    ]
