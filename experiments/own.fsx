// A data set, a layer, a search and a metric of one's own, each defined as the library defines its own.   dotnet fsi build.fsx -t Own
#load "prelude.fsx"

open System
open System.Collections.Immutable
open TorchSharp
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl

// A data set: points of three rings in the plane, as arrays. Their checksum goes into keys.
let rings =
    let random = Random 7

    let points count =
        [|
            for k in 0 .. count - 1 do
                let ring, angle = k % 3, random.NextDouble() * 2.0 * Math.PI
                let radius = float (ring + 1) + 0.3 * (random.NextDouble() - 0.5)
                [| float32 (radius * cos angle); float32 (radius * sin angle) |], ring
        |]
        |> Array.unzip

    DataSet.ofArrays "rings" [ 2; 1; 1 ] (points 3000) (points 600)

// A layer: log(1 + exp(sharpness x)) / sharpness, a soft ReLU. It keeps every axis's label, so units may still be permuted.
type Softplus(sharpness: float) =
    inherit Layer()
    member _.Sharpness = sharpness
    override _.Wire(_, inputs) = inputs[0]
    override _.Forward(_, inputs, _) = torch.nn.functional.softplus (inputs[0], sharpness)
    override _.Lipschitz = Nullable 1.0

let network (data: DataSet) =
    let chain = Chain()
    chain.Add("flatten", Flatten()) |> ignore

    for k in 1..2 do
        chain.Add($"fc{k}", Dense 32) |> ignore
        chain.Add($"soft{k}", Softplus 4.0) |> ignore

    chain.Add("out", Dense data.Classes) |> ignore
    chain.Build("soft mlp", List.toArray data.Shape)

// A search: the best of many random permutations, by distance. What it depends on is in its options, and so in keys.
type RandomOptions = { Tries: int; Seed: int64 }

let randomSearch =
    let op =
        Search.op<RandomOptions> "bestOfRandom" 1 1.0 (fun context options a b _ ->
            let clock = Diagnostics.Stopwatch.StartNew()

            let distance (permutations: PermutationSet) =
                use moved = permutations.Apply b
                Distance.L2(a, moved)

            let drawn = [ for k in 1 .. options.Tries -> PermutationSet.Random(b.Network, options.Seed + int64 k) ]
            let best = PermutationSet.Identity b.Network :: drawn |> List.minBy distance
            Take.tell context $"{options.Tries} tries" 1.0

            SearchResult(
                best,
                options.Tries,
                ImmutableArray.Create(distance best),
                StopReason.SweepLimit,
                clock.Elapsed.TotalSeconds
            ))

    Search.make "random" op "best of random permutations of" { Tries = 50; Seed = 1L }

// A metric: the cosine of the angle between two models' weights, with the number that tables show and a figure.
let cosine =
    let measure =
        Measure.make "cosine" 1 (fun context ->
            let a, b = Take.pair context
            use x = a.Learned()
            use y = b.Learned()
            {| Cosine = torch.nn.functional.cosine_similarity(x, y, 0L).ToDouble() |})

    let quantity = measure |> Measure.quantity "cosine" 4 _.Cosine

    let bars =
        Draw.bars
            "cosine"
            "Cosine between the weights of two models."
            "pair"
            [ "state"; "search" ]
            [ quantity ]
            (fun _ -> true)

    measure
    |> Metric.on Looks.pairs "cosine of" Metric.plain [ quantity ]
    |> Metric.drawing (bars >> Option.toList)

let setup =
    { Setup.standard with
        Data = rings
        Network = network
        Epochs = 20
        Threads = 1
    }

Experiment.create "own" "A data set, a layer, a search and a metric of one's own" setup [
    for search in [ randomSearch; WM ] do
        train >> align search >> mergeN 3 >> measureAll [ cosine; L2; BarrierOnTest 11; Accuracy ]
]
|> Experiment.run fsi.CommandLineArgs
