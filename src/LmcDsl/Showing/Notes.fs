namespace LmcDsl

open LmcDsl.Core.Architectures
open LmcDsl.Core.Merging
open LmcDsl.Core.Runtime

/// What must be told beside the numbers of some plans: of each data set what is special about the copy at hand, and how thoroughly it
/// was measured.
[<RequireQualifiedAccess>]
module Notes =

    let private numbers (argument: string) (nodes: Node list) =
        nodes
        |> List.choose (fun node -> node.Args.TryItem argument |> Option.map _.Int)
        |> List.distinct
        |> List.sort

    let private told (numbers: int list) (words: string -> string) =
        match numbers with
        | [] -> []
        | numbers -> [ numbers |> List.map (fun n -> n.ToString "N0") |> String.concat " or " |> words ]

    // Whether any network that is trained there has statistics; of models from elsewhere nobody knows here.
    let private mayHaveStatistics (nodes: Node list) =
        match nodes |> List.choose (fun node -> node.Args.TryItem "architecture") |> List.distinct with
        | [] -> true
        | trained ->
            trained
            |> List.exists (fun json -> StatisticsReset.Concerns(Network(Architecture.FromJson(Json.text json))))

    /// One line for each data set of which there is something to tell.
    let ofPlans (plans: Plan<Report> list) : string list =
        let named =
            [
                for node in plans |> List.map Plan.node |> Plan.steps do
                    match node.Data with
                    | Some data -> data, node
                    | None -> ()
            ]

        [
            for title, own in named |> List.groupBy (fun (data, _) -> data.Title) do
                let nodes = own |> List.map snd
                let of' names = nodes |> List.filter (fun node -> List.contains node.Op.Name names)

                let parts =
                    [
                        yield! own |> List.head |> fst |> DataNotes.ofData |> Option.toList
                        yield!
                            told (of' [ "barrier"; "trainingBarrier" ] |> numbers "points") (fun n ->
                                $"barriers are on {n} values of lambda")
                        if mayHaveStatistics nodes then
                            yield!
                                told
                                    (List.distinct (
                                        numbers "resetOn" nodes
                                        @ numbers "examples" (of' [ "resetStatistics"; "renormalise" ])
                                     )
                                     |> List.sort)
                                    (fun n ->
                                        $"batch-norm statistics of merged networks are recomputed on up to {n} training examples")
                    ]

                if not parts.IsEmpty then
                    let line = parts |> String.concat "; "
                    $"{title}: {line}."
        ]

    /// The notes that a provenance holds.
    let ofProvenance (provenance: Json) : string list =
        match provenance with
        | Json.Object fields ->
            [
                for name, value in fields do
                    if name = "notes" then
                        for note in value.Items do
                            note.String
            ]
        | _ -> []
