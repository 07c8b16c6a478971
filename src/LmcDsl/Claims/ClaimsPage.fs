namespace LmcDsl

/// The page of claims: for each one the sentence, the measurements, the figure and the verdict.
[<RequireQualifiedAccess>]
module ClaimsPage =

    let private encode = Page.encode

    let private colour verdict =
        match verdict with
        | Holds
        | HoldsWhereDecided -> "holds"
        | HoldsInPart -> "part"
        | DoesNotHold -> "fails"
        | CannotBeDecided
        | NotMeasured -> "none"

    /// What a claim's verdict is called: of a finding, of a check of the code.
    let word (claim: Claim) (verdict: Verdict) : string =
        match claim.Kind with
        | OfNature -> Claim.word verdict
        | OfCode -> Claim.checkWord verdict

    let private badge (word: string) verdict = $"<span class=\"verdict {colour verdict}\">{word}</span>"

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
            $"<tr><td>{encode e.Where}</td><td>{encode e.Measured}</td><td>{encode (Claim.findingWord e.Finding)}</td></tr>"

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

    // Theorems are apart: measurements cannot find them false, only their code wrong.
    let private parts = [ "Findings", OfNature; "Checks of the code", OfCode ]

    let private howJudged =
        "Verdicts follow from the measurements by the rule given with each claim. Numbers stand with their 95 % confidence intervals over n pairs of models (of a few models, pairs share them); where an interval lies across a rule's threshold, or a premise fails, nothing is decided, and what deciding takes is said."

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

        let count verdict =
            judged |> List.filter (fun (claim, _, own) -> claim.Kind = OfNature && own = verdict) |> List.length

        let counts =
            [ Holds; HoldsWhereDecided; HoldsInPart; DoesNotHold; CannotBeDecided; NotMeasured ]
            |> List.filter (fun verdict -> count verdict > 0)
            |> List.map (fun verdict -> $"{count verdict} {badge (Claim.word verdict) verdict}")
            |> String.concat " · "

        let sections =
            [
                for heading, kind in parts do
                    match judged |> List.indexed |> List.filter (fun (_, (claim, _, _)) -> claim.Kind = kind) with
                    | [] -> ()
                    | own -> heading, own
            ]

        let body =
            [
                $"<p>Scale: <b>{encode scale}</b>; {encode (origin text.Provenance)}.</p>"
                $"<p>{encode howJudged} {counts}</p>"
                for heading, own in sections do
                    $"<h2>{heading}</h2>"
                    "<ol class=\"summary\">"

                    for k, (claim, _, verdict) in own do
                        $"<li value=\"{k + 1}\">{encode claim.Sentence} {badge (word claim verdict) verdict}</li>"

                    "</ol>"
                for _, own in sections do
                    for k, (claim, evidence, verdict) in own do
                        "<section>"
                        $"<h2>{k + 1}. {encode claim.Sentence} {badge (word claim verdict) verdict}</h2>"
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
            $"# {TableText.markdownText text.Title}\n\nScale: {scale}; {TableText.markdownText (origin text.Provenance)}. Made by `{text.Command}`. {howJudged}\n"
            for note in Notes.ofProvenance text.Provenance do
                TableText.markdownText note + "\n"
            for heading, kind in parts do
                let own = judged |> List.indexed |> List.filter (fun (_, (claim, _, _)) -> claim.Kind = kind)

                if not own.IsEmpty then
                    $"## {heading}\n"

                for k, (claim, evidence, verdict) in own do
                    $"### {k + 1}. {claim.Sentence}\n\n**{word claim verdict}**. Rule: {claim.Rule} (`{claim.Experiment}`)\n"

                    if not evidence.IsEmpty then
                        TableText.body
                            {
                                Title = ""
                                Columns = [ "where"; "measured"; "as claimed" ]
                                Rows = [ for e in evidence -> [ e.Where; e.Measured; Claim.findingWord e.Finding ] ]
                            }
                        + "\n"
        ]
        |> String.concat "\n"
