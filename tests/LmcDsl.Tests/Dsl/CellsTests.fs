module LmcDsl.Tests.Dsl.CellsTests

open Expecto
open LmcDsl

let private setup = { Setup.standard with Data = Glyphs; Network = mlp [ 4 ]; Threads = 1 }
let private titles plans = Cells.named plans |> List.map Plan.node |> Plan.steps |> List.map _.Title
let private keys plans = plans |> List.map Plan.node |> Plan.steps |> List.map _.Key

let tests =
    testList "Cells" [
        test "steps of a sweep's cells say which they are of, keys stay" {
            let plan = setup |> (train >> align WM >> measure L2 |> sweep LearningRate [ 1e-3; 0.01 ])
            let found = titles [ plan ]

            for title in
                [
                    "train mlp 4 on glyphs, seed 0 (learning rate 0.001)"
                    "train mlp 4 on glyphs, seed 0 (learning rate 0.01)"
                    "match weights of 1 to 0 (learning rate 0.01)"
                    "L2 of 0 and 1, aligned (learning rate 0.001)"
                ] do
                Expect.contains found title "the cell"

            Expect.equal (List.distinct found) found "no title twice"
            Expect.equal (keys (Cells.named [ plan ])) (keys [ plan ]) "the same steps"
        }

        test "of nested sweeps and several searches, what tells a step from its likes" {
            let plan =
                setup
                |> (train
                    >> align WM
                    >> measure L2
                    |> sweep WeightDecay [ 0.0; 1.0 ]
                    |> sweep LearningRate [ 1e-3; 0.01 ])

            Expect.contains
                (titles [ plan ])
                "train mlp 4 on glyphs, seed 1 (learning rate 0.01, weight decay 1)"
                "both"

            let searches = [ for search in [ WM; AM ] -> setup |> (train >> align search >> measure L2) ]
            let found = titles searches
            Expect.contains found "permute 1 (search AM)" "of two searches"
            Expect.contains found "train mlp 4 on glyphs, seed 0" "what both share has one name"
        }

        test "titles that tell steps apart stay as they are" {
            let plan = setup |> (train >> align WM >> mergeN 3 >> measureAll [ R; L2 ])
            Expect.equal (titles [ plan ]) (Plan.steps [ Plan.node plan ] |> List.map _.Title) "as they were"
        }
    ]
