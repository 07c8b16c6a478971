// What the straight-through estimator does in place of aligning singular vectors: R, activations, curvature, units matched alike, and how well it generalises from the images that it saw.   dotnet fsi build.fsx -t Mechanism
#load "prelude.fsx"
#load "paper/Recipe.fs"
#load "beyond/Setting.fs"

open LmcDsl
open LmcDsl.Beyond
open LmcDsl.Paper

/// Searches that are compared: by weights, by activations, by the loss.
let searches (recipe: Recipe) = [ WM; AM; recipe.SinkhornSTE ]

/// Numbers of training images that searches are given.
let images (scale: Scale) =
    if scale.Size = Smoke then
        [ 50; 200; 1000; 5000 ]
    else
        [ 100; 1000; 10_000; 50_000 ]

let plans scale =
    let recipe = Setting.mlp scale
    let seeds = Setting.pairsOfSeeds

    [
        for search in searches recipe do
            recipe.Setup
            |> (recipe.Train
                >> align search
                >> measureAll [ recipe.Barrier; L2; R; ActivationsOn recipe.Inputs; AgreementWith WM; Taylor ]
                |> sweep SeedsOf seeds)

        for search in [ AM; recipe.SinkhornSTE ] do
            recipe.Setup
            |> (sweepOver "images" string (images scale) (fun n ->
                    recipe.Train
                    >> align (search |> givenImages n)
                    >> measureAll [ recipe.Barrier; BarrierOnTraining recipe.Points |> Metric.onFirst n ])
                |> sweep SeedsOf seeds)
    ]

let byImages (s: Subject) = s.Key "images" <> "–"

let show report =
    let all (s: Subject) = not (byImages s)

    {
        Tables =
            [
                Table.summary
                    "What searches align"
                    [ "state"; "search" ]
                    [
                        Column.mean Quantity.midpointLoss
                        Column.mean (Quantity.r 0.0)
                        Column.mean (Quantity.r 0.3)
                        Column.mean Quantity.unitCorrelation
                        Column.mean Quantity.kernelAlignment
                        Column.mean Quantity.agreement
                        Column.mean Quantity.curvature
                        Column.mean Quantity.taylor
                        Column.mean Quantity.reduction
                        Column.count
                    ]
                    all
                    report
                Table.summary
                    "From the images that a search saw to others"
                    [ "search"; "images" ]
                    [ Column.mean Quantity.trainingMidpoint; Column.mean Quantity.midpointLoss; Column.count ]
                    (fun s -> byImages s && s.Aligned)
                    report
            ]
        Figures =
            List.choose id [
                Draw.bars
                    "what-is-aligned"
                    "What three searches align: dominant singular vectors (R at γ = 0.3) and units by what they do (mean correlation of matched units' activations)."
                    "search"
                    [ "state" ]
                    [ Quantity.r 0.3; { Quantity.unitCorrelation with Heading = "R of activations, unit by unit" } ]
                    all
                    report
                Draw.lines
                    "generalisation"
                    "Excess of the test loss at the midpoint against the number of training images that a search was given."
                    "images"
                    "log"
                    [ "search" ]
                    Quantity.midpointLoss
                    (fun s -> byImages s && s.Aligned)
                    report
                Draw.lines
                    "generalisation-seen"
                    "The same excess on the images that the search was given."
                    "images"
                    "log"
                    [ "search" ]
                    Quantity.trainingMidpoint
                    (fun s -> byImages s && s.Aligned)
                    report
                Draw.bars
                    "curvature"
                    "The loss's second derivative along the line, halfway."
                    "search"
                    [ "state" ]
                    [ Quantity.curvature ]
                    all
                    report
            ]
    }

let item = Experiment.ofScale "mechanism" "What the straight-through estimator does instead" plans show

item |> Experiment.run fsi.CommandLineArgs
