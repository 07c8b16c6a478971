/// Experiments small enough to be killed and run again many times. The program runs one when its first word is the experiment's name,
/// so that tests have a real process to kill.
module LmcDsl.Trials.SmallExperiment

open LmcDsl

/// Trainings, matchings and measurements.
let word = "small-experiment"

/// Searches that take most of its time.
let matching = "small-matching"

let private setup =
    { Setup.standard with
        Data = Glyphs
        Network = mlp [ 48; 48 ]
        Epochs = 8
        Threads = 1
    }

let private experiments =
    [
        word,
        Experiment.create word "Small" setup [
            train >> align WM >> mergeN 3 >> measure R
            train >> align WM >> mergeN 3 >> measureAll [ BarrierOnTest 7; L2; Accuracy ]
        ]
        let brief = { setup with Data = Part(Glyphs, 1000, 200); Epochs = 2 }

        matching,
        Experiment.create matching "Searches" brief [
            for search in [ WM; SinkhornWM; STE; AM ] do
                train >> align search >> measure L2
        ]
    ]

/// The experiments' names.
let names = List.map fst experiments

/// Runs one with the words of its command line.
let run (name: string) (words: string list) =
    Experiment.runWithArguments words (experiments |> List.find (fst >> (=) name) |> snd)
