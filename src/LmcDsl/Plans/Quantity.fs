namespace LmcDsl

/// What the rows of a report say of the same models in the same state: a subject, and the measurements of it.
type Subject =
    {
        /// The models: members' numbers, or `mean`.
        Models: string list
        /// Whether they had been aligned.
        Aligned: bool
        /// Labels, in order.
        Labels: (string * string) list
        /// What an operation measured.
        Find: string -> Json option
        /// What it measured of the same models as trained, with the same labels but for the search.
        FindNaive: string -> Json option
    }

    /// What tells it from others, by name: a label; `state` (naive or aligned); `pair`.
    member this.Key(name: string) : string =
        match name with
        | "state" -> if this.Aligned then "aligned" else "naive"
        | "pair" -> String.concat ", " this.Models
        | label -> this.Labels |> List.tryFind (fst >> (=) label) |> Option.map snd |> Option.defaultValue "–"

/// A number that a report holds of a subject.
type Quantity =
    {
        /// What everything calls it, with its unit in brackets: tables, axes, legends, claims and JSON.
        Heading: string
        /// Digits after the point in tables.
        Digits: int
        /// The number, where the report has it.
        Of: Subject -> float option
    }

/// The subjects of reports.
[<RequireQualifiedAccess>]
module Subject =

    /// Every subject of a report, in the order in which they first come. Failed rows count as absent.
    let ofReport (report: Report) : Subject list =
        let sound = (Report.sound report).Rows
        let key (row: Row) = row.Models, row.Aligned, row.Labels

        let byKey =
            sound |> List.map (fun row -> (row.Measure, key row), row.Value) |> List.distinctBy fst |> Map.ofList

        [
            for models, aligned, labels in sound |> List.map key |> List.distinct ->
                {
                    Models = models
                    Aligned = aligned
                    Labels = labels
                    Find = fun measure -> byKey.TryFind(measure, (models, aligned, labels))
                    FindNaive = fun measure -> byKey.TryFind(measure, (models, false, Report.setting labels))
                }
        ]

/// The numbers that tables and figures show.
[<RequireQualifiedAccess>]
module Quantity =

    /// A quantity: what it is called, digits after the point, and the number where the report has it.
    let make (heading: string) (digits: int) (value: Subject -> float option) : Quantity =
        { Heading = heading; Digits = digits; Of = value }

    /// The same with a unit in brackets behind its name: `inUnits "nats"`.
    let inUnits (unit: string) (quantity: Quantity) : Quantity =
        { quantity with Heading = $"{quantity.Heading} ({unit})" }

    /// The unit in brackets at the end of its name; nothing where there is none.
    let unitOf (quantity: Quantity) : string =
        let start = quantity.Heading.LastIndexOf '('

        if start >= 0 && quantity.Heading.EndsWith ')' && not (quantity.Heading.Contains "γ") then
            quantity.Heading.Substring(start).Trim('(', ')')
        else
            ""

    /// What quantities that are drawn together are of: what their names begin with alike, or their common unit; nothing where they share
    /// neither.
    let common (quantities: Quantity list) : string =
        match quantities with
        | [ one ] -> one.Heading
        | [] -> ""
        | one :: others ->
            let first = one.Heading.Split(' ').[0]

            if others |> List.forall _.Heading.StartsWith(first) then
                first
            elif others |> List.forall (fun other -> unitOf other = unitOf one) then
                unitOf one
            else
                ""

    /// The numbers that a report has of a subject, by their names, as JSON.
    let ofSubject (quantities: Quantity list) (subject: Subject) : (string * Json) list =
        [
            for quantity in quantities do
                match quantity.Of subject with
                | Some value -> quantity.Heading, Json.float value
                | None -> ()
        ]

    /// A number as tables show it.
    let show (quantity: Quantity) (value: float) = Number.fixedPoint quantity.Digits value
