/// Experiments that tests start, kill, disturb and start again: a program of their own, since the tests' would make all its lists first.
module LmcDsl.Trials.Program

[<EntryPoint>]
let main arguments =
    match List.ofArray arguments with
    | name :: words when List.contains name SmallExperiment.names -> SmallExperiment.run name words
    | name :: words when List.contains name SmallSweep.words -> SmallSweep.run name words
    | _ ->
        eprintfn $"""expected {String.concat ", " (SmallExperiment.names @ SmallSweep.words)}"""
        2
