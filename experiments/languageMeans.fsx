// Two to six language models by characters: the perplexity of their mean, by search, and pairs that no search saw.   dotnet fsi build.fsx -t LanguageMeans
#load "prelude.fsx"
#load "paper/Recipe.fs"
#load "beyond/Setting.fs"
#load "beyond/Language.fs"

open LmcDsl
open LmcDsl.Beyond
open LmcDsl.Paper

let plans scale =
    let recipe = { Language.characters scale id with Models = 6 }
    let turns = Recipe.seedTurns recipe
    let report = Setting.meansOf turns [ 2..6 ] [ 1, 2; 3, 4 ] [ R; recipe.Barrier ] recipe.Train recipe.Setup

    [
        for name, search in Language.allSearches recipe do
            yield! report (fun _ -> alignAs name search)

        yield! report (fun n -> alignAll n MergeMany)
        yield! report (fun n -> alignAll n RotatedMergeMany)
    ]

let isMean (s: Subject) = s.Models = [ "mean" ]

let show report =
    {
        Tables =
            [
                Table.summary
                    "The mean of n"
                    [ "state"; "search"; "models merged" ]
                    [ Column.mean Quantity.loss; Column.mean Quantity.perplexity; Column.count ]
                    isMean
                    report
                Table.summary
                    "Pairs that no search of two models saw"
                    [ "state"; "search" ]
                    [ Column.mean Quantity.lossBarrier; Column.mean (Quantity.r 0.3); Column.count ]
                    Language.ofPairs
                    report
                Language.themselves [ "network" ] [ Column.mean Quantity.loss; Column.mean Quantity.perplexity ] report
            ]
        Figures =
            List.choose id [
                Draw.lines
                    "mean-of-n"
                    "Test loss of the mean of n language models, as trained and aligned."
                    "models merged"
                    "linear"
                    [ "state"; "search" ]
                    Quantity.loss
                    isMean
                    report
                Draw.bars
                    "unseen"
                    "Loss barriers of pairs that no search of two models saw."
                    "network"
                    [ "state"; "search" ]
                    [ Quantity.lossBarrier ]
                    Language.ofPairs
                    report
            ]
    }

let item = Experiment.ofScale "languageMeans" "Two to six language models" plans show
item |> Experiment.run fsi.CommandLineArgs
