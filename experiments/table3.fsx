// Table 3: three models and more. b and c are aligned to a; what of the pair (b, c), and of the mean?   dotnet fsi build.fsx -t Table3
#load "prelude.fsx"
#load "paper/Recipe.fs"

open LmcDsl
open LmcDsl.Paper

// Of convolutional networks by the paper's solver too: coordinate descent ends in poor optima there.
let searches (recipe: Recipe) =
    let solver = if recipe.Title.StartsWith "MLP" then [] else [ recipe.SinkhornWM ]
    [ WM ] @ solver @ [ AM ] @ recipe.StraightThrough

let plans scale =
    [
        for recipe in Recipe.mlps scale @ [ Recipe.resnet20 scale ] do
            for search in searches recipe do
                recipe.Setup
                |> (recipe.Train
                    >> align search
                    >> pairs [ (0, 1); (1, 2) ]
                    >> mergeN 3
                    >> measureAll [ recipe.Barrier; Accuracy ]
                    |> sweep SeedsOf (Recipe.seedTriples recipe))

        let mlp = Recipe.mlp scale FashionMnist

        for search in searches mlp do
            mlp.Setup
            |> sweepOver "models merged" string [ 2..10 ] (fun n ->
                mlp.Train >> align search >> mergeN n >> measure Accuracy |> sweep SeedsOf (Recipe.seedTurns mlp))

        mlp.Setup
        |> sweepOver "models merged" string [ 2..10 ] (fun n ->
            mlp.Train >> alignAll n MergeMany >> mergeN n >> measure Accuracy |> sweep SeedsOf (Recipe.seedTurns mlp))
    ]

let ofThree (subject: Subject) = subject.Key "models merged" = "–"
let mean (subject: Subject) = subject.Models = [ "mean" ]
let bAndC (subject: Subject) = subject.Models = [ "1"; "2" ]

let show report =
    let keys = [ "network"; "search" ]
    let aligned (subject: Subject) = subject.Aligned && ofThree subject

    {
        Tables =
            [
                Table.summary
                    "The pair (b, c), which no search saw"
                    keys
                    [
                        Column.mean Quantity.naiveBarrier
                        Column.mean Quantity.lossBarrier
                        Column.mean Quantity.midpointLoss
                        Column.mean Quantity.accuracyBarrier
                        Column.count
                    ]
                    (fun s -> aligned s && bAndC s)
                    report
                Table.summary
                    "The mean of three"
                    [ "network"; "state"; "search" ]
                    [ Column.mean Quantity.loss; Column.mean Quantity.accuracy; Column.count ]
                    (fun s -> mean s && ofThree s)
                    report
                Table.summary
                    "The mean of n"
                    [ "search"; "models merged" ]
                    [ Column.mean Quantity.loss; Column.mean Quantity.accuracy; Column.count ]
                    (fun s -> mean s && s.Aligned && not (ofThree s))
                    report
            ]
        Figures =
            List.choose id [
                Draw.bars
                    "barrier-b-c"
                    "Excess of the loss at the midpoint between b and c, each aligned to a; mean over three trials."
                    "network"
                    [ "search" ]
                    [ Quantity.midpointLoss ]
                    (fun s -> aligned s && bAndC s)
                    report
                Draw.lines
                    "mean-of-n"
                    "Test accuracy of the mean of n models aligned to the first, and of n models matched together (MergeMany)."
                    "models merged"
                    "linear"
                    [ "search" ]
                    Quantity.accuracy
                    (fun s -> mean s && s.Aligned && not (ofThree s))
                    report
            ]
    }

let item = Experiment.ofScale "table3" "Table 3. Three models and more" plans show
item |> Experiment.run fsi.CommandLineArgs
