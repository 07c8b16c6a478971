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
        /// What tables call it.
        Heading: string
        /// What axes add to that: its unit in brackets, where the heading does not have it.
        Unit: string
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

    /// A report with one row for each layer of each row of a measure, labelled `layer`; of other measures none.
    let byLayer (measure: string) (report: Report) : Report =
        {
            Rows =
                [
                    for row in (Report.sound report).Rows do
                        if row.Measure = measure then
                            for layer in row.Value["layers"].Items ->
                                { row with
                                    Labels = row.Labels @ [ "layer", layer["name"].String.Replace(".weight", "") ]
                                    Value = layer
                                }
                ]
        }

/// The numbers that tables and figures show.
[<RequireQualifiedAccess>]
module Quantity =

    let private make heading digits value = { Heading = heading; Unit = ""; Digits = digits; Of = value }

    let private inNats (quantity: Quantity) = { quantity with Unit = " (nats)" }

    /// A field of what an operation measured, times a factor.
    let field (measure: string) (path: string list) (factor: float) (heading: string) (digits: int) : Quantity =
        make heading digits (fun subject ->
            subject.Find measure |> Option.map (fun value -> factor * Report.number path value))

    let private midpoint (value: Json) = value["curve"].Items |> List.minBy (fun p -> abs (p["lambda"].Float - 0.5))

    /// The loss barrier on the test set.
    let lossBarrier = field "barrier" [ "loss" ] 1.0 "loss barrier" 3 |> inNats

    /// The loss's excess at lambda = 1/2.
    let midpointLoss =
        { field "barrier" [ "midpointLoss" ] 1.0 "at 1/2" 3 with
            Unit = ": excess of the loss (nats)"
        }

    /// The accuracy barrier in percentage points.
    let accuracyBarrier = field "barrier" [ "accuracy" ] 1.0 "acc. barrier (pp)" 2

    /// The accuracy at lambda = 1/2 in per cent.
    let midpointAccuracy =
        make "acc. at 1/2 (%)" 2 (fun subject ->
            subject.Find "barrier" |> Option.map (fun value -> 100.0 * (midpoint value).["accuracy"].Float))

    /// The Taylor estimate of the loss barrier at lambda = 1/2.
    let taylor = field "taylor" [ "estimate" ] 1.0 "Taylor" 3 |> inNats

    /// The L2 distance.
    let l2 = field "distance" [ "l2" ] 1.0 "L2" 2

    /// The L2 distance of the same models as trained.
    let l2Before =
        make "L2 before" 2 (fun subject -> subject.FindNaive "distance" |> Option.map (fun value -> value["l2"].Float))

    /// How much alignment lowers the L2 distance, in per cent.
    let reduction =
        make "L2 drop (%)" 2 (fun subject ->
            match subject.Aligned, subject.FindNaive "distance", subject.Find "distance" with
            | true, Some before, Some after -> Some(100.0 * (1.0 - after["l2"].Float / before["l2"].Float))
            | _ -> None)

    /// The loss barrier of the same models as trained.
    let naiveBarrier =
        make "naive loss barrier" 3 (fun subject ->
            subject.FindNaive "barrier" |> Option.map (fun value -> value["loss"].Float))
        |> inNats

    /// R for a threshold.
    let r (gamma: float) =
        make $"R (γ={gamma})" 3 (fun subject ->
            subject.Find "singularVectors"
            |> Option.bind (fun value -> value["thresholds"].Items |> List.tryFind (fun t -> t["gamma"].Float = gamma))
            |> Option.map (fun t -> t["r"].Float))

    /// The share of singular values that are at least gamma times their layer's largest, over all layers, in per cent.
    let dominantShare (gamma: float) =
        make $"dominant singular values (%%, γ={gamma})" 1 (fun subject ->
            subject.Find "singularValues"
            |> Option.map (fun value ->
                let layers =
                    value["layers"].Items |> List.map (fun layer -> layer["values"].Items |> List.map _.Float)

                let dominant =
                    layers |> List.sumBy (fun v -> v |> List.filter (fun s -> s >= gamma * v.Head) |> List.length)

                100.0 * float dominant / float (layers |> List.sumBy List.length)))

    /// The loss of a model on the test set.
    let loss = field "score" [ "loss" ] 1.0 "loss" 4 |> inNats

    /// The accuracy of a model on the test set, in per cent.
    let accuracy = field "score" [ "accuracy" ] 100.0 "accuracy (%)" 2

    /// The share of units that another search maps alike, in per cent.
    let agreement = field "agreement" [ "agreement" ] 100.0 "same permutation (%)" 1

    /// What an axis calls it.
    let axis (quantity: Quantity) = quantity.Heading + quantity.Unit

    /// A number as tables show it.
    let show (quantity: Quantity) (value: float) =
        let text = value.ToString($"F{quantity.Digits}", System.Globalization.CultureInfo.InvariantCulture)

        if text.StartsWith '-' && text.TrimStart('-', '0', '.') = "" then
            text.Substring 1
        else
            text
