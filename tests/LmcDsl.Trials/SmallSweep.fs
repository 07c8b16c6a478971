/// A sweep of 20 cells, small enough to be run on a one-node cluster by tests. The program of the trials runs it when its first word is
/// `small-sweep`.
module LmcDsl.Trials.SmallSweep

open LmcDsl

let word = "small-sweep"

/// Cells: each of these models beside model 0.
let cells = 20

/// The same with three cells, for what is tried many times.
let tiny = "tiny-sweep"

/// The experiments' names.
let words = [ word; tiny ]

let private experiment name cells =
    let setup =
        { Setup.standard with
            Data = Part(Glyphs, 1000, 200)
            Network = mlp [ 12; 12 ]
            Epochs = 2
            Threads = 1
        }

    let others = [ for seed in 1L .. int64 cells -> [ 0L; seed ] ]

    Experiment.create name "A small sweep" setup [ train >> align WM >> measureAll [ L2; R ] |> sweep SeedsOf others ]

let run (name: string) (words: string list) =
    Experiment.runWithArguments words (experiment name (if name = tiny then 3 else cells))
