/// What the parts of a step take, each run by itself on the same tensors, beside the whole step and the matrix products that it cannot do
/// without.
module LmcDsl.Bench.ProfileBench

open System
open System.Runtime.InteropServices
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Matching
open LmcDsl.Core.Permutations
open LmcDsl.Core.Solvers
open LmcDsl.Core.Training
open TorchSharp

let private rounds = 15

/// Milliseconds of each part, the median of rounds in which all take turns. A part says of how many steps it is.
let private milliseconds (parts: (string * int * (unit -> unit)) list) : string list list =
    let once (_, steps, work) = 1000.0 * Timing.seconds work / float (steps: int)
    parts |> List.iter (once >> ignore)
    let taken = [ for _ in 1..rounds -> List.map once parts ]

    [
        for k, (name, _, _) in List.indexed parts ->
            [ name; (taken |> List.map (List.item k) |> Timing.median).ToString "F2" ]
    ]

let private table title parts = { Title = title; Columns = [ "what"; "ms" ]; Rows = milliseconds parts }

let private examples (n: int64) = new DataSplit(torch.randn (n, 1L, 28L, 28L), torch.randint (10L, [| n |]))

/// Products of a forward and a backward pass of a dense network on a batch: of activations with weights, of errors with weights but for
/// the first layer's, of errors with activations.
let private products (sizes: int64 list) (batch: int64) =
    let layers =
        [
            for m, n in List.pairwise sizes -> torch.randn (batch, m), torch.randn (n, m), torch.randn (batch, n)
        ]

    fun () ->
        use _ = torch.NewDisposeScope()

        for k, (input, weight, error) in List.indexed layers do
            input.mm (weight.t ()) |> ignore
            error.t().mm input |> ignore

            if k > 0 then
                error.mm weight |> ignore

let private sizes = [ 784L; 512L; 512L; 512L; 10L ]

let private training () =
    let batch, steps = 128, 50
    let data = examples (int64 (batch * steps))
    let network = Network(mlp [ 512; 512; 512 ] FashionMnist)
    let options = TrainingOptions(Epochs = 1, BatchSize = batch)
    let state = TrainingState.Start(network, 0L, torch.CPU)
    let leaves = Gradients.Leaves state.Parameters
    let order = torch.randperm data.Count

    let take () =
        let chosen = order.narrow (0L, 0L, int64 batch)
        data.Images.index_select (0L, chosen), data.Labels.index_select (0L, chosen)

    let images, labels = take ()
    let struct (_, gradients) = Gradients.Of(network, leaves, images, labels)

    let scoped (work: unit -> 'a) () =
        use _ = torch.NewDisposeScope()
        work () |> ignore

    table $"A training step of the MLP 784-512x3-10, Adam, batch {batch}" [
        "whole step",
        steps,
        (fun () -> Trainer.Run(TrainingState.Start(network, 0L, torch.CPU), data, options, 0L).Dispose())
        "taking the batch", 1, scoped take
        "loss and gradient", 1, scoped (fun () -> Gradients.Of(network, leaves, images, labels))
        "of it: matrix products", 1, products sizes (int64 batch)
        "Adam, one pass", 1, scoped (fun () -> FusedStep.Apply(state, gradients, options, 1e-3, 1L))
    ]

let private straightThrough () =
    let a, b = Weights.mlps 512
    let batch = 500
    let data = Weights.fashion 5000
    let start = WeightMatching.Match(a, b).Permutations

    let search steps () =
        let options = StraightThroughOptions(Steps = steps, CheckEvery = 1000, CheckOn = 1, BatchSize = batch)
        StraightThrough.Match(a, b, data, options, start) |> ignore

    let moved = start.Apply b
    let mixture = new MixtureLoss(a, data, 1)
    let free = new TrainingState(a.Clone(), torch.zeros_like (a.Learned()), torch.zeros_like (a.Learned()), 0)
    let descent = new CoordinateDescent(free.Parameters, moved, start)
    let order = Random 0
    let gradients = mixture.Gradient(moved, batch, false, 0L, 0)

    let matching () =
        use _ = torch.no_grad ()
        descent.ReferenceChanged()
        descent.Run(order, 3) |> ignore

    // An answer from which the same problem is solved again, as nearly all steps do.
    let problems =
        [
            for group in 0 .. a.Network.Groups.Length - 1 do
                use cost = new GroupCost(free.Parameters, moved, MatchingScale(free.Parameters, moved), group)
                let costs = MemoryMarshal.Cast<byte, float32>(cost.Current().bytes).ToArray()
                let n = a.Network.Groups[group].Units
                costs, n, LinearAssignment.Minimize(ReadOnlySpan costs, n)
        ]

    let assignments () =
        for costs, n, answer in problems do
            LinearAssignment.Minimize(ReadOnlySpan costs, n, answer) |> ignore

    table $"A straight-through step of the MLP 784-512x3-10, batch {batch}" [
        "whole step, of ten with what the search does once", 10, search 10
        "whole step, of a hundred", 100, search 100
        "mixture's loss and gradient",
        1,
        (fun () ->
            use _ = torch.NewDisposeScope()
            mixture.Gradient(moved, batch, false, 0L, 0) |> ignore)
        "of it: matrix products", 1, products sizes (int64 batch)
        "Adam, one pass", 1, (fun () -> FusedStep.Apply(free, gradients, TrainingOptions(LearningRate = 0.0), 0.0, 1L))
        "matching that changes nothing", 1, matching
        "of it: matrix products of costs", 1, MatchingBench.products a b
        "of it: assignments", 1, assignments
    ]

let private sinkhorn () =
    let a, b = Weights.mlps 512
    let n = 512
    let objective = new RelaxedObjective(a, b, MatchingScale(a, b, lowest = -20, highest = 20))
    let matrices = [| for _ in 1..3 -> torch.randn(int64 n, int64 n).softmax 0L |]
    let logits = torch.eye (int64 n) + torch.randn (int64 n, int64 n) * 0.1.ToScalar()

    let operation = new Sinkhorn(n, SinkhornMatchingOptions().Tau, SinkhornMatchingOptions().Iterations, torch.CPU)

    let scaled = operation.Scale logits
    let gradient = torch.randn (int64 n, int64 n)
    let weights = [ for _ in 1..2 -> torch.randn (int64 n, int64 n) ]

    let scoped (work: unit -> unit) () =
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        work ()

    // Of each weight between two groups: one group's matrix applied, the gradient of the other's, and so the other way; each of three groups has
    // its own logits.
    let needed () =
        for weight in weights do
            for _ in 1..4 do
                weight.mm matrices[0] |> ignore

    table "A Sinkhorn step of the MLP 784-512x3-10" [
        "whole step, of ten with what the search does once",
        10,
        (fun () -> SinkhornMatching.Match(a, b, SinkhornMatchingOptions(Steps = 10)) |> ignore)
        "whole step, of a hundred",
        100,
        (fun () -> SinkhornMatching.Match(a, b, SinkhornMatchingOptions(Steps = 100)) |> ignore)
        "objective and its gradient", 1, scoped (fun () -> objective.At matrices |> ignore)
        "of it: matrix products", 1, scoped needed
        "three matrices of logits",
        1,
        scoped (fun () ->
            for _ in 1..3 do
                operation.Scale logits |> ignore)
        "three gradients of logits",
        1,
        scoped (fun () ->
            for _ in 1..3 do
                operation.Gradient(scaled, gradient) |> ignore)
    ]

/// A training step, a straight-through step and a Sinkhorn step of the MLP.
let tables: (unit -> Table) list = [ training; straightThrough; sinkhorn ]
