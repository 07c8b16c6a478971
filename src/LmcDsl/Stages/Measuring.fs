namespace LmcDsl

open LmcDsl.Core.Runtime

/// Stages that end a pipeline: what is measured on a population.
[<AutoOpen>]
module Measuring =

    /// Measures these pairs of members, in place of all pairs of the merged ones.
    /// Raises `LmcException` for a member below 0, a pair of one model with itself, and after other pairs.
    let pairs (chosen: (int * int) list) (population: Population) : Population =
        let shown = chosen |> List.map (fun (i, j) -> $"{i}, {j}") |> String.concat "; "

        for i, j in chosen do
            if i < 0 || j < 0 then
                raise (LmcException $"pairs: expected members from 0 on, found {i}, {j}")

            if i = j then
                raise (LmcException $"pairs: expected two models, found {i} with itself")

        { Population.stage $"pairs [ {shown} ]" [] population with Pairs = Some chosen }

    let private about (population: Population) (look: Look, node: Node) =
        let ofState = if look.Aligned then population.Labels else Report.setting population.Labels

        // How models were merged is said of the merged model alone: other rows are the same whatever the merge.
        let labels =
            if List.contains "mean" look.Models then
                ofState
            else
                ofState |> List.filter (fun (name, _) -> name <> Report.mergeLabel)

        Json.Object [
            "measure", Json.Text node.Op.Name
            "models", Json.texts look.Models
            "aligned", Json.Bool look.Aligned
            "labels", Report.labelsToJson labels
        ],
        node

    /// Several metrics as one report. What they share is computed once.
    let measureAll (metrics: Metric list) (population: Population) : Plan<Report> =
        metrics |> List.collect (Metric.steps population) |> List.map (about population) |> ReportStep.plan "report"

    /// A metric over the merged members: each pair naive and aligned, and, for R, the merged model with each parent.
    /// Without `mergeN`, over members 0 and 1.
    let measure (metric: Metric) (population: Population) : Plan<Report> = measureAll [ metric ] population

    /// What two reports say of the same models in the same state and with the same labels by different steps, so that one
    /// table cannot hold both: for example a pair aligned by one search with different options. Each such row as people read it.
    let internal conflicts (reports: Plan<Report> list) : string list =
        reports
        |> List.collect ReportStep.rows
        |> List.groupBy fst
        |> List.filter (fun (_, rows) -> rows |> List.distinctBy (fun (_, step) -> step.Key) |> List.length > 1)
        |> List.map (fun (_, rows) -> (snd rows.Head).Title)
