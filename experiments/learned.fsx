// Rotations of language models learned on the loss: of the residual stream alone or within heads too, for how long and how fast. What is left of the barrier, and how far apart the models then are.   dotnet fsi build.fsx -t Learned
#load "prelude.fsx"
#load "paper/Recipe.fs"
#load "beyond/Setting.fs"
#load "beyond/Language.fs"

open LmcDsl
open LmcDsl.Beyond
open LmcDsl.Core.Matching
open LmcDsl.Paper

/// Whether within heads too, steps, and Adam's learning rate.
let ways =
    [
        false, 100, 3e-3
        false, 300, 1e-2
        true, 300, 1e-2
        true, 300, 2e-2
        true, 300, 4e-2
        true, 1000, 1e-2
        true, 1000, 2e-2
    ]

let search (withinHeads, steps, rate) =
    learnedRotation (
        LearnedRotationOptions(
            Steps = steps,
            LearningRate = rate,
            WithinHeads = withinHeads,
            CheckEvery = 25,
            BestStart = false,
            Matching = RotatedMatchingOptions(Normalised = true)
        )
    )

let plans scale =
    let recipe = Language.characters scale id

    [
        for withinHeads, steps, rate in ways do
            recipe.Setup
            |> (recipe.Train
                >> labelled "learned" (if withinHeads then "within heads too" else "the stream alone")
                >> labelled "steps" (string steps)
                >> labelled "rate" (Number.shortest rate)
                >> alignAs "learned" (search (withinHeads, steps, rate))
                >> measureAll [ recipe.Barrier; R; L2 ]
                |> sweep SeedsOf (Recipe.seedPairs recipe))
    ]

/// Each pair as learned in each way: how much nearer it is than as trained, and its barrier.
let barrierAndDistance report =
    let places =
        [
            for s in Subject.ofReport report do
                match Quantity.reduction.Of s, Quantity.lossBarrier.Of s with
                | Some nearer, Some barrier when s.Aligned -> s.Key "learned", (nearer, barrier)
                | _ -> ()
        ]

    let layout = Draw.layout "L2 drop (%)" "loss barrier (nats)"
    layout.yaxis.rangemode <- "tozero"

    Draw.figure
        "barrier-and-distance"
        "Loss barrier against how much nearer learning brings two models in L2: below 0 they are further apart than as trained."
        layout
        [
            for k, (way, own) in places |> List.groupBy fst |> List.indexed do
                Draw.points way k (List.map snd own)
        ]

let show report =
    {
        Tables = [ Language.barriers "What learning leaves" [ "learned"; "steps"; "rate" ] [] report ]
        Figures = [ barrierAndDistance report ]
    }

let item = Experiment.ofScale "learned" "Learning rotations" plans show
item |> Experiment.run fsi.CommandLineArgs
