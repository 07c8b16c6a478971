namespace LmcDsl


/// One measurement: what was measured, on which models, and what came out.
type Row =
    {
        /// `singularVectors`, `barrier`, `distance` or `score`.
        Measure: string
        /// The models: a member's number, or `mean`.
        Models: string list
        /// Whether the models had been aligned.
        Aligned: bool
        /// The numbers, by the measure's own names.
        Value: Json
    }

/// A table in long form: one row for each measurement.
type Report = { Rows: Row list }

/// Reading and writing reports.
[<RequireQualifiedAccess>]
module Report =

    /// A report as JSON.
    let toJson (report: Report) : Json =
        let row r =
            Json.Object [
                "measure", Json.Text r.Measure
                "models", Json.texts r.Models
                "aligned", Json.Bool r.Aligned
                "value", r.Value
            ]


        Json.Object [ "rows", Json.Array(report.Rows |> List.map row) ]

    /// A report from its JSON.
    let ofJson (node: Json) : Report =
        let row (r: Json) =
            {
                Measure = r["measure"].String
                Models = [ for model in r["models"].Items -> model.String ]
                Aligned = r["aligned"].Boolean
                Value = r["value"]
            }

        { Rows = [ for r in node["rows"].Items -> row r ] }

    /// Several reports as one, without repeating a row that two of them hold.
    let concat (reports: Report list) : Report =
        let key row = row.Measure, row.Models, row.Aligned, Json.text row.Value

        { Rows = reports |> List.collect _.Rows |> List.distinctBy key }

    /// The value of a measure on models, as trained or aligned.
    let tryFind measure models aligned (report: Report) =
        report.Rows
        |> List.tryFind (fun r -> r.Measure = measure && r.Models = models && r.Aligned = aligned)
        |> Option.map _.Value

    /// A number by its path of names.
    let number (path: string list) (value: Json) = (value, path) ||> List.fold (fun json name -> json[name]) |> _.Float
