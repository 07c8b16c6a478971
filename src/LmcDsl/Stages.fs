namespace LmcDsl

open LmcDsl.Core.Architectures
open LmcDsl.Core.Merging
open LmcDsl.Core.Runtime

/// The stages of a pipeline. Each is a function on descriptions, so F#'s own `>>` composes them and nothing runs:
/// `train >> align WM >> mergeN 3 >> measure R` is a function from a set-up to a plan.
[<AutoOpen>]
module Stages =

    let private seedOf seeds index =
        match seeds with
        | Counting -> int64 index
        | Listed seeds when index < seeds.Length -> seeds[index]
        | Listed seeds ->
            raise (
                LmcException $"seeds: expected {index + 1} or more, one for each model asked for, found {seeds.Length}"
            )

    /// Training examples on which merged models' batch-norm statistics are recomputed, unless told otherwise.
    let private defaultResetOn = 10_000

    let private trainOne (setup: Setup) (architecture: Architecture) index : Plan<Model> =
        let seed = seedOf setup.Seeds index

        let args =
            Json.Object [
                "architecture", Json.parse (architecture.ToJson())
                "data", DataSource.identity setup.Data
                "training", Json.ofValue (Setup.training setup)
                "seed", Json.int seed
                "device", Json.Text setup.Device
                "threads", Json.int (int64 setup.Threads)
            ]

        Plan.make ("train", 1) $"train {architecture.Name} on {DataSet.name setup.Data}, seed {seed}" args []

    /// Models that differ in seed only. Described one by one when asked for.
    /// Raises `LmcException` where an option is out of range or the network does not fit together.
    let train (setup: Setup) : Population =
        let architecture = setup.Network setup.Data
        let network = Network architecture
        (Setup.training setup).Validate()
        let one = trainOne setup architecture

        {
            Trained = one
            Member = one
            Aligned = false
            Merged = None
            MergedAsTrained = None
            Taken = []
            Data = setup.Data
            Device = setup.Device
            ResetOn = if StatisticsReset.Concerns network then Some defaultResetOn else None
        }

    let private onData (population: Population) split fields =
        Json.Object(
            [
                "data", DataSource.identity population.Data
                "split", Json.Text split
                "device", Json.Text population.Device
            ]
            @ fields
        )

    let private searchPlan population search (reference: Plan<Model>) (other: Plan<Model>) title : Plan<Alignment> =
        let inputs = [ Plan.node reference; Plan.node other ]
        let onTraining options = onData population "train" [ "options", options ]

        match search with
        | Search.ActivationMatching options ->
            let args = onTraining (Json.ofValue options)
            Plan.make ("activationMatching", 1) $"match activations of {title}" args inputs
        | Search.StraightThrough options ->
            let args = onTraining (Json.ofValue options)
            Plan.make ("straightThrough", 1) $"straight-through search of {title}" args inputs
        | Search.WeightMatching options ->
            let args = Json.Object [ "options", Json.ofValue options ]
            Plan.make ("weightMatching", 1) $"match weights of {title}" args inputs

    /// Permutes every member so that it lies nearest to member 0, which stays as it is.
    let align (search: Search) (population: Population) : Population =
        let reference = population.Member 0

        let aligned index : Plan<Model> =
            if index = 0 then
                reference
            else
                let other = population.Member index
                let found = searchPlan population search reference other $"{index} to 0"
                Plan.make ("permute", 1) $"permute {index}" (Json.Object []) [ Plan.node other; Plan.node found ]

        { population with
            Member = aligned
            Aligned = true
            Merged = None
            MergedAsTrained = None
        }

    /// Averages batch-norm statistics like parameters when merging, in place of recomputing them on training data. Without
    /// this stage they are recomputed wherever the network has them, on 10,000 training images (REPAIR, 2211.08403).
    let keepStatistics (population: Population) : Population = { population with ResetOn = None }

    /// Recomputes batch-norm statistics of merged models on so many training images.
    let repairOn (examples: int) (population: Population) : Population =
        if examples < 1 then
            raise (LmcException $"repairOn: expected 1 or more examples, found {examples}")

        { population with
            ResetOn = population.ResetOn |> Option.map (fun _ -> examples)
        }

    let private mean population title (models: Plan<Model> list) : Plan<Model> =
        let averaged: Plan<Model> = Plan.make ("merge", 1) title (Json.Object []) (models |> List.map Plan.node)

        match population.ResetOn with
        | None -> averaged
        | Some examples ->
            let args = onData population "train" [ "examples", Json.int (int64 examples) ]
            Plan.make ("resetStatistics", 1) $"{title}, statistics reset" args [ Plan.node averaged ]

    /// The mean of members 0 .. n-1. This is what decides how many models are trained.
    /// Raises `LmcException` for n below 1.
    let mergeN (n: int) (population: Population) : Population =
        if n < 1 then
            raise (LmcException $"mergeN: expected 1 or more models, found {n}")

        let taken = [ 0 .. n - 1 ]

        { population with
            Taken = taken
            Merged = Some(mean population $"mean of {n}" (taken |> List.map population.Member))
            MergedAsTrained = Some(mean population $"mean of {n} as trained" (taken |> List.map population.Trained))
        }

    let private between population metric (title: string) (a: Plan<Model>) (b: Plan<Model>) : Node =
        let inputs = [ Plan.node a; Plan.node b ]

        Plan.node (
            match metric with
            | SingularVectors gammas ->
                let args = Json.Object [ "gammas", Json.floats gammas ]
                Plan.make ("singularVectors", 1) $"R of {title}" args inputs
            | BarrierOnTest points ->
                let reset =
                    match population.ResetOn with
                    | Some examples -> [ "resetOn", Json.int (int64 examples) ]
                    | None -> []

                let args = onData population "test" ([ "points", Json.int (int64 points) ] @ reset)
                Plan.make ("barrier", 1) $"barrier of {title}" args inputs
            | WeightDistance -> Plan.make ("distance", 1) $"L2 of {title}" (Json.Object []) inputs
            | TestScore -> invalidOp "a score is of one model"
        )

    let private score population (title: string) (model: Plan<Model>) : Node =
        Plan.node (Plan.make ("score", 1) $"score of {title}" (onData population "test" []) [ Plan.node model ])

    let private pairs members =
        [
            for i in members do
                for j in members do
                    if i < j then
                        i, j
        ]

    // What a metric looks at: (models, aligned, step).
    let private rowsOf (p: Population) metric =
        let taken = if p.Taken.IsEmpty then [ 0; 1 ] else p.Taken
        let states = if p.Aligned then [ false; true ] else [ false ]
        let memberOf aligned = if aligned then p.Member else p.Trained
        let mergedOf aligned = if aligned then p.Merged else p.MergedAsTrained
        let word aligned = if aligned then "aligned" else "as trained"

        match metric with
        | TestScore ->
            [
                for i in taken do
                    [ string i ], false, score p $"{i}" (p.Trained i)
                for aligned in states do
                    match mergedOf aligned with
                    | Some merged -> [ "mean" ], aligned, score p $"mean, {word aligned}" merged
                    | None -> ()
            ]
        | _ ->
            [
                for aligned in states do
                    for i, j in pairs taken do
                        let title = $"{i} and {j}, {word aligned}"

                        [ string i; string j ],
                        aligned,
                        between p metric title (memberOf aligned i) (memberOf aligned j)

                    match metric, mergedOf aligned with
                    | SingularVectors _, Some merged when taken.Length > 1 ->
                        for i in taken do
                            let title = $"mean and {i}, {word aligned}"
                            [ "mean"; string i ], aligned, between p metric title merged (memberOf aligned i)
                    | _ -> ()
            ]

    let private reportOf title rows : Plan<Report> =
        let label (models: string list, aligned: bool, node: Node) =
            Json.Object [ "measure", Json.Text node.Op; "models", Json.texts models; "aligned", Json.Bool aligned ]


        let args = Json.Object [ "rows", Json.Array(rows |> List.map label) ]
        Plan.make ("report", 1) title args (rows |> List.map (fun (_, _, node) -> node))

    /// What two reports say of the same models in the same state by different steps, so that one table cannot hold both:
    /// for example a pair aligned by two searches. Each such row as people read it.
    let internal conflicts (reports: Plan<Report> list) : string list =
        reports
        |> List.map Plan.node
        |> List.filter (fun node -> node.Op = "report")
        |> List.collect (fun node -> List.zip node.Args["rows"].Items node.Inputs)
        |> List.groupBy fst
        |> List.filter (fun (_, rows) -> rows |> List.distinctBy (fun (_, step) -> step.Key) |> List.length > 1)
        |> List.map (fun (_, rows) -> (snd rows.Head).Title)

    /// Several metrics as one report. What they share is computed once.
    let measureAll (metrics: Metric list) (population: Population) : Plan<Report> =
        reportOf "report" (metrics |> List.collect (rowsOf population))

    /// A metric over the merged members: each pair as trained and aligned, and, for R, the merged model with each parent.
    /// Without `mergeN`, over members 0 and 1.
    let measure (metric: Metric) (population: Population) : Plan<Report> = measureAll [ metric ] population
