// How often weight matching finds a planted permutation again: random networks, their units shuffled. With one hidden layer
// the problem is one assignment and the answer exact; with more, coordinate descent may end elsewhere.
// dotnet fsi build.fsx -t Planted
#load "prelude.fsx"

open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Permutations
open LmcDsl.Core.Runtime

TorchRuntime.Load() |> ignore
let draws = 100L

let found starts network seed =
    use a = ParameterSet.Initialize(network, seed)
    let planted = PermutationSet.Random(network, seed)
    use b = planted.Apply a
    let answer = WeightMatching.Match(a, b, WeightMatchingOptions(Seed = seed, Starts = starts)).Permutations
    (answer.After planted).Permutations |> Seq.forall _.IsIdentity

let rate starts network =
    let hits = [ 1L .. draws ] |> List.filter (found starts network)
    $"{100L * int64 hits.Length / draws} %%"

let networks =
    [
        for width in [ 16; 64; 256 ] do
            for depth in [ 1; 2; 3 ] do
                $"MLP, {depth} hidden layers of {width}", mlp (List.replicate depth width) Mnist
        "ResNet20 x0.25, layer norm", resnet20 0.25 Norm.Layer Cifar10
    ]

Terminal.table
    {
        Title = $"Planted permutations found again, of {draws}"
        Columns = [ "network"; "one start"; "best of 5" ]
        Rows =
            [
                for name, architecture in networks do
                    let network = Network architecture
                    [ name; rate 1 network; rate 5 network ]
            ]
    }
