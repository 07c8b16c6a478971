// Activation matching beside weight matching: distances, barriers, R and the permutations.   dotnet fsi build.fsx -t ActivationMatching
#load "prelude.fsx"
#load "paper/Recipe.fs"

open LmcDsl
open LmcDsl.Paper

let plans scale =
    [
        for recipe in Recipe.all scale do
            for search, extra in [ WM, []; AM, [ AgreementWith WM ] ] do
                recipe.Setup
                |> (recipe.Train
                    >> align search
                    >> measureAll ([ recipe.Barrier; L2; R ] @ extra)
                    |> sweep SeedsOf (Recipe.seedPairs recipe))
    ]

let show report =
    {
        Tables =
            [
                Table.summary
                    "Activation matching beside weight matching"
                    [ "network"; "search" ]
                    [
                        Column.mean Quantity.lossBarrier
                        Column.mean Quantity.accuracyBarrier
                        Column.mean Quantity.l2
                        Column.mean Quantity.reduction
                        Column.mean (Quantity.r 0.0)
                        Column.mean (Quantity.r 0.3)
                        Column.mean Quantity.agreement
                        Column.count
                    ]
                    _.Aligned
                    report
            ]
        Figures =
            Draw.bars
                "r-activation-matching"
                "Agreement R of the singular vectors of two models aligned by weights and by activations."
                "network"
                [ "search" ]
                [ Quantity.r 0.0; Quantity.r 0.3 ]
                _.Aligned
                report
            |> Option.toList
    }

let item = Experiment.ofScale "activationMatching" "Activation matching beside weight matching" plans show
item |> Experiment.run fsi.CommandLineArgs
