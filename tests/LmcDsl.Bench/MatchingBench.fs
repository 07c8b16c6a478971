/// Weight matching on trained weights, beside its own matrix products alone (the floor that it cannot go under) or, with
/// `--peers`, beside a straightforward implementation with SciPy's solver.
module LmcDsl.Bench.MatchingBench

open System
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open TorchSharp

/// The products of one pass over all groups.
let products (a: ParameterSet) (b: ParameterSet) () =
    use _ = torch.no_grad ()

    for group in a.Network.Groups do
        use _ = torch.NewDisposeScope()
        let cost = torch.zeros (int64 group.Units, int64 group.Units)

        for axis in group.Axes do
            if a.Network.Parameters[axis.Parameter].Learned then
                let byUnit (tensor: torch.Tensor) =
                    tensor.transpose(0L, int64 axis.Dimension).reshape(int64 group.Units, -1L)

                cost.addmm_ (byUnit a.Views[axis.Parameter], (byUnit b.Views[axis.Parameter]).t()) |> ignore

let private comparison peers name n rounds (weights: unit -> ParameterSet * ParameterSet) () =
    let a, b = weights ()
    let mutable found: SearchResult option = None

    let ours () =
        let seconds = Timing.seconds (fun () -> found <- Some(WeightMatching.Match(a, b)))
        let ended = found.Value
        Console.Error.WriteLine $"  {ended.Sweeps} passes, objective {Seq.last ended.Objective:F1}"
        seconds

    // Of many passes some are timed: all take the same.
    let productsAlone () =
        let passes = found.Value.Sweeps
        let timed = min passes 5

        let seconds =
            Timing.seconds (fun () ->
                for _ in 1..timed do
                    products a b ())

        seconds * float passes / float timed

    let reference, theirs =
        if peers then
            let scipy = Scipy()

            "straightforward, with SciPy",
            fun () ->
                let mutable value = 0.0
                let seconds = Timing.seconds (fun () -> value <- Straightforward.weightMatching scipy a b)
                Console.Error.WriteLine $"  straightforward: objective {value:F1}"
                seconds
        else
            "products of its passes", productsAlone

    {
        Name = $"weight matching, {name}"
        N = n
        Ours = ours
        Reference = reference
        Theirs = theirs
        Rounds = rounds
    }

/// MLPs of several widths, VGG11, and ResNet20 of two widths.
let comparisons peers : (unit -> Comparison) list =
    [
        for width, rounds in (if peers then [ 512, 5; 1024, 1 ] else [ 256, 5; 512, 5; 1024, 3; 2048, 2 ]) do
            comparison peers "MLP" width rounds (fun () -> Weights.mlps width)
        comparison peers "ResNet20 x1" 64 3 (fun () -> Weights.resnets 1 2_000)
        comparison peers "ResNet20 x4" 256 3 (fun () -> Weights.resnets 4 500)
        comparison peers "ResNet20 x16" 1024 1 (fun () -> Weights.resnets 16 100)
        comparison peers "VGG11" 512 3 Weights.vggs
    ]

/// How the time grows with width (three hidden layers) and with depth (width 256), on MLPs that are alike but for their size.
let growth: (unit -> Comparison) list =
    [
        for width, rounds in [ 256, 5; 512, 5; 1024, 3; 2048, 1; 4096, 1; 8192, 1 ] do
            comparison false "width" width rounds (fun () -> Weights.alike 3 width)
        for depth in [ 2; 4; 8; 16 ] do
            comparison false "depth" depth 3 (fun () -> Weights.alike depth 256)
    ]
