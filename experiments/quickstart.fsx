// Three networks that differ in nothing but their seed: brought into one basin by permuting
// hidden units, averaged, and measured.   dotnet fsi build.fsx -t Quickstart
#load "prelude.fsx"

open LmcDsl

// What is trained: a multilayer perceptron 784-512-512-512-10 on Fashion-MNIST.
let setup =
    { Setup.standard with
        Data = FashionMnist
        Network = mlp [ 512; 512; 512 ]
        Epochs = 10
    }

// The main job: align all to the first by weight matching, merge three, and ask how far the
// singular vectors of their weights agree.
let agreement = train >> align WM >> mergeN 3 >> measure R

// The same three models, and what else is worth knowing of them.
let quality = train >> align WM >> mergeN 3 >> measureAll [ Barrier; L2; Accuracy ]

// Nothing has run so far. This line trains what is missing, measures, and writes results/quickstart.
Experiment.create "quickstart" "Three networks, one basin" setup [ quality; agreement ]
|> Experiment.withFallback Glyphs
|> Experiment.run fsi.CommandLineArgs
