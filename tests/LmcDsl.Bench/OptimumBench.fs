/// How near to each other searches bring the same pairs of models, and what each takes: the distance is exact, whatever else the machine
/// does; time is the processor's, of all threads of the process.
module LmcDsl.Bench.OptimumBench

open System
open System.Diagnostics
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Core.Spectra

/// Pairs of models, by name; trained when first asked for.
let pairs: (string * (unit -> ParameterSet * ParameterSet)) list =
    [
        "MLP, Fashion-MNIST, 10 epochs", (fun () -> Weights.mlps 512)
        "MLP, MNIST, 10 epochs", Weights.mnist
        "ResNet20 x1, 40 steps", (fun () -> Weights.resnets 1 2_000)
        "ResNet20 x4, 10 steps", (fun () -> Weights.resnets 4 500)
        "VGG11, 40 steps", Weights.vggs
        "VGG11 x1/4, 6 epochs", (fun () -> Weights.narrowVggs 6)
        "ResNet20 x1, 600 steps", (fun () -> Weights.trainedResnets 1 10_000 6)
        "ResNet20 x4, 60 steps", (fun () -> Weights.trainedResnets 4 2_000 3)
        "ResNet20 x1, 3,000 steps", (fun () -> Weights.trainedResnets 1 50_000 6)
    ]

/// Searches, by name.
let searches: (string * (ParameterSet -> ParameterSet -> SearchResult)) list =
    [
        "WM", (fun a b -> WeightMatching.Match(a, b))
        "WM, outwards", (fun a b -> WeightMatching.Match(a, b, WeightMatchingOptions(Outward = true)))
        "WM, 10 starts", (fun a b -> WeightMatching.Match(a, b, WeightMatchingOptions(Starts = 10)))
        "annealed", (fun a b -> AnnealedMatching.Match(a, b))
        "annealed, 10 reheats", (fun a b -> AnnealedMatching.Match(a, b, AnnealedMatchingOptions(Reheats = 10)))
        "annealed, 4 starts", (fun a b -> AnnealedMatching.Match(a, b, AnnealedMatchingOptions(Starts = 4)))
        "Sinkhorn, polished", (fun a b -> SinkhornMatching.Match(a, b, SinkhornMatchingOptions(Polish = true)))
    ]

let private row (a: ParameterSet) (b: ParameterSet) (pair: string) (name: string) search =
    let run = Process.GetCurrentProcess()
    let before = run.TotalProcessorTime
    let found: SearchResult = search a b
    run.Refresh()
    let processor = (run.TotalProcessorTime - before).TotalSeconds
    use moved = found.Permutations.Apply b

    let row =
        [
            pair
            name
            $"{Distance.L2(a, moved):F4}"
            string found.Sweeps
            $"{processor:F3}"
            $"{found.Seconds:F3}"
        ]

    Console.Error.WriteLine(String.concat "  " row)
    row

/// The table, of the pairs whose names hold a text.
let table (only: string) : Table =
    {
        Title = "L2 distance after a search, its passes or steps, and the seconds of all processors and of the clock"
        Columns = [ "pair"; "search"; "L2"; "passes"; "processor"; "seconds" ]
        Rows =
            [
                for pair, weights in pairs do
                    if pair.Contains only then
                        let a, b = weights ()

                        for name, search in searches do
                            // Once before, so that the code is compiled; on the small part of pairs where that matters.
                            if a.Network.TotalCount < 2_000_000L && name = "WM" then
                                search a b |> ignore

                            row a b pair name search
            ]
    }

/// Whether the nearer answer has the lower barrier: 1,000 test images, 5 lambdas, statistics of norms recomputed on 2,000 training images, which
/// searches that read data see as well. Of the pairs on CIFAR-10 whose names hold a text.
let barriers (only: string) : Table =
    use data = DataSet.load Cifar10
    use test = data.Test.First 1_000L
    use training = data.Train.First 2_000L

    let steps = StraightThroughOptions(Steps = 50)

    let withData: (string * (ParameterSet -> ParameterSet -> SearchResult)) list =
        [
            "dual", (fun a b -> DualSpaceMatching.Match(a, b, training))
            "AM", (fun a b -> ActivationMatching.Match(a, b, training))
            "straight-through", (fun a b -> StraightThrough.Match(a, b, training, steps))
            "straight-through from dual",
            (fun a b ->
                StraightThrough.Match(a, b, training, steps, DualSpaceMatching.Match(a, b, training).Permutations))
        ]

    let row pair (name: string) (a: ParameterSet) (b: ParameterSet) (found: PermutationSet) =
        use moved = found.Apply b
        let curve = Barrier.Along(a, moved, test, 5, resetOn = training, resetExamples = 2_000)
        let r gamma = (SingularAlignment.Between(a, moved, [| gamma |]) |> Seq.head).R

        let row =
            [
                pair
                name
                $"{Distance.L2(a, moved):F3}"
                $"{curve.Loss:F3}"
                $"{100.0 * curve.Midpoint.Score.Accuracy:F1}"
                $"{r 0.0:F3}"
                $"{r 0.3:F3}"
            ]

        Console.Error.WriteLine(String.concat "  " row)
        row

    {
        Title = "Distance, barrier (statistics reset) and R after searches"
        Columns = [ "pair"; "search"; "L2"; "loss barrier (nats)"; "accuracy at 1/2 (%)"; "R (γ=0)"; "R (γ=0.3)" ]
        Rows =
            [
                for pair, weights in pairs do
                    if pair.Contains only && not (pair.StartsWith "MLP") then
                        let a, b = weights ()
                        row pair "none" a b (PermutationSet.Identity a.Network)

                        for name, search in searches @ withData do
                            row pair name a b (search a b).Permutations
            ]
    }
