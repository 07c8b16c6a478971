/// A curve along the line between two models, beside as many plain evaluations.
module LmcDsl.Bench.CurveBench

open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Measures
open TorchSharp

let private points = 25

let private comparison name (network: Network) (data: DataSplit) () =
    let a, b = ParameterSet.Initialize(network, 0L), ParameterSet.Initialize(network, 1L)

    {
        Name = $"curve of {points} lambdas, {name}"
        N = int data.Count
        Ours = fun () -> Timing.seconds (fun () -> Barrier.Along(a, b, data, points))
        Reference = $"{points} plain evaluations"
        Theirs =
            fun () ->
                Timing.seconds (fun () ->
                    for _ in 1..points do
                        Evaluator.Evaluate(a, data) |> ignore)
        Rounds = 5
    }

let private images shape (count: int64) =
    new DataSplit(torch.randn (Array.append [| count |] shape), torch.randint (10L, [| count |]))

/// 10,000 test images of the shape of MNIST's, and 500 of CIFAR-10's.
let comparisons: (unit -> Comparison) list =
    [
        fun () ->
            comparison
                "MLP 784-512x3-10"
                (Network(mlp [ 512; 512; 512 ] FashionMnist))
                (images [| 1L; 28L; 28L |] 10000L)
                ()
        fun () -> comparison "ResNet20" (Network(resnet20 1.0 Norm.Batch Cifar10)) (images [| 3L; 32L; 32L |] 500L) ()
    ]
