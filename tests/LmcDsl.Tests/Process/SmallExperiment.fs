/// An experiment small enough to be killed and run again many times. The test program runs it when its first word is
/// `small-experiment`, so that tests have a real process to kill.
module LmcDsl.Tests.Process.SmallExperiment

open LmcDsl

let word = "small-experiment"

let private experiment =
    let setup =
        { Setup.standard with
            Data = Glyphs
            Network = mlp [ 48; 48 ]
            Epochs = 8
            Threads = 1
        }

    Experiment.create word "Small" setup [
        train >> align WM >> mergeN 3 >> measure R
        train >> align WM >> mergeN 3 >> measureAll [ BarrierOnTest 7; L2; Accuracy ]
    ]

let run (words: string list) = Experiment.runWithArguments words experiment
