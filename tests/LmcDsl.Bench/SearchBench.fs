/// A step of the searches that go by gradient, beside what somebody would write on bare Torch.
module LmcDsl.Bench.SearchBench

open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Matching
open TorchSharp

let private steps = 10

let private straightThrough () =
    let a, b = Weights.mlps 512
    let data = Weights.fashion 5000
    let options = StraightThroughOptions(Steps = steps, CheckEvery = 1000, CheckOn = 1)
    let scipy = Scipy()

    // Per step: matching from the last permutation (one pass that changes nothing), then a forward and a backward pass.
    let theirs () =
        let aligned = WeightMatching.Match(a, b).Permutations.Apply b

        Timing.seconds (fun () ->
            for _ in 1..steps do
                Straightforward.weightMatching scipy a aligned |> ignore
                use _ = torch.NewDisposeScope()
                let leaves = [| for view in a.Views -> view.detach().requires_grad_() |]
                let logits = a.Network.Forward(leaves, data.Images.narrow (0L, 0L, 500L), Mode.Training)
                let loss = torch.nn.functional.cross_entropy (logits, data.Labels.narrow (0L, 0L, 500L))
                torch.autograd.grad ([| loss |], leaves) |> ignore)

    // From the answer of weight matching, so that the first projection is like the others.
    let start = WeightMatching.Match(a, b).Permutations

    {
        Name = $"straight-through, {steps} steps, MLP"
        N = 512
        Ours = fun () -> Timing.seconds (fun () -> StraightThrough.Match(a, b, data, options, start))
        Reference = "matching by SciPy, bare gradient"
        Theirs = theirs
        Rounds = 3
    }

let private sinkhorn () =
    let a, b = Weights.mlps 512
    let options = SinkhornMatchingOptions(Steps = steps)
    let logits = [| for _ in 1..3 -> (torch.eye 512L + torch.randn (512L, 512L) * 0.1.ToScalar()).requires_grad_() |]

    // Without the optimiser's own step, which is little beside the gradient.
    let theirs () =
        Timing.seconds (fun () ->
            for _ in 1..steps do
                use _ = torch.NewDisposeScope()
                Straightforward.sinkhornStep a b logits |> ignore)

    {
        Name = $"Sinkhorn matching, {steps} steps, MLP"
        N = 512
        Ours = fun () -> Timing.seconds (fun () -> SinkhornMatching.Match(a, b, options))
        Reference = "unrolled, Torch's own gradient"
        Theirs = theirs
        Rounds = 3
    }

/// Activation matching reads each example once with each model: beside it those passes alone.
let private activations name count (models: unit -> ParameterSet * ParameterSet) (examples: int -> DataSplit) () =
    let a, b = models ()
    let data = examples count
    let options = ActivationMatchingOptions(Examples = count)

    let passes () =
        use _ = torch.no_grad ()

        for start in 0 .. options.Batch .. count - 1 do
            for model in [ a; b ] do
                use _ = torch.NewDisposeScope()
                let images = data.Images.narrow (0L, int64 start, int64 (min options.Batch (count - start)))
                model.Network.Forward(model.Views, images) |> ignore

    {
        Name = $"activation matching, {name}"
        N = count
        Ours = fun () -> Timing.seconds (fun () -> ActivationMatching.Match(a, b, data, options))
        Reference = "both models' passes alone"
        Theirs = fun () -> Timing.seconds passes
        Rounds = 5
    }

/// Straight-through estimator, Sinkhorn matching, activation matching.
let comparisons: (unit -> Comparison) list =
    [
        straightThrough
        sinkhorn
        activations "MLP" 10_000 (fun () -> Weights.mlps 512) Weights.fashion
        activations "ResNet20" 2_000 (fun () -> Weights.resnets 1 2_000) Weights.cifar
        activations "VGG11" 1_000 Weights.vggs Weights.cifar
    ]
