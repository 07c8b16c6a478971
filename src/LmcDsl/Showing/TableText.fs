namespace LmcDsl

open System
open LmcDsl.Core.Runtime

/// Tables as text: for reading, for papers, for other programs.
[<RequireQualifiedAccess>]
module TableText =

    // One line, with what orders or hides text shown by its number.
    let private inLine (text: string) = VisibleText.Of(text.ReplaceLineEndings " ")

    /// Text within Markdown: nothing in it is a tag, a link or the end of a cell.
    let markdownText (text: string) : string =
        let escaped (c: char) =
            match c with
            | '\\'
            | '`'
            | '*'
            | '|' -> $"\\{c}"
            | '<' -> "&lt;"
            | '&' -> "&amp;"
            | c -> string c

        (inLine text |> String.collect escaped).Replace("](", "]\\(")

    /// A table as Markdown, without its title.
    let body (table: Table) : string =
        let line (cells: string list) = "| " + String.Join(" | ", cells |> List.map markdownText) + " |"

        let rule =
            "|"
            + String.Join(
                "|",
                [ for k in 0 .. table.Columns.Length - 1 -> if Table.isNumeric table k then " ---: " else " --- " ]
            )
            + "|"

        [ line table.Columns; rule ] @ List.map line table.Rows |> String.concat "\n"

    /// A table as Markdown, under a heading of its own.
    let markdown (table: Table) : string = $"### {markdownText table.Title}\n\n{body table}"

    /// A table as plain text, under its title: columns side by side, numbers to the right.
    let plain (table: Table) : string =
        let rows = table.Columns :: table.Rows |> List.map (List.map inLine)
        let width k = rows |> List.map (fun row -> row[k].Length) |> List.max

        let cell k (text: string) =
            if Table.isNumeric table k then
                text.PadLeft(width k)
            else
                text.PadRight(width k)

        let line row = (List.mapi cell row |> String.concat "  ").TrimEnd()
        inLine table.Title :: List.map line rows |> String.concat "\n"

    /// Text within LaTeX: every character that means something to it stands for itself.
    let latexText (text: string) : string =
        let escaped (c: char) =
            match c with
            | '\\' -> "\\textbackslash{}"
            | '{'
            | '}'
            | '$'
            | '&'
            | '%'
            | '_'
            | '#' -> $"\\{c}"
            | '^' -> "\\textasciicircum{}"
            | '~' -> "\\textasciitilde{}"
            | '<' -> "\\textless{}"
            | '>' -> "\\textgreater{}"
            | '|' -> "\\textbar{}"
            | '±' -> "$\\pm$"
            | 'γ' -> "$\\gamma$"
            | 'λ' -> "$\\lambda$"
            | '–' -> "--"
            | '−' -> "$-$"
            | '≤' -> "$\\le$"
            | '‖' -> "$\\|$"
            | c -> string c

        inLine text |> String.collect escaped

    // A name that \label and \ref take as it is.
    let private latexLabel (text: string) =
        text |> String.map (fun c -> if Char.IsAsciiLetterOrDigit c || "-:.".Contains c then c else '-')

    /// A table in LaTeX, for the packages booktabs and inputenc, with a caption and a label.
    let latex (label: string) (table: Table) : string =
        let line cells = "  " + String.Join(" & ", cells |> List.map latexText) + " \\\\"

        let kinds =
            String.Join("", [ for k in 0 .. table.Columns.Length - 1 -> if Table.isNumeric table k then "r" else "l" ])

        [
            "\\begin{table}"
            "  \\centering"
            $"  \\caption{{{latexText table.Title}}}"
            $"  \\label{{tab:{latexLabel label}}}"
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
            if text.IndexOfAny [| ','; '"'; '\n'; '\r' |] >= 0 then
                "\"" + text.Replace("\"", "\"\"") + "\""
            else
                text

        [
            for row in table.Columns :: table.Rows do
                String.Join(",", row |> List.map cell) + "\r\n"
        ]
        |> String.concat ""
