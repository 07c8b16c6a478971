/// A curve along the line between two models, beside as many plain evaluations.
module LmcDsl.Bench.CurveBench

open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Measures
open TorchSharp

let private points = 25

/// Test images of the shape of MNIST's, 10,000 of them.
let comparisons () : Comparison list =
    let data = new DataSplit(torch.randn (10000L, 1L, 28L, 28L), torch.randint (10L, [| 10000L |]))
    let network = Network(mlp [ 512; 512; 512 ] FashionMnist)
    let a, b = ParameterSet.Initialize(network, 0L), ParameterSet.Initialize(network, 1L)

    [
        {
            Name = "curve of 25 lambdas, MLP 784-512x3-10"
            N = 10000
            Ours = fun () -> Timing.seconds (fun () -> Barrier.Along(a, b, data, points))
            Reference = "25 plain evaluations"
            Theirs =
                fun () ->
                    Timing.seconds (fun () ->
                        for _ in 1..points do
                            Evaluator.Evaluate(a, data) |> ignore)
            Rounds = 5
        }
    ]
