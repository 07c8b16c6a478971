namespace LmcDsl

open LmcDsl.Core.Runtime

/// One measurement: what was measured, on which models, and what came out.
type Row =
    {
        /// The operation that measured, for example `barrier`.
        Measure: string
        /// The models: a member's number, or `mean`.
        Models: string list
        /// Whether the models had been aligned.
        Aligned: bool
        /// What tells the row from others of the same measure and models, in order: for example `search` and `WM`.
        Labels: (string * string) list
        /// The numbers, by the measure's own names; where the measurement failed, one field `failed` that says why.
        Value: Json
    }

    /// Why the measurement failed, where it did.
    member this.Failure = this.Value.TryItem "failed" |> Option.map _.String

/// A table in long form: one row for each measurement.
type Report = { Rows: Row list }

/// Reading and writing reports.
[<RequireQualifiedAccess>]
module Report =

    /// Name of the label that says by which search models were aligned.
    [<Literal>]
    let searchLabel = "search"

    /// Name of the label that says how models were merged.
    [<Literal>]
    let mergeLabel = "merge"

    /// Labels as JSON.
    let labelsToJson (labels: (string * string) list) : Json =
        Json.Object [ for name, value in labels -> name, Json.Text value ]

    /// Labels from their JSON.
    let labelsOfJson (json: Json) : (string * string) list =
        match json with
        | Json.Object fields -> [ for name, value in fields -> name, value.String ]
        | other -> raise (LmcException $"labels: expected an object, found {Json.text other}")

    /// A report as JSON.
    let toJson (report: Report) : Json =
        let row r =
            Json.Object [
                "measure", Json.Text r.Measure
                "models", Json.texts r.Models
                "aligned", Json.Bool r.Aligned
                "labels", labelsToJson r.Labels
                "value", r.Value
            ]

        Json.Object [ "rows", Json.Array(report.Rows |> List.map row) ]

    /// A row of a plan, with what was measured.
    let internal row (about: Json) (value: Json) : Row =
        {
            Measure = about["measure"].String
            Models = [ for model in about["models"].Items -> model.String ]
            Aligned = about["aligned"].Boolean
            Labels = labelsOfJson about["labels"]
            Value = value
        }

    /// A report from its JSON.
    let ofJson (node: Json) : Report = { Rows = [ for about in node["rows"].Items -> row about about["value"] ] }

    /// The rows whose measurement did not fail.
    let sound (report: Report) : Report = { Rows = report.Rows |> List.filter _.Failure.IsNone }

    /// Several reports as one, without repeating a row that two of them hold.
    let concat (reports: Report list) : Report =
        let key row = row.Measure, row.Models, row.Aligned, row.Labels, Json.text row.Value

        { Rows = reports |> List.collect _.Rows |> List.distinctBy key }

    /// A report with a label put before the others of every row.
    let label (name: string) (value: string) (report: Report) : Report =
        {
            Rows = report.Rows |> List.map (fun row -> { row with Labels = (name, value) :: row.Labels })
        }

    /// Labels but for the search, which only aligned rows have: what an aligned row and its naive one share.
    let setting (labels: (string * string) list) = labels |> List.filter (fun (name, _) -> name <> searchLabel)

    /// What tables call the layer of a weight: its name without the ending that all weights have.
    let layerName (weight: string) : string = weight.Replace(".weight", "")

    /// Raises `LmcException` for a label by a name that tables have for something else.
    let requireLabel (stage: string) (name: string) : unit =
        if List.contains name [ "state"; "pair"; "models"; "aligned"; "" ] then
            raise (LmcException $"{stage}: expected a name that tables do not use for something else, found '{name}'")

    /// What tells a row from others of a report in one text: its state, and those of its labels that are not the same on
    /// all rows; for example `aligned, VGG11, WM`.
    let variant (rows: Row list) : Row -> string =
        let valueOf name (row: Row) = row.Labels |> List.tryFind (fst >> (=) name) |> Option.map snd

        // Not to have a label tells rows apart as well, but for the search, which naive rows have none of.
        let varying =
            rows
            |> List.collect (_.Labels >> List.map fst)
            |> List.distinct
            |> List.filter (fun name ->
                let values = rows |> List.map (valueOf name) |> List.distinct
                values.Length > (if name = searchLabel && List.contains None values then 2 else 1))
            |> set

        fun row ->
            (if row.Aligned then "aligned" else "naive")
            :: [
                for name, value in row.Labels do
                    if varying.Contains name then
                        value
            ]
            |> String.concat ", "
