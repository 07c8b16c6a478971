// Every search on every network: how near it brings two models, and how flat the line between them gets. Networks with
// batch norm twice: with statistics averaged like parameters, and recomputed.   dotnet fsi build.fsx -t Searches
#load "prelude.fsx"

open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Training

// The recipe of 2402.04051 and REPAIR (2211.08403), at a width and length for two cores.
let convolutional network setup =
    { setup with
        Data = Cifar10
        Network = network
        Epochs = 10
        BatchSize = 250
        LearningRate = 0.2
        WeightDecay = 5e-4
        Optimizer = Sgd 0.9
        Schedule = LinearUpDown 0.2
        Augmentation = Augmentation.FlipCrop
    }

let networks =
    [
        "MLP x512", id
        "VGG11 x0.25", convolutional (vgg11 0.25 Norm.Batch)
        "ResNet20 x1", convolutional (resnet20 1.0 Norm.Batch)
    ]

let searches = [ WM; SinkhornWM; WM |> startingFrom SinkhornWM; AM; STE ]

let report (name, adapt) search statistics =
    adapt
    >> train
    >> labelled "network" name
    >> align search
    >> statistics
    >> mergeN 2
    >> measureAll [ Barrier; L2; R ]

let kept = keepStatistics >> labelled "statistics" "kept"
let reset = labelled "statistics" "reset"

let reports =
    [
        for network in networks do
            for search in searches do
                for statistics in (if fst network = "MLP x512" then [ id ] else [ kept; reset ]) do
                    report network search statistics
    ]

Experiment.create "searches" "Every search on every network" Setup.standard reports
|> Experiment.run fsi.CommandLineArgs
