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

    let private page (title: string) (figures: Figure list) (style: string) (script: string) =
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
    const size = { width: figure._fullLayout.width, height: figure._fullLayout.height };
    const svg = await Plotly.toImage(figure, { format: 'svg', ...size });
    const png = await Plotly.toImage(figure, { format: 'png', scale: 2, ...size });
    all[figure.id] = { svg: decodeURIComponent(svg.slice(svg.indexOf(',') + 1)), png: png.slice(png.indexOf(',') + 1) };
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

    let private pdf browser (command: string) (figure: Figure) =
        inFolder (fun folder ->
            let path, target = Path.Combine(folder, "figure.html"), Path.Combine(folder, "figure.pdf")

            let style =
                $"@page {{ size: {figure.Chart.Width}px {figure.Chart.Height}px; margin: 0 }} body {{ margin: 0 }}"

            File.WriteAllText(path, page $"{figure.Caption} Made by {command}" [ figure ] style "")
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
                save "pdf" (pdf browser command figure)

            None
