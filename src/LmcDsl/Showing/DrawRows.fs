namespace LmcDsl

/// What drawings of a report's rows share: how many lines, in which colours, for which networks.
[<RequireQualifiedAccess>]
module DrawRows =

    // More lines than this nobody can tell apart, and no page holds thousands.
    let private most = 48

    /// The first of some lines, and what the caption says of the others.
    let shown (what: string) (lines: 'a list) : 'a list * string =
        if lines.Length <= most then
            lines, ""
        else
            List.truncate most lines, $" Shown are the first {most} of {lines.Length} {what}; the tables hold all."

    /// Strong and pale colour of a row: one for naive rows, one for each variant of aligned ones.
    let colours (rows: Row list) : Row -> string * string =
        let variant = Report.variant rows
        let variants = rows |> List.filter _.Aligned |> List.map variant |> List.distinct
        let place = dict [ for k, name in List.indexed variants -> name, k ]
        fun row -> if row.Aligned then Draw.colour place[variant row] else Draw.naive

    /// Rows with their values, by the label `network`.
    let perNetwork (rows: (Row * 'value) list) : (string * (Row * 'value) list) list =
        rows
        |> List.groupBy (fun (row, _) ->
            row.Labels |> List.tryFind (fst >> (=) "network") |> Option.map snd |> Option.defaultValue "")

    /// At most so many items, evenly chosen, the first and the last among them.
    let chosen (most: int) (items: 'a list) : 'a list =
        if items.Length <= most then
            items
        else
            [ for k in 0 .. most - 1 -> items[k * (items.Length - 1) / (most - 1)] ]
