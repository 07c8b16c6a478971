namespace LmcDsl

open System
open System.Net
open LmcDsl.Core.Runtime

/// What a page says around its tables and figures.
type PageText =
    {
        /// Heading.
        Title: string
        /// The command that makes the page again.
        Command: string
        /// Where the numbers come from.
        Provenance: Json
    }

/// A page of tables and figures in one file, which opens without a network.
[<RequireQualifiedAccess>]
module Page =

    /// Colours by the reader's own choice of light or dark; whatever is wider than the page moves within its own frame.
    let internal style =
        """
:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #444; --paper: #fff; --code: #f5f5f3; --rule: #1a1a1a; --thin: #ccc; --accent: #0072B2; }
body { font-family: Georgia, 'Times New Roman', serif; color: var(--ink); background: var(--paper); max-width: 860px; margin: 2.5rem auto; padding: 0 1rem; line-height: 1.45; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-size: .92rem; margin: .5rem 0 1rem; min-width: 60%; }
th, td { padding: .28rem .6rem; text-align: left; font-variant-numeric: tabular-nums; }
.n { text-align: right; }
th { border-top: 2px solid var(--rule); border-bottom: 1px solid var(--rule); font-weight: normal; vertical-align: bottom; }
tbody tr:last-child td { border-bottom: 2px solid var(--rule); }
.wide { overflow-x: auto; }
figure { margin: 1.5rem 0; } figcaption { font-size: .92rem; color: var(--soft); }
code, pre { font-size: .85rem; background: var(--code); } pre { padding: .8rem; overflow-x: auto; white-space: pre-wrap; }
details { margin: .8rem 0; } summary { cursor: pointer; }
a { color: var(--accent); }
.note { font-size: .92rem; color: var(--soft); }
figure > div { max-width: 100%; }
@media (max-width: 600px) { body { margin: 1rem auto; } table { font-size: .85rem; } th, td { padding: .22rem .45rem; } }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e6e3dc; --soft: #b9b5ab; --paper: #17181a; --code: #24262a; --rule: #c9c5bb; --thin: #44474c; --accent: #6db6e8; }
  figure .js-plotly-plot { filter: invert(.91) hue-rotate(180deg); }
  figure .heatmaplayer, figure .contourlayer, figure .cbfills, figure .annotation { filter: invert(1) hue-rotate(180deg); }
}
@media print { body { margin: 0; max-width: none; } figure, table { break-inside: avoid; } }
"""

    /// Text within HTML: nothing in it is a tag, and nothing orders or hides what is read.
    let internal encode (text: string) : string = string (WebUtility.HtmlEncode(VisibleText.Of(text, lines = true)))

    /// A chart as HTML: its texts, which stand in a script, cannot end the script.
    let internal chartHtml (chart: XPlot.Plotly.PlotlyChart) : string =
        // Shown by their numbers, a backslash and all, where the script's strings hold them.
        let html = VisibleText.Of(chart.GetInlineHtml(), lines = true, escape = "\\\\u")
        let start = html.IndexOf("<script", StringComparison.Ordinal)
        let ending = html.LastIndexOf("</script>", StringComparison.Ordinal)

        if start < 0 || ending < start then
            html
        else
            let body = html.IndexOf('>', start) + 1

            let script =
                html
                    .Substring(body, ending - body)
                    .Replace("</", "<\\/")
                    .Replace("<!--", "<\\!--")
                    .Replace("<script", "<\\script")

            html.Substring(0, body) + script + html.Substring ending

    let private tableHtml (table: Table) =
        let kinds = [ for k in 0 .. table.Columns.Length - 1 -> if Table.isNumeric table k then " class=\"n\"" else "" ]

        let line tag row =
            List.map2 (fun kind text -> $"<{tag}{kind}>{encode text}</{tag}>") kinds row |> String.concat ""

        let body = table.Rows |> List.map (fun row -> "<tr>" + line "td" row + "</tr>") |> String.concat "\n"
        let head = line "th" table.Columns
        $"<h2>{encode table.Title}</h2>\n<div class=\"wide\"><table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"

    /// A figure with its caption.
    let internal figure (figure: Figure) =
        $"<figure>\n{chartHtml figure.Chart}\n<figcaption>{encode figure.Caption}</figcaption>\n</figure>"

    /// A page with a heading, what is given, and how it came about.
    let internal around (text: PageText) (moreStyle: string) (body: string) : string =
        [
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<meta name=\"viewport\" content=\"width=device-width\">"
            "<link rel=\"icon\" href=\"data:,\">"
            $"<title>{encode text.Title}</title>\n<style>{style}{moreStyle}</style>"
            $"<script>{PlotlyScript.text.Value}</script>"
            "<script>Plotly.setPlotConfig({ displayModeBar: false, responsive: true });</script></head>\n<body>"
            $"<h1>{encode text.Title}</h1>"
            for note in Notes.ofProvenance text.Provenance do
                $"<p class=\"note\">{encode note}</p>"
            body
            "<h2>How this came about</h2>"
            $"<p>Made again by <code>{encode text.Command}</code></p>"
            "<details><summary>Recipes, code, packages and machine</summary>"
            $"<pre>{encode (Json.indented text.Provenance)}</pre></details>"
            "</body></html>\n"
        ]
        |> String.concat "\n"

    /// The page as HTML.
    let html (text: PageText) (tables: Table list) (figures: Figure list) : string =
        [
            yield! List.map tableHtml tables
            if not figures.IsEmpty then
                "<h2>Figures</h2>"
            yield! List.map figure figures
        ]
        |> String.concat "\n"
        |> around text ""
