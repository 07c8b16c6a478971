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

/// A column of a table whose rows stand for several measurements each.
type Column =
    {
        /// What it shows.
        Heading: string
        /// The cell, from the subjects of a row.
        Cell: Subject list -> string
    }

/// Columns of summaries.
[<RequireQualifiedAccess>]
module Column =

    /// Mean and standard deviation of a quantity.
    let mean (quantity: Quantity) : Column =
        {
            Heading = quantity.Heading
            Cell =
                fun subjects ->
                    match subjects |> List.choose quantity.Of with
                    | [] -> "–"
                    | values ->
                        let summary = Statistics.summarise values
                        let mean = Quantity.show quantity summary.Mean

                        if summary.Count = 1 then
                            mean
                        else
                            $"{mean} ± {Quantity.show quantity summary.Deviation}"
        }

    /// The p-value of the paired t-test that two quantities of the same subjects have one mean; starred below 0.05.
    let paired (heading: string) (one: Quantity) (other: Quantity) : Column =
        {
            Heading = heading
            Cell =
                fun subjects ->
                    subjects
                    |> List.choose (fun subject -> Option.map2 (fun x y -> x, y) (one.Of subject) (other.Of subject))
                    |> Statistics.pairedT
                    |> Option.map (fun p ->
                        let digits = Number.fixedPoint 3 p
                        if p < 0.05 then digits + "*" else digits)
                    |> Option.defaultValue "–"
        }

    let private heading = "n"

    /// How many measurements stand behind the numbers of a row; where they are not as many in each column, the fewest and the most.
    let count = { Heading = heading; Cell = fun subjects -> string subjects.Length }

    /// How many measurements of a quantity a row stands for.
    let countOf (quantity: Quantity) : Column =
        {
            Heading = $"n of {quantity.Heading}"
            Cell = fun subjects -> string (subjects |> List.choose quantity.Of).Length
        }

    // What `count` shows beside other columns.
    let internal counted (columns: Column list) (subjects: Subject list) : string =
        let of' column = subjects |> List.filter (fun subject -> column.Cell [ subject ] <> "–") |> List.length

        match columns |> List.map of' |> List.filter ((<>) 0) |> List.distinct with
        | [] -> string subjects.Length
        | [ one ] -> string one
        | several -> $"{List.min several}–{List.max several}"

