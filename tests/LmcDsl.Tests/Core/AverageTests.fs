module LmcDsl.Tests.Core.AverageTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Merging
open LmcDsl.Tests.Fixtures
open TorchSharp

let private draw count = [| for seed in 1L .. int64 count -> randomParameters smallMlp seed |]

let tests =
    testList "Average" [
        test "the mean of copies is the model, byte for byte" {
            use a = randomParameters smallMlp 1L
            use mean = Average.Of [| a; a; a |]
            Expect.equal (bytes mean) (bytes a) "the same"
        }

        test "it is the mean of each number" {
            let models = draw 3
            use mean = Average.Of models
            let columns = models |> Array.map (fun m -> m.Flat.data<float32>().ToArray())

            mean.Flat.data<float32>().ToArray()
            |> Array.iteri (fun k value ->
                let byHand = columns |> Array.averageBy (fun column -> float column[k])
                Expect.isLessThan (abs (float value - byHand)) 1e-7 $"number {k}")
        }

        test "the order of the models does not matter" {
            let models = draw 4
            use one = Average.Of models
            use other = Average.Of(Array.rev models)
            Expect.isLessThan (difference one.Flat other.Flat) 1e-6 "one rounding at most"
        }

        test "a model of millions of numbers, which is averaged in parts, is averaged to its last" {
            let large = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 2100; 2100 |], 3))
            use a = randomParameters large 1L
            use b = randomParameters large 2L
            use mean = Average.Of [| a; b |]
            Expect.isLessThan (difference mean.Flat ((a.Flat + b.Flat) / torch.tensor 2.0f)) 1e-6 "all numbers"
        }

        test "a weight of 1 picks a model" {
            let models = draw 3
            use picked = Average.Of(models, [| 0.0; 1.0; 0.0 |])
            Expect.equal (bytes picked) (bytes models[1]) "the second"
        }

        test "what cannot be averaged is refused" {
            use a = randomParameters smallMlp 1L
            use other = randomParameters (Network(Catalogue.Mlp([| 1; 2; 3 |], [| 5 |], 3))) 1L
            failsWith [ "1 or more models" ] (fun () -> Average.Of [||] |> ignore)
            failsWith [ "one architecture" ] (fun () -> Average.Of [| a; other |] |> ignore)

            for weights in [ [| 0.5; 0.6 |]; [| 1.0 |]; [| 1.5; -0.5 |] ] do
                failsWith [ "2 weights"; "sum to 1" ] (fun () -> Average.Of([| a; a |], weights) |> ignore)
        }
    ]
