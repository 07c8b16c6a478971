/// What a busy machine costs: the same work alone, and beside a process that keeps a core busy. The reference is the work beside it, so that
/// the ratio says how many times as long it takes; at most 2.5 is wanted.
module LmcDsl.Bench.BusyBench

open System.Diagnostics
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Matching
open LmcDsl.Core.Runtime
open LmcDsl.Core.Training
open TorchSharp

/// Does something while another process spins.
let private besideSpinning (work: unit -> 'a) : 'a =
    let start = ProcessStartInfo("/bin/sh", [ "-c"; "while :; do :; done" ])

    match Process.Start start with
    | null -> raise (LmcException "/bin/sh: does not start")
    | started ->
        use spinning = started

        try
            work ()
        finally
            spinning.Kill()
            spinning.WaitForExit()

let private comparison name n (work: unit -> unit) =
    {
        Name = name
        N = n
        Ours = fun () -> Timing.seconds work
        Reference = "the same beside a busy process"
        Theirs = fun () -> besideSpinning (fun () -> Timing.seconds work)
        Rounds = 7
    }

let private matching () =
    let a, b = Weights.mlps 512
    comparison "busy beside idle, weight matching, MLP" 512 (fun () -> WeightMatching.Match(a, b) |> ignore)

let private training () =
    let data = new DataSplit(torch.randn (12_800L, 1L, 28L, 28L), torch.randint (10L, [| 12_800L |]))
    let network = Network(mlp [ 512; 512; 512 ] FashionMnist)
    let options = TrainingOptions(Epochs = 1, BatchSize = 128)

    comparison "busy beside idle, training, MLP, 100 steps" 12_800 (fun () ->
        Trainer.Run(TrainingState.Start(network, 0L, torch.CPU), data, options, 0L).Dispose())

/// Weight matching and training of the MLP.
let comparisons: (unit -> Comparison) list = [ matching; training ]
