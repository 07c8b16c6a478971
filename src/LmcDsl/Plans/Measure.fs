namespace LmcDsl

open System.Runtime.CompilerServices
open LmcDsl.Core.Runtime

/// A measurement with the type of its value: a record of numbers, lists and records. That type is the one place that names the JSON in
/// which values are stored.
type Measure<'value> =
    {
        /// What makes it; its name is that of the rows.
        Op: Op
    }

    /// The name of the rows.
    member this.Name = this.Op.Name

/// Values that were read, by the JSON that they were read from: tables ask for each many times.
type private Known<'value>() =
    static let values = ConditionalWeakTable<Json, obj>()

    static member Of(json: Json) : 'value =
        unbox<'value>(values.GetValue(json, (fun json -> nonNull (box (Json.toExactly<'value> json)))))

/// Defining measurements, and reading them from reports.
[<RequireQualifiedAccess>]
module Measure =

    /// A measurement by name and version (raised when the meaning changes), and what it computes. Whatever changes a value comes from the
    /// context: arguments, inputs, data.
    let make (name: string) (version: int) (compute: OpContext -> 'value) : Measure<'value> =
        {
            Op = Op.make name version 0.5 (compute >> Json.ofValue >> Document) |> Op.written compute
        }

    /// Rows that a script makes of other rows.
    let derived<'value> (name: string) : Measure<'value> =
        make name 0 (fun _ -> raise (LmcException $"{name}: expected rows that were derived from others"))

    /// The value of a row's JSON. Raises `LmcException` where a field is missing or of another kind.
    let read (measure: Measure<'value>) (json: Json) : 'value =
        try
            Known<'value>.Of json
        with :? LmcException as error ->
            raise (LmcException($"{measure.Name}: {error.Message}", error))

    /// What was measured of a subject, where it was.
    let find (measure: Measure<'value>) (subject: Subject) : 'value option =
        subject.Find measure.Name |> Option.map (read measure)

    /// What was measured of the same models as trained.
    let findNaive (measure: Measure<'value>) (subject: Subject) : 'value option =
        subject.FindNaive measure.Name |> Option.map (read measure)

    /// A number of it, for tables and figures: heading, digits after the point, which number.
    let quantity (heading: string) (digits: int) (number: 'value -> float) (measure: Measure<'value>) : Quantity =
        Quantity.make heading digits (find measure >> Option.map number)

    /// A number of it that is not always there.
    let quantityWhere heading digits (number: 'value -> float option) (measure: Measure<'value>) : Quantity =
        Quantity.make heading digits (find measure >> Option.bind number)

    /// Its rows in a report that did not fail, each with its value.
    let rows (measure: Measure<'value>) (report: Report) : (Row * 'value) list =
        [
            for row in (Report.sound report).Rows do
                if row.Measure = measure.Name then
                    row, read measure row.Value
        ]

    /// A row of it, of the models, state and labels of another row, with some labels more.
    let row (measure: Measure<'value>) (like: Row) (labels: (string * string) list) (value: 'value) : Row =
        { like with
            Measure = measure.Name
            Labels = like.Labels @ labels
            Value = Json.ofValue value
        }

    /// A report with one row of another measurement for each part of each row, for example its layers: the label `layer` names them.
    let byLayer
        (parts: 'value -> (string * 'part) list)
        (target: Measure<'part>)
        (measure: Measure<'value>)
        (report: Report)
        : Report =
        {
            Rows =
                [
                    for like, value in rows measure report do
                        for name, part in parts value do
                            row target like [ "layer", Report.layerName name ] part
                ]
        }