/// Tables of a report.
[<RequireQualifiedAccess>]
module Table =

    /// Whether a column holds numbers only, to be aligned at their right.
    let isNumeric (table: Table) (column: int) =
        let isNumber (cell: string) =
            let number = cell.Split(' ').[0].TrimEnd '*'
            cell = "–" || (Number.tryParse number).IsSome

        table.Rows |> List.forall (fun row -> isNumber row[column])

    /// A table with one row for each combination of some keys (labels, `state`, `pair`) among the subjects that are kept; each of
    /// its cells sums up the subjects of its row. Columns without a number are left out.
    let summary
        (title: string)
        (keys: string list)
        (columns: Column list)
        (keep: Subject -> bool)
        (report: Report)
        : Table =
        let groups = Subject.ofReport report |> List.filter keep |> List.groupBy (fun s -> keys |> List.map s.Key)

        let filled column = groups |> List.exists (fun (_, own) -> column.Cell own <> "–")
        let columns = columns |> List.filter filled
        let isCount (column: Column) = column.Heading = Column.count.Heading
        let numbers = columns |> List.filter (isCount >> not)
        let measured own = numbers |> List.exists (fun c -> c.Cell own <> "–")
        let rows = groups |> List.filter (snd >> measured)
        let cell own column = if isCount column then Column.counted numbers own else column.Cell own

        {
            Title = title
            Columns = keys @ (columns |> List.map _.Heading)
            Rows = [ for key, own in rows -> key @ (columns |> List.map (cell own)) ]
        }

    // One line for each subject, with the labels that differ as columns.
    let private list
        title
        heading
        (lead: (Subject -> string) list)
        (quantities: Quantity list)
        (subjects: Subject list)
        =
        let labels =
            [
                for name in subjects |> List.collect (fun s -> List.map fst s.Labels) |> List.distinct do
                    // Naive rows have no search; of any other label not to have it tells rows apart as well.
                    let values =
                        subjects
                        |> List.map _.Key(name)
                        |> List.filter (fun value -> value <> "–" || name <> Report.searchLabel)
                        |> List.distinct

                    if values.Length > 1 then
                        name
            ]

        let quantities = quantities |> List.filter (fun q -> subjects |> List.exists (fun s -> (q.Of s).IsSome))

        {
            Title = title
            Columns = labels @ heading @ (quantities |> List.map _.Heading)
            Rows =
                [
                    for s in subjects ->
                        (labels |> List.map s.Key)
                        @ (lead |> List.map (fun cell -> cell s))
                        @ [ for q in quantities -> q.Of s |> Option.map (Quantity.show q) |> Option.defaultValue "–" ]
                ]
        }

    /// The numbers that operations show of a report.
    let shown (ops: Op list) (report: Report) : Quantity list =
        [
            for op in ops do
                for quantity in op.Shows report do
                    op.Name, quantity
        ]
        |> List.distinctBy (fun (name, quantity) -> name, quantity.Heading)
        |> List.map snd

    // Of subjects of one kind, by setting, so that naive and aligned rows of a pair stand together. Settings and searches come in the
    // order in which the report has them, in every table the same; members by their numbers.
    let private ofSubjects title keep ops (report: Report) : Table =
        let all = Subject.ofReport report

        let places (items: 'item list) =
            let places = dict [ for k, item in List.indexed (List.distinct items) -> item, k ]
            fun item -> places[item]

        let setting = places [ for s in all -> Report.setting s.Labels ]
        let labels = places [ for s in all -> s.Labels ]

        let member' (model: string) =
            match Number.tryParse model with
            | Some number -> number, ""
            | None -> -1.0, model

        all
        |> List.filter keep
        |> List.sortBy (fun s ->
            setting (Report.setting s.Labels), List.map member' s.Models, s.Aligned, labels s.Labels)
        |> list title [ "pair"; "state" ] [ _.Key("pair"); _.Key("state") ] (shown ops report)

    let private withMean (s: Subject) = List.contains "mean" s.Models

    /// What operations show of each pair of members, naive and aligned. Only columns that the report has.
    let pairs (ops: Op list) : Report -> Table =
        ofSubjects "Pairs of models" (fun s -> s.Models.Length = 2 && not (withMean s)) ops

    /// What they show of the merged model with each of its parents.
    let parents (ops: Op list) : Report -> Table =
        ofSubjects "The mean and its parents" (fun s -> s.Models.Length = 2 && withMean s) ops

    /// What they show of three models and more together.
    let several (ops: Op list) (report: Report) : Table =
        let table = ofSubjects "Models together" (fun s -> s.Models.Length > 2) ops report

        { table with
            Columns = table.Columns |> List.map (fun heading -> if heading = "pair" then "models" else heading)
        }

    /// What they show of single models: the parents and their means.
    let singles (ops: Op list) (report: Report) : Table =
        let name (s: Subject) =
            match s.Models with
            | [ "mean" ] -> $"""mean, {s.Key "state"}"""
            | models -> String.Join(", ", models)

        Subject.ofReport report
        |> List.filter (fun s -> s.Models.Length = 1)
        |> list "Single models" [ "model" ] [ name ] (shown ops report)

    /// The title of the table of what could not be measured.
    let failuresTitle = "Failed measurements"

    /// What could not be measured, and why.
    let failures (report: Report) : Table =
        {
            Title = failuresTitle
            Columns = [ "measure"; "models"; "labels"; "why" ]
            Rows =
                [
                    for row in report.Rows do
                        match row.Failure with
                        | Some why ->
                            [
                                row.Measure
                                String.Join(", ", row.Models) + (if row.Aligned then ", aligned" else ", naive")
                                row.Labels |> List.map snd |> String.concat ", "
                                why
                            ]
                        | None -> ()
                ]
        }

    /// The tables that have rows.
    let filled (tables: Table list) : Table list = tables |> List.filter (fun table -> not table.Rows.IsEmpty)

    /// What operations show of a report: every table that has rows and numbers.
    let ofReport (ops: Op list) (report: Report) : Table list =
        let hasNumbers (table: Table) = table.Columns.Length > 1 && not table.Rows.IsEmpty

        [ pairs; parents; several; singles ] |> List.map (fun table -> table ops report) |> List.filter hasNumbers
