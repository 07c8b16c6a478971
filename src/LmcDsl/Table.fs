namespace LmcDsl

open System

/// A table for people: texts in rows and columns.
type Table =
    {
        /// What it shows.
        Title: string
        /// Headings.
        Columns: string list
        /// One list of cells for each row.
        Rows: string list list
    }

/// Tables of a report.
[<RequireQualifiedAccess>]
module Table =

    /// Whether a column holds numbers only, to be aligned at their right.
    let isNumeric (table: Table) (column: int) =
        let isNumber (cell: string) =
            cell = "–" || fst (Double.TryParse(cell, Globalization.CultureInfo.InvariantCulture))

        table.Rows |> List.forall (fun row -> isNumber row[column])

    let private cell format value = value |> Option.map format |> Option.defaultValue "–"

    let private state aligned = if aligned then "aligned" else "naive"

    let private thresholds (row: Row option) =
        match row with
        | Some row -> [ for t in row.Value["thresholds"].Items -> t["gamma"].Float, t["r"].Float ]
        | None -> []

    // What one line of a table is about.
    let private keyOf (row: Row) = row.Models, row.Aligned, row.Labels

    // Keys of every row about two models, with the merged model among them or not.
    let private pairsOf withMean (report: Report) =
        report.Rows
        |> List.filter (fun row -> row.Models.Length = 2 && List.contains "mean" row.Models = withMean)
        |> List.map keyOf
        |> List.distinct
        |> List.sortBy (fun (models, aligned, labels) -> Report.setting labels, models, aligned, labels)

    // Columns of labels that do not say the same on every row.
    let private labelColumns (keys: (string * string) list list) =
        [
            for name in keys |> List.collect (List.map fst) |> List.distinct do
                if keys |> List.choose (List.tryFind (fst >> (=) name)) |> List.distinct |> List.length > 1 then
                    name, List.tryFind (fst >> (=) name) >> Option.map snd >> cell id
        ]

    let private pairTable title keys (report: Report) : Table =
        let byKey =
            report.Rows |> List.map (fun row -> (row.Measure, keyOf row), row) |> List.distinctBy fst |> Map.ofList

        let tryFind measure key = byKey.TryFind(measure, key)
        let gammas = keys |> List.collect (tryFind "singularVectors" >> thresholds >> List.map fst) |> List.distinct

        let find measure path key = tryFind measure key |> Option.map (fun row -> Report.number path row.Value)

        let reduction (models, aligned, labels as key) =
            let naive = models, false, Report.setting labels

            match aligned, find "distance" [ "l2" ] naive, find "distance" [ "l2" ] key with
            | true, Some before, Some after -> Some(1.0 - after / before)
            | _ -> None

        let rAt gamma key =
            tryFind "singularVectors" key |> thresholds |> List.tryFind (fun (g, _) -> g = gamma) |> Option.map snd

        let number (digits: int) (value: float) = value.ToString $"F{digits}"

        let columns =
            [
                "loss barrier", find "barrier" [ "loss" ] >> cell (number 3)
                "at 1/2", find "barrier" [ "midpointLoss" ] >> cell (number 3)
                "Taylor", find "taylor" [ "estimate" ] >> cell (number 3)
                "acc. barrier (pp)", find "barrier" [ "accuracy" ] >> cell (number 2)
                "acc. at 1/2 (%)",
                (fun key ->
                    tryFind "barrier" key
                    |> Option.map (fun row ->
                        row.Value["curve"].Items |> List.minBy (fun p -> abs (p["lambda"].Float - 0.5)))
                    |> cell (fun point -> number 2 (100.0 * point["accuracy"].Float)))
                "L2", find "distance" [ "l2" ] >> cell (number 2)
                "L2 drop (%)", reduction >> cell (fun share -> number 2 (100.0 * share))
                for gamma in gammas do
                    $"R (γ={gamma})", rAt gamma >> cell (number 3)
            ]

        let filled (_, text) = keys |> List.exists (fun key -> text key <> "–")
        let columns = columns |> List.filter filled

        let labels = labelColumns (keys |> List.map (fun (_, _, labels) -> labels))

        {
            Title = title
            Columns = List.map fst labels @ [ "pair"; "state" ] @ List.map fst columns
            Rows =
                [
                    for models, aligned, own as key in keys ->
                        [ for _, text in labels -> text own ]
                        @ [ String.Join(", ", models); state aligned ]
                        @ [ for _, text in columns -> text key ]
                ]
        }

    /// Barriers, distances and R of each pair of members, naive and aligned. Only columns that the report has.
    let pairs (report: Report) : Table = pairTable "Pairs of models" (pairsOf false report) report

    /// R of the merged model with each of its parents.
    let parents (report: Report) : Table = pairTable "The mean and its parents" (pairsOf true report) report

    /// Loss and accuracy of single models: the parents and their means.
    let scores (report: Report) : Table =
        let name row =
            match row.Models with
            | [ "mean" ] -> $"mean, {state row.Aligned}"
            | models -> String.Join(", ", models)

        let rows = report.Rows |> List.filter (fun row -> row.Measure = "score")
        let labels = labelColumns (rows |> List.map _.Labels)

        {
            Title = "Models on the test set"
            Columns = List.map fst labels @ [ "model"; "loss"; "accuracy (%)" ]
            Rows =
                [
                    for row in rows ->
                        [ for _, text in labels -> text row.Labels ]
                        @ [
                            name row
                            row.Value["loss"].Float.ToString "F4"
                            (100.0 * row.Value["accuracy"].Float).ToString "F2"
                        ]
                ]
        }

    /// Every table that the report has rows for.
    let ofReport (report: Report) : Table list =
        [ pairs report; parents report; scores report ] |> List.filter (fun table -> not table.Rows.IsEmpty)

    /// A table as Markdown.
    let markdown (table: Table) : string =
        let line (cells: string list) = "| " + String.Join(" | ", cells) + " |"
        let rule = "|" + String.replicate table.Columns.Length " --- |"

        [ $"### {table.Title}"; ""; line table.Columns; rule ] @ List.map line table.Rows |> String.concat "\n"
