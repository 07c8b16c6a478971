namespace LmcDsl

open System
open System.IO
open System.Net
open System.Text
open System.Text.RegularExpressions
open LmcDsl.Core.Runtime

/// Figures as files for papers: SVG, PNG (at twice the size) and PDF, drawn by a headless browser. The same figure gives the same
/// bytes.
[<RequireQualifiedAccess>]
module FigureFiles =

    // plotly.js makes up names of clip paths at random.
    let private steady = "(() => { let s = 1; Math.random = () => (s = (s * 16807) % 2147483647) / 2147483647; })();"

    let private text (content: string) = Page.encode content

    // Lines of a title, of so many letters at most.
    let private titleLines (caption: string) =
        let most = 96
        let lines = Collections.Generic.List<string>()

        for word in caption.Split(' ', StringSplitOptions.RemoveEmptyEntries) do
            if lines.Count > 0 && lines[lines.Count - 1].Length + 1 + word.Length <= most then
                lines[lines.Count - 1] <- lines[lines.Count - 1] + " " + word
            else
                lines.Add word

        List.ofSeq lines

    // In a file a figure stands alone: its caption is its title, above it, with room of its own.
    let private entitling (figures: Figure list) =
        let titles =
            Json.Object [
                for figure in figures ->
                    figure.Id,
                    Json.texts [
                        for line in titleLines (VisibleText.Of figure.Caption) -> string (WebUtility.HtmlEncode line)
                    ]
            ]

        let inScript = (Json.text titles).Replace("<", "\\u003C")

        "const titles = "
        + inScript
        + """;
async function entitle(figure) {
  const lines = titles[figure.id] || [];
  if (!lines.length) return;
  const room = 18 * lines.length + 10, above = figure._fullLayout.margin.t, height = figure._fullLayout.height;
  const legend = figure._fullLayout.showlegend && figure._fullLayout.legend ? figure._fullLayout.legend._height || 30 : 0;
  await Plotly.relayout(figure, {
    height: height + room, 'margin.t': above + room + legend, 'margin.autoexpand': true,
    title: { text: lines.join('<br>'), font: { size: 13 }, x: 0.01, xanchor: 'left', y: 1 - 14 / (height + room), yref: 'container', yanchor: 'top' } });
}
"""

    let private page (title: string) (figures: Figure list) (style: string) (script: string) =
        let script = entitling figures + script
        let charts = figures |> List.map (fun figure -> Page.chartHtml figure.Chart) |> String.concat "\n"

        $"""<!DOCTYPE html><html><head><meta charset="utf-8"><title>{text title}</title><style>{style}</style><script>{steady}</script>
<script>{PlotlyScript.text.Value}</script><script>Plotly.setPlotConfig({{ displayModeBar: false, staticPlot: true }});</script></head>
<body>{charts}<script>{script}</script></body></html>"""

    // Replaces the page by one element that holds all pictures as data addresses.
    let private exporting =
        """
(async () => {
  const all = {};
  for (const figure of document.querySelectorAll('.js-plotly-plot')) {
    await entitle(figure);
    const size = { width: figure._fullLayout.width, height: figure._fullLayout.height };
    const svg = await Plotly.toImage(figure, { format: 'svg', ...size });
    const png = await Plotly.toImage(figure, { format: 'png', scale: 2, ...size });
    all[figure.id] = { svg: decodeURIComponent(svg.slice(svg.indexOf(',') + 1)), png: png.slice(png.indexOf(',') + 1), height: size.height };
  }
  const result = document.createElement('pre');
  result.id = 'exports';
  result.textContent = JSON.stringify(all);
  document.head.replaceChildren();
  document.body.replaceChildren(result);
})();"""

    let private inFolder (work: string -> 'a) =
        let folder = Directory.CreateTempSubdirectory "lmcdsl-figures-"

        try
            work folder.FullName
        finally
            folder.Delete(recursive = true)

    let private images browser (figures: Figure list) =
        inFolder (fun folder ->
            let path = Path.Combine(folder, "figures.html")
            File.WriteAllText(path, page "" figures "" exporting)
            let dom = Browser.run browser [ "--virtual-time-budget=60000"; "--dump-dom"; Uri(path).AbsoluteUri ]
            let found = Regex.Match(dom, "<pre id=\"exports\">(.*?)</pre>", RegexOptions.Singleline)

            if not found.Success then
                raise (LmcException $"{browser}: expected drawn figures, found none in its page")

            Json.parse (string (WebUtility.HtmlDecode found.Groups[1].Value)))

    // The dates of a PDF are those of its making.
    let private undated (pdf: byte[]) =
        let text = Encoding.Latin1.GetString pdf
        Encoding.Latin1.GetBytes(Regex.Replace(text, @"/(CreationDate|ModDate) \(D:\d{14}", "/$1 (D:20000101000000"))

    let private pdf browser (command: string) (height: float) (figure: Figure) =
        inFolder (fun folder ->
            let path, target = Path.Combine(folder, "figure.html"), Path.Combine(folder, "figure.pdf")

            let style =
                $"@page {{ size: {figure.Chart.Width}px {Number.fixedPoint 0 height}px; margin: 0 }} body {{ margin: 0 }}"

            File.WriteAllText(
                path,
                page
                    $"{figure.Caption} Made by {command}"
                    [ figure ]
                    style
                    "entitle(document.querySelector('.js-plotly-plot'));"
            )

            let print = [ "--no-pdf-header-footer"; $"--print-to-pdf={target}"; "--virtual-time-budget=20000" ]
            Browser.run browser (print @ [ Uri(path).AbsoluteUri ]) |> ignore
            undated (File.ReadAllBytes target))

    // With what it shows and how it came about. plotly.js writes an empty attribute before or after others, by when the browser lays
    // the page out.
    let private described (figure: Figure) (command: string) (svg: string) =
        let about = $"<title>{text figure.Caption}</title><desc>Made by {text command}</desc>"
        let start = svg.IndexOf '>' + 1
        svg.Insert(start, about).Replace(" style=\"\"", "")

    /// Writes `ID.svg`, `ID.png` and `ID.pdf` for each figure into a folder; `command` is what makes them again. Returns the line to
    /// tell where no browser is installed, and nothing was written.
    let write (folder: string) (command: string) (figures: Figure list) : string option =
        match figures, Browser.tryFind () with
        | [], _ -> None
        | _, None ->
            Some "Figures are in index.html only: for SVG, PNG and PDF install Chromium, or name it in LMC_CHROMIUM"
        | _, Some browser ->
            let drawn = images browser figures

            for figure in figures do
                let save ending (content: byte[]) =
                    AtomicFile.write (Path.Combine(folder, $"{figure.Id}.{ending}")) (fun stream ->
                        stream.Write(ReadOnlySpan content))

                save "svg" (Encoding.UTF8.GetBytes(described figure command drawn[figure.Id].["svg"].String))
                save "png" (Convert.FromBase64String drawn[figure.Id].["png"].String)
                save "pdf" (pdf browser command drawn[figure.Id].["height"].Float figure)

            None
