namespace LmcDsl

open System.Collections.Generic

/// Titles of steps that are alike but for the cell of a sweep that they are of: in progress, plans and mistakes each says which.
[<RequireQualifiedAccess>]
module internal Cells =

    // What every row that needs a step has in its labels.
    let private labelsOf (roots: Node list) : Dictionary<string, (string * string) list> =
        let found = Dictionary<string, (string * string) list>()

        let meet (node: Node) labels =
            found[node.Key] <-
                match found.TryGetValue node.Key with
                | true, known -> known |> List.filter (fun label -> List.contains label labels)
                | _ -> labels

        for root in roots do
            for row, step in ReportStep.rows (Plan root) do
                meet step (Report.labelsOfJson row["labels"])

        // Whoever needs a step stands behind it.
        for node in Plan.steps roots |> List.rev do
            match found.TryGetValue node.Key with
            | true, labels -> node.Inputs |> List.iter (fun input -> meet input labels)
            | _ -> ()

        found

    /// The same plans, whose steps have the cell in their titles where several steps have one title: `train mlp 8 on glyphs, seed 0
    /// (learning rate 0.01)`. Keys are as they were.
    let named (plans: Plan<Report> list) : Plan<Report> list =
        let roots = plans |> List.map Plan.node
        let steps = Plan.steps roots

        let ambiguous =
            steps
            |> List.filter (ReportStep.is >> not)
            |> List.countBy _.Title
            |> List.filter (fun (_, count) -> count > 1)
            |> List.map fst
            |> HashSet

        if ambiguous.Count = 0 then
            plans
        else
            let labels = labelsOf roots

            // Of steps that share a title, the labels that tell them apart.
            let varying = Dictionary<string, HashSet<string>>()

            for title, own in steps |> List.filter (fun node -> ambiguous.Contains node.Title) |> List.groupBy _.Title do
                let all = own |> List.collect (fun node -> labels.GetValueOrDefault(node.Key, []))

                let names =
                    all |> List.distinct |> List.countBy fst |> List.filter (fun (_, n) -> n > 1) |> List.map fst

                varying[title] <- HashSet names

            let made = Dictionary<string, Node>()

            let titleOf (node: Node) =
                match varying.TryGetValue node.Title with
                | true, names ->
                    match
                        [
                            for name, value in labels.GetValueOrDefault(node.Key, []) do
                                if names.Contains name then
                                    $"{name} {value}"
                        ]
                    with
                    | [] -> node.Title
                    | cell ->
                        let cell = String.concat ", " cell
                        $"{node.Title} ({cell})"
                | _ -> node.Title

            for node in steps do
                made[node.Key] <-
                    { node with
                        Title = titleOf node
                        Inputs = node.Inputs |> List.map (fun input -> made[input.Key])
                    }

            roots |> List.map (fun root -> Plan made[root.Key])
