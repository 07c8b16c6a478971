namespace LmcDsl

open LmcDsl.Core.Runtime

/// Stages that end a pipeline: what is measured on a population.
[<AutoOpen>]
module Measuring =

    let private make op title args inputs = Plan.node (Plan.make op title args inputs: Plan<Report>)

    let private resetOn (population: Population) =
        match population.ResetOn with
        | Some examples -> [ "resetOn", Json.int (int64 examples) ]
        | None -> []

    let private points (population: Population) count = ("points", Json.int (int64 count)) :: resetOn population

    // A metric of two models, or none where it is not one.
    let private ofPair (p: Population) metric (title: string) : (Node list -> Node) option =
        match metric with
        | SingularVectors gammas ->
            let args = Json.Object [ "gammas", Json.floats gammas ]
            Some(make ("singularVectors", 1) $"R of {title}" args)
        | BarrierOnTest count -> Some(make ("barrier", 1) $"barrier of {title}" (onData p "test" (points p count)))
        | BarrierOnTraining count ->
            let args = onData p "train" (points p count)
            Some(make ("trainingBarrier", 1) $"training barrier of {title}" args)
        | TaylorOnTest -> Some(make ("taylor", 1) $"Taylor estimate of {title}" (onData p "test" []))
        | WeightDistance -> Some(make ("distance", 1) $"L2 of {title}" (Json.Object []))
        | DistanceForms -> Some(make ("distanceForms", 1) $"L2 of {title} in two forms" (Json.Object []))
        | OutputBound(gamma, examples) ->
            let fields = [ "gamma", Json.float gamma; "examples", Json.int (int64 examples) ]
            Some(make ("outputBound", 1) $"output bound of {title}" (onData p "test" fields))
        | _ -> None

    // A metric of one model, or none.
    let private ofModel (p: Population) metric (title: string) : (Node list -> Node) option =
        match metric with
        | TestScore -> Some(make ("score", 1) $"score of {title}" (onData p "test" []))
        | SingularValues -> Some(make ("singularValues", 1) $"singular values of {title}" (Json.Object []))
        | InputProjections examples ->
            let args = onData p "test" [ "examples", Json.int (int64 examples) ]
            Some(make ("inputProjections", 1) $"input projections of {title}" args)
        | _ -> None

    let private allPairs members =
        [
            for i in members do
                for j in members do
                    if i < j then
                        i, j
        ]

    /// Measures these pairs of members, in place of all pairs of the merged ones.
    let pairs (chosen: (int * int) list) (population: Population) : Population = { population with Pairs = Some chosen }

    // What a metric looks at: (models, aligned, step). The Taylor estimate, far dearer than the others, at aligned models only where
    // there are any.
    let private rowsOf (p: Population) metric =
        let chosen =
            match p.Pairs, p.Taken with
            | Some chosen, _ -> chosen
            | None, [] -> [ 0, 1 ]
            | None, taken -> allPairs taken

        let taken =
            if p.Taken.IsEmpty then
                chosen |> List.collect (fun (i, j) -> [ i; j ]) |> List.distinct |> List.sort
            else
                p.Taken

        let states = if p.Aligned then [ false; true ] else [ false ]
        let memberOf aligned = if aligned then p.Member else p.Trained
        let mergedOf aligned = if aligned then p.Merged else p.MergedAsTrained
        let word aligned = if aligned then "aligned" else "as trained"
        let node (plan: Plan<Model>) = Plan.node plan

        let single metric =
            [
                for i in taken do
                    match ofModel p metric $"{i}" with
                    | Some make -> [ string i ], false, make [ node (p.Trained i) ]
                    | None -> ()
                for aligned in states do
                    match metric, mergedOf aligned, ofModel p metric $"mean, {word aligned}" with
                    | TestScore, Some merged, Some make -> [ "mean" ], aligned, make [ node merged ]
                    | _ -> ()
            ]

        let double metric =
            [
                for aligned in (if metric = TaylorOnTest then [ p.Aligned ] else states) do
                    for i, j in chosen do
                        match ofPair p metric $"{i} and {j}, {word aligned}" with
                        | Some make ->
                            let models = [ node (memberOf aligned i); node (memberOf aligned j) ]
                            [ string i; string j ], aligned, make models
                        | None -> ()

                    match metric, mergedOf aligned with
                    | SingularVectors _, Some merged when taken.Length > 1 ->
                        for i in taken do
                            match ofPair p metric $"mean and {i}, {word aligned}" with
                            | Some make ->
                                [ "mean"; string i ], aligned, make [ node merged; node (memberOf aligned i) ]
                            | None -> ()
                    | _ -> ()
            ]

        match metric with
        | LandscapeOnTest count ->
            match taken with
            | first :: second :: third :: _ ->
                let three = [ first; second; third ]
                let args = onData p "test" (points p count)

                [
                    for aligned in states ->
                        List.map string three,
                        aligned,
                        make
                            ("landscape", 1)
                            $"landscape, {word aligned}"
                            args
                            (three |> List.map (memberOf aligned >> node))
                ]
            | _ -> raise (LmcException $"landscape: expected 3 models (`mergeN 3` before it), found {taken.Length}")
        | AgreementWith search ->
            match p.Alignment with
            | Some found ->
                [
                    for i in taken do
                        if i > 0 then
                            let other = searchPlan p search (p.Trained 0) (p.Trained i) $"{i} to 0"
                            let inputs = [ node (p.Trained 0); Plan.node (found i); Plan.node other ]
                            let title = $"agreement on {i} with {search.Name}"
                            let args = Json.Object [ "with", Json.Text search.Name ]
                            [ "0"; string i ], true, make ("agreement", 1) title args inputs
                ]
            | None -> raise (LmcException "AgreementWith: expected models aligned one by one (`align` before it)")
        | _ -> single metric @ double metric

    let private reportOf title labels rows : Plan<Report> =
        let label (models: string list, aligned: bool, node: Node) =
            Json.Object [
                "measure", Json.Text node.Op
                "models", Json.texts models
                "aligned", Json.Bool aligned
                "labels", Report.labelsToJson (if aligned then labels else Report.setting labels)
            ]

        Report.plan title (rows |> List.map (fun row -> let (_, _, node) = row in label row, node))

    /// What two reports say of the same models in the same state and with the same labels by different steps, so that one
    /// table cannot hold both: for example a pair aligned by one search with different options. Each such row as people read it.
    let internal conflicts (reports: Plan<Report> list) : string list =
        reports
        |> List.map Plan.node
        |> List.filter Report.isReport
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
