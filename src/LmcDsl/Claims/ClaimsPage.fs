namespace LmcDsl

/// The page of claims: for each one the sentence, the measurements, the figure and the verdict.
[<RequireQualifiedAccess>]
module ClaimsPage =

    let private encode = Page.encode

    let private colour verdict =
        match verdict with
        | Holds -> "holds"
        | HoldsInPart -> "part"
        | DoesNotHold -> "fails"
        | NotMeasured -> "none"

    let private badge verdict = $"<span class=\"verdict {colour verdict}\">{Claim.word verdict}</span>"

    let private style =
        """
.verdict { font-size: .85rem; padding: .1rem .55rem; border-radius: .8rem; border: 1px solid; white-space: nowrap; }
.holds { color: #00674c; background: #e3f4ee; } .part { color: #7a5200; background: #fcf3dc; }
.fails { color: #97420a; background: #fbe9df; } .none { color: #555; background: #eee; }
section { border-top: 1px solid #ccc; margin-top: 2rem; } section h2 { margin-top: 1.2rem; }
.rule { color: #444; font-size: .95rem; } ol.summary li { margin: .25rem 0; }
@media print { section { break-inside: avoid; } }
"""

    let private evidenceTable (evidence: Evidence list) =
        let row e =
            let mark = if e.Holds then "✓" else "✗"
            $"<tr><td>{encode e.Where}</td><td>{encode e.Measured}</td><td>{mark}</td></tr>"

        let body = evidence |> List.map row |> String.concat "\n"
        $"<table><thead><tr><th>where</th><th>measured</th><th>as claimed</th></tr></thead>\n<tbody>{body}</tbody></table>"

    /// Judges each claim by the reports of the experiments, by name.
    let judge (claims: Claim list) (reports: (string * Report) list) : (Claim * Evidence list * Verdict) list =
        [
            for claim in claims ->
                let evidence =
                    reports
                    |> List.tryFind (fst >> (=) claim.Experiment)
                    |> Option.map (snd >> claim.Judge)
                    |> Option.defaultValue []

                claim, evidence, Claim.verdict evidence
        ]

    // Seeds, code and machine in a line.
    let private origin (provenance: Json) =
        let seeds =
            [
                for models in provenance["models"].Items do
                    for seed in models["seeds"].Items do
                        seed.Int64
            ]
            |> List.distinct
            |> List.sort

        let made = provenance["made by"]
        let machine = made["machine"]
        let seeds = seeds |> List.map string |> String.concat ", "

        $"""seeds {seeds}; {machine["cores"].Int64} cores of {machine["processor"].String}; LmcDsl {made["code"].String}"""

    /// The page as HTML. A figure that several claims name is drawn at the first of them.
    let html
        (text: PageText)
        (scale: string)
        (judged: (Claim * Evidence list * Verdict) list)
        (figures: (string * Figure list) list)
        : string =
        let shown = System.Collections.Generic.HashSet<string * string>()

        let figureOf (claim: Claim) =
            match claim.Figure with
            | Some id when shown.Add(claim.Experiment, id) ->
                figures
                |> List.tryFind (fst >> (=) claim.Experiment)
                |> Option.bind (snd >> List.tryFind (fun figure -> figure.Id = id))
                |> Option.map Page.figure
                |> Option.defaultValue ""
            | _ -> ""

        let count verdict = judged |> List.filter (fun (_, _, own) -> own = verdict) |> List.length

        let counts =
            [ Holds; HoldsInPart; DoesNotHold; NotMeasured ]
            |> List.filter (fun verdict -> count verdict > 0)
            |> List.map (fun verdict -> $"{count verdict} {badge verdict}")
            |> String.concat " · "

        let body =
            [
                $"<p>Scale: <b>{encode scale}</b>; {encode (origin text.Provenance)}.</p>"
                $"<p>Verdicts follow from the measurements by the rule given with each claim. {counts}</p>"
                "<ol class=\"summary\">"
                for claim, _, verdict in judged do
                    $"<li>{encode claim.Sentence} {badge verdict}</li>"
                "</ol>"
                for k, (claim, evidence, verdict) in List.indexed judged do
                    "<section>"
                    $"<h2>{k + 1}. {encode claim.Sentence} {badge verdict}</h2>"
                    $"<p class=\"rule\">{encode claim.Rule} Measured by <a href=\"{claim.Experiment}/index.html\">{claim.Experiment}</a>.</p>"

                    if not evidence.IsEmpty then
                        evidenceTable evidence

                    figureOf claim
                    "</section>"
            ]
            |> String.concat "\n"

        Page.around text style body

    /// The verdicts as Markdown.
    let markdown (text: PageText) (scale: string) (judged: (Claim * Evidence list * Verdict) list) : string =
        [
            $"# {TableText.markdownText text.Title}\n\nScale: {scale}; {TableText.markdownText (origin text.Provenance)}. Made by `{text.Command}`. Verdicts follow from the measurements by the rule given with each claim.\n"
            for k, (claim, evidence, verdict) in List.indexed judged do
                $"## {k + 1}. {claim.Sentence}\n\n**{Claim.word verdict}**. Rule: {claim.Rule} (`{claim.Experiment}`)\n"

                if not evidence.IsEmpty then
                    TableText.body
                        {
                            Title = ""
                            Columns = [ "where"; "measured"; "as claimed" ]
                            Rows = [ for e in evidence -> [ e.Where; e.Measured; (if e.Holds then "yes" else "no") ] ]
                        }
                    + "\n"
        ]
        |> String.concat "\n"
