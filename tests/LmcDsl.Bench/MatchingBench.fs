/// Weight matching, beside its own matrix products alone: the floor that it cannot go under.
module LmcDsl.Bench.MatchingBench

open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open TorchSharp

/// The products of one pass over all groups, as often as the search needs passes.
let private products (a: ParameterSet) (b: ParameterSet) passes () =
    use _ = torch.no_grad ()

    for _ in 1..passes do
        for k in 1..3 do
            use _ = torch.NewDisposeScope()
            let weight (p: ParameterSet) layer = p[$"fc{layer}.weight"]
            let incoming = (weight a k).mm((weight b k).t())
            incoming.addmm_ ((weight a (k + 1)).t(), weight b (k + 1)) |> ignore

    null

/// Independent models of the given width at their initialisation: harder to match than trained ones.
let comparisons () : Comparison list =
    [
        for width in [ 256; 512; 1024 ] do
            let network = Network(mlp [ width; width; width ] FashionMnist)
            let a, b = ParameterSet.Initialize(network, 0L), ParameterSet.Initialize(network, 1L)
            let passes = WeightMatching.Match(a, b).Sweeps

            {
                Name = "weight matching, MLP, untrained"
                N = width
                Ours = fun () -> Timing.seconds (fun () -> WeightMatching.Match(a, b))
                Reference = $"its matrix products ({passes} passes)"
                Theirs = fun () -> Timing.seconds (products a b passes)
                Rounds = 3
            }
    ]
