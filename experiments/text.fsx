// Three language models by characters that differ in nothing but their seed: brought into one basin by permuting units and heads, or by
// rotating what may be rotated besides.   dotnet fsi build.fsx -t Text
#load "prelude.fsx"

open LmcDsl

// What is trained: a transformer of four blocks in the manner of GPT-2, on Shakespeare's plays.
let setup =
    { Setup.standard with
        Data = TinyShakespeare
        Network = gpt { Layers = 4; Width = 128; Heads = 4; Context = 128 }
        Epochs = 2
        BatchSize = 32
        LearningRate = 2e-3
        Schedule = LmcDsl.Core.Training.Cosine 0.05
    }

// The same three models, aligned in two ways: what the next character's loss is on the line between two of them, and how far the singular
// vectors of their weights agree.
let quality search = train >> align search >> mergeN 3 >> measureAll [ BarrierOnTest 11; R; RByBlock; L2; Accuracy ]

Experiment.create "text" "Language models in one basin" setup [ quality WM; quality RotatedWM ]
|> Experiment.run fsi.CommandLineArgs
