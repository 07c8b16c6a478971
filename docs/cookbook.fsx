(**
---
title: Cookbook
category: Guides
index: 1
---
# Cookbook

Each recipe is whole, but for these lines, which every script begins with. All of it was run when this page was built, on data drawn by code and small
networks.

    #load "prelude.fsx"
    open TorchSharp
    open LmcDsl
    open LmcDsl.Core.Matching
    open LmcDsl.Core.Training
*)
(*** hide ***)
#I "../src/LmcDsl/bin/Release/net10.0"
#r "TorchSharp.dll"
#r "LmcDsl.Core.dll"
#r "LmcDsl.dll"
#r "Argu.dll"
#r "Spectre.Console.dll"
#r "XPlot.Plotly.dll"
#r "MathNet.Numerics.dll"

open System.Threading
open TorchSharp
open LmcDsl
open LmcDsl.Core.Matching
open LmcDsl.Core.Runtime
open LmcDsl.Core.Training

System.Globalization.CultureInfo.CurrentCulture <- System.Globalization.CultureInfo.InvariantCulture
TorchRuntime.Load() |> ignore

// What `Experiment.run` shows, without a store.
let show metrics (plan: Plan<Report>) =
    use memory = new InMemory(CancellationToken.None)

    for table in (Results.standard metrics (memory.Report plan)).Tables do
        printfn "%s\n" (TableText.plain table)

(**
## The usual set-up, changed

A set-up says everything but the seed. `show` stands for `Experiment.run` on this page.
*)
let setup =
    { Setup.standard with
        Data = Part(Glyphs, 2000, 500)
        Network = mlp [ 32; 32 ]
        Epochs = 6
        Threads = 1
    }

setup |> (train >> align WM >> mergeN 2 >> measureAll [ L2; Accuracy ]) |> show [ L2; Accuracy ]
(*** include-output ***)

(**
## SGD with momentum and a schedule
*)
let sgd =
    { setup with
        Optimizer = Sgd 0.9
        LearningRate = 0.1
        Schedule = LinearUpDown 0.1
        WeightDecay = 1e-4
    }

sgd |> (train >> align WM >> mergeN 2 >> measure Accuracy) |> show [ Accuracy ]
(*** include-output ***)

(**
## Two searches side by side

Rows carry the search as a label; the naive rows are shared.
*)
for search in [ WM; AM ] do
    setup |> (train >> align search >> measure L2) |> show [ L2 ]
(*** include-output ***)

(**
Two variants of one search in one table need names: `alignAs "one start" WM` and `alignAs "five" (weightMatching (WeightMatchingOptions(Starts = 5)))`.

## A merge beside the mean
*)
setup |> (train >> align WM >> mergeBy TIES 3 >> measure Accuracy) |> show [ Accuracy ]
(*** include-output ***)

(**
## A sweep

One pipeline over many values; rows are labelled with them. Over two fields the page has a heat map.
*)
let pipeline = train >> align WM >> measureAll [ L2; R ]

setup |> (pipeline |> sweep LearningRate [ 1e-3; 3e-3 ] |> sweep Epochs [ 1; 2 ]) |> show [ L2; R ]
(*** include-output ***)

(**
## A metric of your own

What it computes, a number to show, and what it looks at.
*)
let cosine =
    let measure =
        Measure.make "cosine" 1 (fun context ->
            let a, b = Take.pair context
            use x = a.Learned()
            use y = b.Learned()
            {| Cosine = torch.nn.functional.cosine_similarity(x, y, 0L).ToDouble() |})

    measure |> Metric.on Looks.pairs "cosine of" Metric.plain [ measure |> Measure.quantity "cosine" 4 _.Cosine ]

setup |> (train >> align WM >> measure cosine) |> show [ cosine ]
(*** include-output ***)

(**
## Data of your own

Arrays, `.npz`, `.npy`, CSV and folders of pictures are a line each; see [experiments](experiments.html).
*)
let rings =
    let random = System.Random 7

    let points count =
        Array.unzip [|
            for k in 0 .. count - 1 ->
                let angle, radius = random.NextDouble() * 6.28, float (k % 3 + 1) + 0.3 * random.NextDouble()
                [| float32 (radius * cos angle); float32 (radius * sin angle) |], k % 3
        |]

    DataSet.ofArrays "rings" [ 2; 1; 1 ] (points 1500) (points 300)

{ setup with Data = rings; Epochs = 10 } |> (train >> align WM >> mergeN 2 >> measure Accuracy) |> show [ Accuracy ]
(*** include-output ***)

(**
## A network of your own
*)
open LmcDsl.Build

let small =
    network "small" [ conv 8 3; batchNorm; relu; residual [ conv 8 3; relu; conv 8 3 ]; maxPool 2; globalPool; output ]

printfn "%s" (TableText.plain (Describe.table (small Glyphs)))
(*** include-output ***)

{ setup with Network = small; Epochs = 1 } |> (train >> align WM >> mergeN 2 >> measure Accuracy) |> show [ Accuracy ]
(*** include-output ***)

(**
## A figure of your own

`Draw.bars`, `Draw.lines`, `Draw.curve`, `Draw.points`, `Draw.contour` and `HeatMap.draw` draw in one style; a figure goes to the page by
`Metric.drawing`, or by the last argument of `Experiment.ofScale`.
*)
let drawn =
    cosine
    |> Metric.drawing (fun report ->
        Draw.bars "cosine" "Cosine between two models' weights." "pair" [ "state" ] (cosine.Op.Shows report) (fun _ -> true) report
        |> Option.toList)

(**
## From the command line

    dotnet fsi mine.fsx --set LearningRate=3e-3 Width=256 Optimizer=sgd:0.9 --seeds 4 5 6 --watch
*)
