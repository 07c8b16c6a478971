// What the straight-through estimator does in place of aligning singular vectors: R, activations, curvature, units matched alike, and how well it generalises from the images that it saw.   dotnet fsi build.fsx -t Mechanism
#load "prelude.fsx"
#load "paper/Recipe.fs"
#load "beyond/Setting.fs"

open LmcDsl
open LmcDsl.Beyond
open LmcDsl.Paper
open XPlot.Plotly

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

/// What is the same on one scale of 0 to 1: how much of the barrier a search takes away, and what it aligns.
let private shares: (string * (Subject -> float option)) list =
    [
        "barrier<br>taken away",
        fun s ->
            Option.map2
                (fun after before -> 1.0 - after / before)
                (Quantity.midpointLoss.Of s)
                (Quantity.naiveBarrier.Of s)
        "R (γ=0.3)", (Quantity.r 0.3).Of
        "correlation<br>unit by unit", Quantity.unitCorrelation.Of
        "correlation<br>by variance", Quantity.weightedCorrelation.Of
        "units as<br>by WM", Quantity.agreement.Of >> Option.map (fun percent -> percent / 100.0)
        "L2 drop", Quantity.reduction.Of >> Option.map (fun percent -> percent / 100.0)
    ]

/// The shares of each search side by side.
let mechanism (report: Report) : Figure option =
    let aligned = Subject.ofReport report |> List.filter (fun s -> s.Aligned && not (byImages s))

    let traces: Trace list =
        [
            for k, (search, own) in aligned |> List.groupBy _.Key("search") |> List.indexed do
                let summaries =
                    [
                        for name, share in shares do
                            match own |> List.choose share with
                            | [] -> ()
                            | values -> name, Statistics.summarise values
                    ]

                let whiskers =
                    Error_y(
                        ``type`` = "data",
                        array = [ for _, s in summaries -> s.Deviation ],
                        visible = true,
                        thickness = 1.2
                    )

                Bar(
                    x = List.map fst summaries,
                    y = [ for _, s in summaries -> s.Mean ],
                    name = search,
                    marker = Marker(color = fst (Draw.colour k)),
                    error_y = whiskers
                )
        ]

    if traces.IsEmpty then
        None
    else
        Some(
            Draw.figure
                "what-is-aligned"
                "How much of the naive barrier three searches take away, and what they align to do it: dominant singular vectors, units that do alike (each unit alike, or by its variance), the units that weight matching matches, distance. Mean and standard deviation over pairs."
                (Draw.layout "" "share")
                traces
        )

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
                        Column.mean Quantity.weightedCorrelation
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
                mechanism report
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
