namespace LmcDsl

open System
open System.IO
open LmcDsl.Core.Architectures
open LmcDsl.Core.Runtime

/// What a report is shown as.
type Exhibits =
    {
        /// Tables, in order.
        Tables: Table list
        /// Figures, in order.
        Figures: Figure list
    }

/// Writing the results of an experiment: a page, tables as Markdown, LaTeX and CSV, figures as files, and the numbers.
[<RequireQualifiedAccess>]
module Results =

    /// What operations show of a report: its tables, and figures of its rows that did not fail.
    let ofOps (ops: Op list) (report: Report) : Exhibits =
        {
            Tables = Table.ofReport ops report
            Figures = ops |> List.distinct |> List.collect (fun op -> op.Draws(Report.sound report))
        }

    /// What metrics show of a report.
    let standard (metrics: Metric list) : Report -> Exhibits = ofOps (metrics |> List.map _.Op)

    // How the models were trained: each recipe once, with its seeds.
    let private trainings (plans: Plan<Report> list) =
        let steps = plans |> List.map Plan.node |> Plan.steps |> List.filter isTraining

        let recipe (node: Node) =
            match node.Args with
            | Json.Object fields ->
                Json.Object [
                    for name, value in fields do
                        if name = "architecture" then
                            name, value["name"]
                        elif name <> "seed" then
                            name, value
                ]
            | other -> other

        Json.Array [
            for recipe, nodes in steps |> List.groupBy recipe ->
                match recipe with
                | Json.Object fields ->
                    let seeds = nodes |> List.map (fun node -> node.Args["seed"])
                    Json.Object(fields @ [ "seeds", Json.Array(List.distinct seeds) ])
                | other -> other
        ]

    /// Where results come from: the command, the recipes of the models, code, packages and machine.
    let provenance (command: string) (plans: Plan<Report> list) : Json =
        Json.Object [
            "command", Json.Text command
            "models", trainings plans
            match Notes.ofPlans plans with
            | [] -> ()
            | notes -> "notes", Json.texts notes
            "made by", Provenance.current.Value
        ]

    /// Writes everything of a report into a folder, and gives the tables and a line to tell, where there is one. Each file is there
    /// whole or not at all.
    let write
        (folder: string)
        (images: bool)
        (name: string)
        (title: string)
        (provenance: Json)
        exhibits
        (report: Report)
        =
        let tables = Table.filled (exhibits.Tables @ [ Table.failures report ])
        let command = provenance["command"].String
        let target (file: string) = Path.Combine(folder, file)
        let text = { Title = title; Command = command; Provenance = provenance }

        let data =
            Json.Object [ "experiment", Json.Text name; "provenance", provenance; "report", Report.toJson report ]

        // In code nothing is escaped: what would end it is left out.
        let code = VisibleText.Of(command.ReplaceLineEndings " ").Replace("`", "'")
        let madeBy = $"Made by `{code}`"
        let markdown = tables |> List.map TableText.markdown |> String.concat "\n\n"

        let latex =
            tables
            |> List.map (fun table -> TableText.latex $"{name}-{Draw.slug table.Title}" table)
            |> String.concat "\n\n"

        AtomicFile.sweep folder "" |> ignore
        AtomicFile.writeText (target "report.json") (Json.indented data)
        let notes = Notes.ofProvenance provenance
        let noted = notes |> List.map (fun note -> TableText.markdownText note + "\n\n") |> String.concat ""

        AtomicFile.writeText (target "table.md") $"## {TableText.markdownText title}\n\n{noted}{markdown}\n\n{madeBy}\n"

        let commented =
            notes
            |> List.map (fun note -> $"%% {VisibleText.Of(note.ReplaceLineEndings(string ' '))}\n")
            |> String.concat ""

        AtomicFile.writeText
            (target "table.tex")
            $"%% {VisibleText.Of(title.ReplaceLineEndings(string ' '))}. {madeBy}\n{commented}{latex}\n"

        for table in tables do
            AtomicFile.writeText (target $"{Draw.slug table.Title}.csv") (TableText.csv table)

        AtomicFile.writeText (target "index.html") (Page.html text tables exhibits.Figures)
        tables, (if images then FigureFiles.write folder command exhibits.Figures else None)
