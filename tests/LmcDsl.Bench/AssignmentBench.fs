/// Linear assignment: on costs met in weight matching and on families that solvers stumble over, beside SciPy's solver.
module LmcDsl.Bench.AssignmentBench

open System
open LmcDsl.Core.Runtime
open LmcDsl.Core.Solvers
open TorchSharp

let private fill n (entry: int -> int -> float) = Array.init (n * n) (fun k -> float32 (entry (k / n) (k % n)))

let private families: (string * (Random -> int -> float32[])) list =
    [
        "uniform", fun random n -> fill n (fun _ _ -> random.NextDouble())
        "integer ties", fun random n -> fill n (fun _ _ -> float (random.Next 100))
        "low rank",
        fun random n ->
            let a, b =
                Array.init (n * 8) (fun _ -> random.NextDouble() - 0.5),
                Array.init (n * 8) (fun _ -> random.NextDouble() - 0.5)

            fill n (fun i j -> Seq.sum (seq { for k in 0..7 -> a[8 * i + k] * b[8 * j + k] }))
        "near identity", fun random n -> fill n (fun i j -> (if i = j then -1.0 else 0.0) + 0.1 * random.NextDouble())
        "constant rows",
        fun random n ->
            let rows = Array.init n (fun _ -> random.NextDouble())
            fill n (fun i _ -> rows[i])
        "geometric",
        fun random n ->
            let a, b =
                Array.init (2 * n) (fun _ -> random.NextDouble()), Array.init (2 * n) (fun _ -> random.NextDouble())

            fill n (fun i j -> sqrt ((a[2 * i] - b[2 * j]) ** 2.0 + (a[2 * i + 1] - b[2 * j + 1]) ** 2.0))
    ]

/// The first problem of weight matching on trained MLPs: costs of the first hidden layer, nothing permuted yet.
let private matchingCosts n =
    use _ = torch.NewDisposeScope()
    let a, b = Weights.mlps n
    let cost = torch.zeros (int64 n, int64 n)

    for name, transposed in [ "fc1.weight", false; "fc1.bias", false; "fc2.weight", true ] do
        let byUnit (w: torch.Tensor) = if transposed then w.t () else w.reshape (int64 n, -1L)
        cost.sub_ ((byUnit a[name]).mm((byUnit b[name]).t())) |> ignore

    cost.data<float32>().ToArray()

let private comparison (scipy: Scipy) name n rounds (costs: unit -> float32[]) () =
    let cost = costs ()
    let struct (expected, _, _) = scipy.Solve(ReadOnlySpan cost, n)

    let ours () =
        let found = LinearAssignment.Minimize(ReadOnlySpan cost, n)

        if abs (found.Cost - expected) > 1e-6 * (1.0 + abs expected) then
            raise (LmcException $"assignment, {name}, n = {n}: expected cost {expected}, found {found.Cost}")

    let theirs () =
        let struct (_, seconds, _) = scipy.Solve(ReadOnlySpan cost, n)
        seconds

    {
        Name = $"assignment, {name}"
        N = n
        Ours = fun () -> Timing.seconds ours
        Reference = "SciPy"
        Theirs = theirs
        Rounds = rounds
    }

/// Costs met in matching and every family, at several sizes. Both solvers must find the same cost.
let comparisons () : (unit -> Comparison) list =
    let scipy = Scipy()

    [
        for n in [ 256; 512; 1024; 2048; 4096 ] do
            comparison scipy "costs of weight matching" n (if n > 2048 then 1 else 5) (fun () -> matchingCosts n)
        for n in [ 4096; 8192 ] do
            comparison scipy "uniform" n 1 (fun () -> snd families.Head (Random n) n)
        for name, draw in families do
            for n in [ 512; 1024; 2048 ] do
                comparison scipy name n 3 (fun () -> draw (Random n) n)
    ]
