// Two networks that differ in their seed only: how far apart they are, and how near alignment brings them.
#load "prelude.fsx"

open LmcDsl

// Glyphs is drawn by code, so that the first run needs no download; Mnist, FashionMnist, Cifar10 and data of your own are the same one word.
let setup =
    { Setup.standard with
        Data = Part(Glyphs, 2000, 500)
        Network = mlp [ 64; 64 ]
        Epochs = 3
    }

let aligned = train >> align WM >> mergeN 2 >> measureAll [ Barrier; L2; R; Accuracy ]

Experiment.create "MyExperiment" "Two networks, one basin" setup [ aligned ]
|> Experiment.run fsi.CommandLineArgs
