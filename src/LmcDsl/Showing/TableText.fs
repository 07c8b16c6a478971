namespace LmcDsl

open System

/// Tables as text: for reading, for papers, for other programs.
[<RequireQualifiedAccess>]
module TableText =

    /// A table as Markdown, without its title.
    let body (table: Table) : string =
        let line (cells: string list) = "| " + String.Join(" | ", cells |> List.map _.Replace("|", "\\|")) + " |"

        let rule =
            "|"
            + String.Join(
                "|",
                [ for k in 0 .. table.Columns.Length - 1 -> if Table.isNumeric table k then " ---: " else " --- " ]
            )
            + "|"

        [ line table.Columns; rule ] @ List.map line table.Rows |> String.concat "\n"

    /// A table as Markdown, under a heading of its own.
    let markdown (table: Table) : string = $"### {table.Title}\n\n{body table}"

    let private latexSymbols =
        [
            "\\", "\\textbackslash{}"
            "&", "\\&"
            "%", "\\%"
            "_", "\\_"
            "#", "\\#"
            "±", "$\\pm$"
            "γ", "$\\gamma$"
            "λ", "$\\lambda$"
            "–", "--"
            "−", "$-$"
            "≤", "$\\le$"
            "‖", "$\\|$"
        ]

    let private latexText (text: string) =
        (text, latexSymbols) ||> List.fold (fun text (symbol, command) -> text.Replace(symbol, command))

    /// A table in LaTeX, for the packages booktabs and inputenc, with a caption and a label.
    let latex (label: string) (table: Table) : string =
        let line cells = "  " + String.Join(" & ", cells |> List.map latexText) + " \\\\"

        let kinds =
            String.Join("", [ for k in 0 .. table.Columns.Length - 1 -> if Table.isNumeric table k then "r" else "l" ])

        [
            "\\begin{table}"
            "  \\centering"
            $"  \\caption{{{latexText table.Title}}}"
            $"  \\label{{tab:{label}}}"
            $"  \\begin{{tabular}}{{{kinds}}}"
            "  \\toprule"
            line table.Columns
            "  \\midrule"
            yield! table.Rows |> List.map line
            "  \\bottomrule"
            "  \\end{tabular}"
            "\\end{table}"
        ]
        |> String.concat "\n"

    /// A table as comma-separated values (RFC 4180).
    let csv (table: Table) : string =
        let cell (text: string) =
            if text.IndexOfAny [| ','; '"'; '\n' |] >= 0 then
                "\"" + text.Replace("\"", "\"\"") + "\""
            else
                text

        [
            for row in table.Columns :: table.Rows do
                String.Join(",", row |> List.map cell) + "\r\n"
        ]
        |> String.concat ""
