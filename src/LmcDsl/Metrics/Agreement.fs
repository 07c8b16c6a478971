namespace LmcDsl

open LmcDsl.Core.Runtime

/// What the agreement of two searches is stored as: shares of units.
module AgreementValue =

    type Layer = { Name: string; Agreement: float }

    type Agreement = { Agreement: float; Layers: Layer list }

/// The share of units that two searches map alike.
[<AutoOpen>]
module AgreementMetric =

    open AgreementValue

    let private compute context =
        match Value.documents context with
        | [ one; other ] ->
            let groups =
                [
                    for name, left in Alignments.sources one do
                        for same, right in Alignments.sources other do
                            if same = name then
                                name, Seq.zip left right |> Seq.filter (fun (i, j) -> i = j) |> Seq.length, left.Length
                ]

            let share (same: int) (units: int) = float same / float units

            {
                Agreement =
                    share (groups |> List.sumBy (fun (_, n, _) -> n)) (groups |> List.sumBy (fun (_, _, n) -> n))
                Layers = [ for name, same, units in groups -> { Name = name; Agreement = share same units } ]
            }
        | others -> raise (LmcException $"agreement: expected 2 alignments, found {others.Length}")

    let private measure = Measure.make "agreement" 1 compute

    let private looks (search: Search) (p: Population) : Look list =
        match p.Alignment with
        | None ->
            raise (
                LmcException
                    "expected models aligned one by one, once, by permutations of all groups (`align` before it)"
            )
        | Some found ->
            [
                for i in Population.taken p do
                    if i > 0 then
                        let other = Search.plan p search (p.Trained 0) (p.Trained i) $"{i} to 0"

                        {
                            Models = [ "0"; string i ]
                            Aligned = true
                            Words = string i
                            Inputs = [ Plan.node (p.Trained 0); Plan.node (found i); Plan.node other ]
                        }
            ]

    [<RequireQualifiedAccess>]
    module Quantity =

        /// The share of units that another search maps alike, in per cent.
        let agreement = measure |> Measure.quantity "same permutation (%)" 1 (fun value -> 100.0 * value.Agreement)

    /// The share of units that another search maps alike, in each group and in total.
    let AgreementWith (search: Search) : Metric =
        measure
        |> Metric.on (looks search) "agreement on" (fun _ -> Args.ofFields [ "with", Json.Text(Search.title search) ]) [
            Quantity.agreement
        ]
        |> Metric.titled (fun words -> $"agreement on {words} with {Search.title search}")
