// How far permutations depend on the loss landscape: a grid of training set-ups with the same seeds, and permutations of one set-up on models of another.   dotnet fsi build.fsx -t Dependence
#load "prelude.fsx"
#load "paper/Recipe.fs"
#load "beyond/Setting.fs"

open LmcDsl
open LmcDsl.Beyond
open LmcDsl.Core.Training
open LmcDsl.Paper

/// Optimiser, learning rate, batch size and weight decay, each combination once; the first is the one that others borrow from.
let cells (scale: Scale) =
    let batches = if scale.Size = Smoke then [ 100; 400 ] else [ 125; 500 ]

    [
        for optimiser, make, rates, decays in
            [
                "Adam", (Adam() :> Optimizer), [ 1e-3; 3e-3 ], [ 0.0; 1e-4 ]
                "AdamW", AdamW(), [ 1e-3; 3e-3 ], [ 1e-2; 1e-1 ] // with 0 it is Adam
                "SGD", Sgd 0.9, [ 3e-2; 1e-1 ], [ 0.0; 1e-3 ]
            ] do
            for rate in rates do
                for batch in batches do
                    for decay in decays do
                        optimiser, make, rate, batch, decay
    ]

let searches (recipe: Recipe) = WM :: recipe.StraightThrough

let private setupOf (recipe: Recipe) (_, make, rate, batch, decay) =
    { recipe.Setup with
        Optimizer = make
        LearningRate = rate
        BatchSize = batch
        WeightDecay = decay
    }

let private told (optimiser, _, rate: float, batch: int, decay: float) (population: Population) =
    population
    |> labelled "optimiser" optimiser
    |> labelled "learning rate" (Number.shortest rate)
    |> labelled "batch size" (string batch)
    |> labelled "weight decay" (Number.shortest decay)

/// What the network of 2510.08023 on MNIST is taken to be here: three hidden layers, SGD with weight decay 0.003, its temperature not fitted.
let published (scale: Scale) =
    let hidden, data, epochs =
        match scale.Size with
        | Smoke -> 512, Part(Mnist, 6000, 2000), 10
        | Laptop -> 2048, Mnist, 20
        | Paper -> 8192, Mnist, 100

    let setup =
        scale.Adapt
            { Setup.standard with
                Data = data
                Network = mlp [ hidden; hidden; hidden ]
                Epochs = epochs
                BatchSize = (if scale.Size = Smoke then 100 else 500)
                Optimizer = Sgd 0.9
                LearningRate = 0.1
                Schedule = Cosine()
                WeightDecay = 0.003
            }

    setup
    |> (train
        >> labelled "network" $"MLP {hidden} / MNIST"
        >> align WM
        >> measureAll [ BarrierOnTest 11; R; Accuracy ]
        |> sweep SeedsOf (Setting.somePairs scale))

let plans scale =
    let recipe = Setting.mlp scale
    let metrics = measureAll [ recipe.Barrier; R; L2 ]
    let all = cells scale

    [
        for cell in all do
            for search in searches recipe do
                let aligned setup = setup |> recipe.Train |> align search

                setupOf recipe cell
                |> sweep SeedsOf (Setting.somePairs scale) (fun setup ->
                    aligned setup |> told cell |> labelled "found on" "itself" |> metrics)

                if cell <> all.Head then
                    setupOf recipe cell
                    |> sweep SeedsOf (Setting.somePairs scale) (fun setup ->
                        let source = { setupOf recipe all.Head with Seeds = setup.Seeds }

                        setup |> recipe.Train |> told cell |> alignLike "the first" (aligned source) |> metrics)
        published scale
    ]

let ofGrid (s: Subject) = s.Key "optimiser" <> "–"
let itself (s: Subject) = s.Key "found on" <> "the first"

let show report =
    let settings = [ "optimiser"; "learning rate"; "batch size"; "weight decay" ]

    let columns =
        [
            Column.mean Quantity.naiveBarrier
            Column.mean Quantity.midpointLoss
            Column.mean (Quantity.r 0.3)
            Column.mean Quantity.reduction
            Column.count
        ]

    let bars id caption keep = Draw.bars id caption "search" [ "found on" ] [ Quantity.midpointLoss ] keep report

    {
        Tables =
            [
                Table.summary
                    "By training set-up"
                    (settings @ [ "search" ])
                    columns
                    (fun s -> ofGrid s && s.Aligned && itself s)
                    report
                Table.summary
                    "Permutations of the first set-up on the others"
                    (settings @ [ "search" ])
                    columns
                    (fun s -> ofGrid s && s.Aligned && not (itself s))
                    report
                Table.summary
                    "The set-up of 2510.08023"
                    [ "network"; "state" ]
                    [
                        Column.mean Quantity.midpointLoss
                        Column.mean (Quantity.r 0.3)
                        Column.mean Quantity.accuracy
                        Column.count
                    ]
                    (ofGrid >> not)
                    report
            ]
        Figures =
            List.choose id [
                bars
                    "transfer"
                    "Excess of the test loss at the midpoint, of permutations found on the models' own training set-up and of those found on the first set-up's models of the same seeds; mean and deviation over set-ups and pairs."
                    (fun s -> ofGrid s && s.Aligned)
                Draw.bars
                    "r-by-optimiser"
                    "R of the dominant singular vectors by optimiser; mean and deviation over learning rates, batch sizes, weight decays and pairs."
                    "optimiser"
                    [ "search" ]
                    [ Quantity.r 0.3 ]
                    (fun s -> ofGrid s && s.Aligned && itself s)
                    report
            ]
    }

let item = Experiment.ofScale "dependence" "How far permutations depend on the loss landscape" plans show

item |> Experiment.run fsi.CommandLineArgs
