namespace LmcDsl

open LmcDsl.Core.Runtime

/// Parts of experiments: the rows that have some labels, and nothing that only others need.
[<RequireQualifiedAccess>]
module internal Only =

    /// What `LABEL=VALUE` says. Raises `LmcException` where it says nothing of the kind.
    let parse (word: string) : string * string =
        match word.IndexOf '=' with
        | at when at > 0 -> word.Substring(0, at), word.Substring(at + 1)
        | _ -> raise (LmcException $"--only: expected LABEL=VALUE, found '{word}'")

    let private labelsOf (row: Json, _: Node) = Report.labelsOfJson row["labels"]

    // What there is to choose from, where nothing has what was asked for.
    let private refuse (asked: (string * string) list) (labels: (string * string) list) =
        let names = labels |> List.map fst |> List.distinct

        for name, value in asked do
            let values = labels |> List.filter (fst >> (=) name) |> List.map snd |> List.distinct

            if values.IsEmpty then
                raise (
                    LmcException
                        $"""--only {name}={value}: expected a label of the experiment's rows ({String.concat ", " names}), found '{name}'"""
                )
            elif not (List.contains value values) then
                raise (
                    LmcException
                        $"""--only {name}={value}: expected one of the label's values ({String.concat "; " values}), found '{value}'"""
                )

        raise (LmcException "--only: expected labels that some row has together, found none that has all of them")

    /// The plans of each group with the rows alone that have all of these labels, of several values of one label any; plans that have none are
    /// left out. Raises `LmcException` where no row is left, or a value is nobody's, with the labels that there are.
    let rows (asked: (string * string) list) (groups: Plan<Report> list list) : Plan<Report> list list =
        if asked.IsEmpty then
            groups
        else
            let alternatives = asked |> List.groupBy fst |> List.map snd

            let has row =
                let own = labelsOf row
                alternatives |> List.forall (List.exists (fun label -> List.contains label own))

            let all = groups |> List.concat |> List.collect ReportStep.rows |> List.collect labelsOf |> List.distinct

            let kept =
                [
                    for plans in groups ->
                        [
                            for plan in plans do
                                match ReportStep.rows plan |> List.filter has with
                                | [] -> ()
                                | rows -> ReportStep.plan (Plan.node plan).Title rows
                        ]
                ]

            if List.forall List.isEmpty kept || not (asked |> List.forall (fun label -> List.contains label all)) then
                refuse asked all

            kept
