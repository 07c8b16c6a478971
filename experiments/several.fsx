// Two to ten models that share their first epochs or nothing: where does the mean of n break, and does R of pairs that no search saw tell?   dotnet fsi build.fsx -t Several
#load "prelude.fsx"
#load "paper/Recipe.fs"
#load "beyond/Setting.fs"

open LmcDsl
open LmcDsl.Beyond
open LmcDsl.Core.Training
open LmcDsl.Paper

let recipeOf (scale: Scale) =
    let recipe = Setting.mlp scale

    { recipe with
        Setup =
            { recipe.Setup with
                Epochs = (if scale.Size = Paper then 100 else 20)
                Data = (if scale.Size = Smoke then Part(FashionMnist, 3000, 2000) else recipe.Setup.Data)
            }
    }

/// Epochs that the models share, of 20; none at all for models that share nothing.
let shared = [ None; Some 0; Some 1; Some 3; Some 10 ]

let spelled (epochs: int option) =
    match epochs with
    | None -> "nothing"
    | Some 0 -> "initialisation"
    | Some k -> $"{k} epochs"

let private sharing (recipe: Recipe) (epochs: int option) =
    let of20 k = k * recipe.Setup.Epochs / 20

    { recipe.Setup with
        Shared = epochs |> Option.map (fun k -> SharedStart(1000L, of20 k))
    }

let private unseen = [ 1, 2; 3, 4; 5, 6; 7, 8 ]

let plans scale =
    let recipe = recipeOf scale
    let turns = Recipe.seedTurns recipe
    let numbers = [ 2..10 ]

    [
        for epochs in shared do
            let setup = sharing recipe epochs
            let models setup = setup |> recipe.Train |> labelled "shared" (spelled epochs)

            let report = Setting.meansOf turns numbers unseen [ R ] models setup

            for search in [ WM; recipe.SinkhornWM; recipe.STE; recipe.SinkhornSTE ] do
                yield! report (fun _ -> align search)

            for search in [ MergeMany; Universe ] do
                yield! report (fun n -> alignAll n search)
    ]

let isMean (s: Subject) = s.Models = [ "mean" ]
let ofPairs (s: Subject) = s.Models.Length = 2

let show report =
    {
        Tables =
            [
                Table.summary
                    "The mean of n"
                    [ "shared"; "state"; "search"; "models merged" ]
                    [ Column.mean Quantity.loss; Column.mean Quantity.accuracy; Column.count ]
                    isMean
                    report
                Table.summary
                    "Pairs that no search of two models saw"
                    [ "shared"; "state"; "search" ]
                    [ Column.mean (Quantity.r 0.0); Column.mean (Quantity.r 0.3); Column.count ]
                    ofPairs
                    report
                Table.summary
                    "The models themselves"
                    [ "shared" ]
                    [ Column.mean Quantity.loss; Column.mean Quantity.accuracy ]
                    (fun s -> not (isMean s || ofPairs s))
                    report
            ]
        Figures =
            [
                for epochs in shared do
                    yield!
                        Draw.lines
                            $"mean-of-n-{Draw.slug (spelled epochs)}"
                            $"Test accuracy of the mean of n models that share {spelled epochs}, as trained and aligned."
                            "models merged"
                            "linear"
                            [ "state"; "search" ]
                            Quantity.accuracy
                            (fun s -> isMean s && s.Key "shared" = spelled epochs)
                            report
                        |> Option.toList
                yield!
                    Draw.bars
                        "r-unseen"
                        "R of the dominant singular vectors of pairs that no search of two models saw, by what the models share."
                        "shared"
                        [ "state"; "search" ]
                        [ Quantity.r 0.3 ]
                        ofPairs
                        report
                    |> Option.toList
            ]
    }

let item = Experiment.ofScale "several" "Two to ten models of graded similarity" plans show
item |> Experiment.run fsi.CommandLineArgs
