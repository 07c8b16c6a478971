namespace LmcDsl

open LmcDsl.Core.Architectures
open LmcDsl.Core.Runtime

/// Something of a set-up that a sweep changes.
type Field<'value> =
    {
        /// What tables call it.
        Name: string
        /// A value as tables show it.
        Show: 'value -> string
        /// The set-up with that value.
        Set: 'value -> Setup -> Setup
    }

/// One pipeline over many values: `train >> align WM >> mergeN 2 >> measure R |> sweep LearningRate [ 1e-4; 1e-3 ]`. A sweep is
/// a plan with many leaves; its report is one long table, whose rows are labelled with the value. Sweeps nest.
[<AutoOpen>]
module Sweep =

    let private number (value: float) = Number.shortest value

    /// A field of the script's own.
    let field name show set : Field<'value> = { Name = name; Show = show; Set = set }

    /// The learning rate at its peak.
    let LearningRate = field "learning rate" number (fun value setup -> { setup with LearningRate = value })

    /// The weight decay.
    let WeightDecay = field "weight decay" number (fun value setup -> { setup with WeightDecay = value })

    /// Passes over the training data.
    let Epochs = field "epochs" string (fun value setup -> { setup with Epochs = value })

    /// Examples in one step.
    let BatchSize = field "batch size" string (fun value setup -> { setup with BatchSize = value })

    /// The seeds of the models, one list for each cell.
    let SeedsOf: Field<int64 list> =
        field "seeds" (List.map string >> String.concat ", ") (fun value setup -> { setup with Seeds = Listed value })

    /// The network, as a function of its width: `Width (fun w -> mlp [ w; w; w ])`.
    let Width (network: int -> DataSet -> Architecture) : Field<int> =
        field "width" string (fun value setup -> { setup with Network = network value })

    let private labelled name value (row: Json) =
        match row with
        | Json.Object fields ->
            Json.Object [
                for key, content in fields ->
                    match key with
                    | "labels" ->
                        let labels = Report.labelsOfJson content

                        match labels |> List.tryFind (fst >> (=) name) with
                        | Some(_, inner) ->
                            raise (
                                LmcException
                                    $"sweep over {name}: expected one sweep or label of that name, found {inner} within {value}, which it would hide"
                            )
                        | None -> key, Report.labelsToJson ((name, value) :: labels)
                    | _ -> key, content
            ]
        | other -> other

    /// One pipeline for each value of anything, for example an option of a search; rows are labelled `name` with the value as
    /// `show` spells it.
    let sweepOver
        (name: string)
        (show: 'value -> string)
        (values: 'value list)
        (pipeline: 'value -> 'input -> Plan<Report>)
        =
        Report.requireLabel $"sweep over '{name}'" name

        fun (input: 'input) ->
            ReportStep.plan $"sweep over {name}" [
                for value in values do
                    for row, step in ReportStep.rows (pipeline value input) do
                        labelled name (show value) row, step
            ]

    /// One pipeline for each value of a field of the set-up.
    let sweep (field: Field<'value>) (values: 'value list) (pipeline: Setup -> Plan<Report>) : Setup -> Plan<Report> =
        sweepOver field.Name field.Show values (fun value -> field.Set value >> pipeline)
