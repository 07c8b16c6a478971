namespace LmcDsl

/// Stages that end a pipeline: what is measured on a population.
[<AutoOpen>]
module Measuring =

    let private between (population: Population) metric (title: string) (a: Plan<Model>) (b: Plan<Model>) : Node =
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
            | TaylorOnTest -> Plan.make ("taylor", 1) $"Taylor estimate of {title}" (onData population "test" []) inputs
            | WeightDistance -> Plan.make ("distance", 1) $"L2 of {title}" (Json.Object []) inputs
            | TestScore -> invalidOp "a score is of one model"
        )

    let private score (population: Population) (title: string) (model: Plan<Model>) : Node =
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

    let private reportOf title labels rows : Plan<Report> =
        let label (models: string list, aligned: bool, node: Node) =
            Json.Object [
                "measure", Json.Text node.Op
                "models", Json.texts models
                "aligned", Json.Bool aligned
                "labels", Report.labelsToJson (if aligned then labels else Report.setting labels)
            ]

        let args = Json.Object [ "rows", Json.Array(rows |> List.map label) ]
        Plan.make ("report", 2) title args (rows |> List.map (fun (_, _, node) -> node))

    /// What two reports say of the same models in the same state and with the same labels by different steps, so that one
    /// table cannot hold both: for example a pair aligned by one search with different options. Each such row as people read it.
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
        reportOf "report" population.Labels (metrics |> List.collect (rowsOf population))

    /// A metric over the merged members: each pair as trained and aligned, and, for R, the merged model with each parent.
    /// Without `mergeN`, over members 0 and 1.
    let measure (metric: Metric) (population: Population) : Plan<Report> = measureAll [ metric ] population
