namespace LmcDsl

open XPlot.Plotly

/// Numbers over two things at once, as colours: for sweeps over two fields, and whatever has a number for each pair of places.
[<RequireQualifiedAccess>]
module HeatMap =

    // More cells than this, or more beside one another, have no numbers in them.
    let private numbered = 120
    let private numberedBeside = 15

    /// A map of numbers over columns and rows, which are told apart by name; a cell without a number stays empty. `digits` are those of the
    /// numbers in the cells.
    let draw
        id
        caption
        (quantity: string)
        (digits: int)
        (xTitle: string, columns: string list)
        (yTitle: string, rows: string list)
        (cell: string -> string -> float option)
        : Figure =
        let values = [ for row in rows -> [ for column in columns -> cell column row ] ]
        let numbers = values |> List.concat |> List.choose (fun value -> value)
        let low, high = List.fold min infinity numbers, List.fold max -infinity numbers

        let map =
            Heatmap(
                x = columns,
                y = rows,
                z = [ for row in values -> [ for value in row -> defaultArg value nan ] ],
                colorscale = "Cividis",
                colorbar = Colorbar(title = quantity, thickness = 14.0),
                showlegend = false
            )

        let texts =
            if values.Length * columns.Length > numbered || columns.Length > numberedBeside then
                []
            else
                [
                    for row, cells in List.zip rows values do
                        for column, value in List.zip columns cells do
                            match value with
                            | Some value ->
                                let isDark = high > low && (value - low) / (high - low) < 0.55

                                Annotation(
                                    x = box column,
                                    y = box row,
                                    text = Number.fixedPoint digits value,
                                    showarrow = false,
                                    font = Font(color = (if isDark then "#ffffff" else "#000000"), size = 12.0)
                                )
                            | None -> ()
                ]

        let layout = Draw.layout xTitle yTitle |> Draw.roomBelow columns
        layout.xaxis.``type`` <- "category"
        layout.yaxis.``type`` <- "category"
        // Room for the rows' names.
        layout.margin.l <- 60.0 + 8.0 * float (min 24 (rows |> List.map _.Length |> List.fold max 0))
        layout.annotations <- texts
        Draw.figure id caption layout [ map ]

    // Labels that vary, but for those that say what was done to the models and not how they were made.
    let private fields (subjects: Subject list) =
        [
            for name in subjects |> List.collect (fun s -> List.map fst s.Labels) |> List.distinct do
                if name <> Report.searchLabel && name <> Report.mergeLabel then
                    match subjects |> List.map _.Key(name) |> List.distinct |> List.filter ((<>) "–") with
                    | _ :: _ :: _ as values -> name, values
                    | _ -> ()
        ]

    let private most = 6

    /// Of a report whose rows vary over two fields, a map of each quantity's mean over them, for each search; nothing of other reports. Of
    /// models that were aligned, the aligned ones.
    let ofSweep (quantities: Quantity list) (report: Report) : Figure list =
        let subjects = Subject.ofReport report

        match fields subjects with
        | [ xName, columns; yName, rows ] ->
            let variant (subject: Subject) =
                [ Report.searchLabel; Report.mergeLabel ]
                |> List.map subject.Key
                |> List.filter ((<>) "–")
                |> String.concat ", "

            [
                for quantity in List.truncate most quantities do
                    // The mean with its parents is no pair of models.
                    let isWithMean (s: Subject) = s.Models.Length > 1 && List.contains "mean" s.Models
                    let own = subjects |> List.filter (fun s -> (quantity.Of s).IsSome && not (isWithMean s))
                    let aligned = own |> List.filter _.Aligned
                    let kept = if aligned.IsEmpty then own else aligned

                    for name, group in kept |> List.groupBy variant do
                        let cell column row =
                            match
                                group
                                |> List.filter (fun s -> s.Key xName = column && s.Key yName = row)
                                |> List.choose quantity.Of
                            with
                            | [] -> None
                            | values -> Some(List.average values)

                        let state =
                            if aligned.IsEmpty then ""
                            elif name = "" then ", aligned"
                            else $", aligned by {name}"

                        draw
                            (Draw.slug $"map-{quantity.Heading}-{name}")
                            $"{quantity.Heading} over {xName} and {yName}{state}; mean over what else was measured."
                            quantity.Heading
                            quantity.Digits
                            (xName, columns)
                            (yName, rows)
                            cell
            ]
        | _ -> []
