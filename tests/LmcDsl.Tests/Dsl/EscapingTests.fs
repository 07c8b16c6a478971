/// Text that a file gave, in each target that it may reach.
module LmcDsl.Tests.Dsl.EscapingTests

open System.Text.RegularExpressions
open Expecto
open LmcDsl
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures

let private hostile =
    "a\u001b[31m\u009b1m\u202eb\u2028c\u200bd\r\ne </script><script>alert(1)</script> <img src=x> [x](javascript:y) `x` \\input{/etc/passwd} 100% $x$ ^~_#&{}|"

let private table title cell = { Title = title; Columns = [ "model"; cell ]; Rows = [ [ "0"; cell ] ] }

let private isShown (text: string) =
    for c in text do
        if c <> '\n' && (System.Char.IsControl c || c = '\u2028' || c = '\u202e' || c = '\u200b') then
            failtest $"expected nothing that a terminal obeys, found U+{int c:X4}"

let private figure (title: string) =
    let row at =
        {
            Measure = "distance"
            Models = [ "0"; "1" ]
            Aligned = true
            Labels = [ "width", at; "search", title ]
            Value = Json.parse """{"l2":3}"""
        }

    Draw.lines "l2" title "width" "log" [ "search" ] Quantity.l2 (fun _ -> true) { Rows = [ row "1"; row "10" ] }
    |> Option.get

let tests =
    testList "Escaping" [
        test "a message is one line that no terminal obeys, bidirectional marks and line separators among it" {
            let shown = LmcException(hostile).Message
            isShown shown
            Expect.isFalse (shown.Contains '\n') "one line"
            Expect.stringContains shown "\\u001b[31m" "the number of what is not shown"
            Expect.stringContains shown "\\u202e" "of what reorders"
            Expect.equal (LmcException("größer λ 漢字 😀").Message) "größer λ 漢字 😀" "other text stays"
        }

        test "LaTeX: every character stands for itself, and a title is one line" {
            let latex = TableText.latex "a b\n\\x{" (table hostile hostile)
            isShown latex
            Expect.equal (latex.Split('\n').Length) 12 "no line is added"
            Expect.stringContains latex "\\textbackslash{}input\\{/etc/passwd\\}" "no command"

            Expect.stringContains
                latex
                "100\\% \\$x\\$ \\textasciicircum{}\\textasciitilde{}\\_\\#\\&\\{\\}"
                "no meaning"

            Expect.stringContains latex "\\label{tab:a-b--x-}" "a label of plain characters"
            // Braces are in pairs, and every one that is a sign has its backslash.
            let signs = Regex.Replace(latex, @"\\[{}]", "")
            Expect.equal (signs.Split('{').Length) (signs.Split('}').Length) "balanced"

            Expect.equal
                (TableText.latexText "R (γ=0.3) ± 1 – 2")
                "R ($\\gamma$=0.3) $\\pm$ 1 -- 2"
                "usual text as ever"
        }

        test "Markdown: nothing is a tag, a link, code or the end of a cell" {
            let markdown = TableText.markdown (table hostile hostile)
            isShown markdown
            Expect.equal (markdown.Split('\n').Length) 5 "a heading, an empty line, three rows"
            Expect.isFalse (markdown.Contains "<") "no tag"
            Expect.isFalse (markdown.Contains "](") "no link"
            Expect.isFalse (Regex.IsMatch(markdown, @"(?<!\\)`")) "no code"

            Expect.equal
                (TableText.markdownText "loss (γ=0.3), 5 % ± 0.1, x_1")
                "loss (γ=0.3), 5 % ± 0.1, x_1"
                "usual text as ever"
        }

        test "HTML: nothing is a tag, in tables and in the charts' scripts" {
            let text = { Title = hostile; Command = hostile; Provenance = Json.Text hostile }

            let html = Page.html text [ table hostile hostile ] [ figure hostile ]

            isShown (
                (Page.html text [ table hostile hostile ] []).Replace(PlotlyScript.text.Value, "").Replace("\r", "")
            )

            isShown ((Page.chartHtml (figure hostile).Chart).Replace("\r", ""))
            Expect.isFalse (html.Contains "<script>alert") "no script of theirs"
            // A browser ends a script at the first tag that ends one, whatever string it stands in.
            let outside = Regex.Replace(html, @"<script\b.*?</script", "", RegexOptions.Singleline)
            Expect.isFalse (outside.Contains "<img") "no picture of theirs"
            Expect.isTrue (outside.Contains "</html>") "no script is left open"
        }

        test "CSV: a line break is within quotes" {
            let csv = TableText.csv (table "" "a\rb")
            Expect.stringContains csv "\"a\rb\"" "quoted"
        }
    ]
