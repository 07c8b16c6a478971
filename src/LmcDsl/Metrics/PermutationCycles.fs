namespace LmcDsl

open LmcDsl.Core.Permutations
open LmcDsl.Core.Runtime

/// What a permutation's cycles are stored as: by group the number of units, and the lengths of cycles from the longest.
module PermutationCyclesValue =

    type Group = { Name: string; Units: int; Stay: int; Cycles: int list }

    type Cycles = { Groups: Group list }

/// How the permutations that a search found move units: cycles, and the share of units that stay where they are.
[<AutoOpen>]
module PermutationCyclesMetric =

    open PermutationCyclesValue

    let private compute context =
        match Value.documents context with
        | [ alignment ] ->
            {
                Groups =
                    [
                        for name, sources in Alignments.sources alignment do
                            let permutation = Permutation sources
                            let lengths = List.ofSeq (Cycles.Lengths permutation)
                            let moved = lengths |> List.filter (fun length -> length > 1)

                            {
                                Name = name
                                Units = permutation.Count
                                Stay = lengths.Length - moved.Length
                                Cycles = moved
                            }
                    ]
            }
        | others -> raise (LmcException $"cycles: expected 1 alignment, found {others.Length}")

    let private measure = Measure.make "permutationCycles" 1 compute

    let private looks (p: Population) : Look list =
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
                        {
                            Models = [ "0"; string i ]
                            Aligned = true
                            Words = $"{i} to 0"
                            Inputs = [ Plan.node (found i) ]
                        }
            ]

    let private share (group: Group) = 100.0 * float group.Stay / float group.Units

    [<RequireQualifiedAccess>]
    module Quantity =

        /// The share of units that a search leaves where they are, in per cent of all groups' units.
        let stay =
            measure
            |> Measure.quantity "units that stay (%)" 1 (fun cycles ->
                100.0 * float (List.sumBy _.Stay cycles.Groups) / float (List.sumBy _.Units cycles.Groups))

        /// The number of cycles of two units and more, over all groups.
        let cycles =
            measure |> Measure.quantity "cycles" 0 (fun cycles -> float (List.sumBy _.Cycles.Length cycles.Groups))

        /// The longest cycle, in units.
        let longestCycle =
            measure
            |> Measure.quantity "longest cycle (units)" 0 (fun cycles ->
                cycles.Groups |> List.collect _.Cycles |> List.fold max 1 |> float)

    // Mean share of units that stay, by group, for each search.
    let private draw report =
        let rows = Measure.rows measure report
        let variant = Report.variant (List.map fst rows)

        let traces: XPlot.Plotly.Trace list =
            [
                for k, (name, own) in rows |> List.groupBy (fst >> variant) |> List.indexed do
                    let groups = (snd own.Head).Groups |> List.map _.Name

                    let mean group =
                        own
                        |> List.collect (fun (_, cycles) -> cycles.Groups |> List.filter (fun g -> g.Name = group))
                        |> List.averageBy share

                    XPlot.Plotly.Bar(
                        x = groups,
                        y = List.map mean groups,
                        name = name,
                        marker = XPlot.Plotly.Marker(color = fst (Draw.colour k))
                    )
            ]

        if traces.IsEmpty then
            []
        else
            [
                Draw.figure
                    "units-that-stay"
                    "Share of units that alignment leaves where they are, by group; mean over models."
                    (Draw.layout "group" "units that stay (%)")
                    traces
            ]

    /// Cycles of the permutations that a search found, and the share of units that stay where they are.
    let PermutationCycles =
        measure
        |> Metric.on looks "cycles of" Metric.plain [ Quantity.stay; Quantity.cycles; Quantity.longestCycle ]
        |> Metric.called "cycles"
        |> Metric.drawing draw
