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
            Figures =
                (ops
                 |> List.distinctBy (fun op -> op, op.Draws.GetType())
                 |> List.collect (fun op -> op.Draws(Report.sound report)))
                @ HeatMap.ofSweep (Table.shown ops report) report
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

    /// The curves of the trainings behind plans that a store has, each with the training's step; of models of earlier versions it has none.
    let curves (store: Store) (plans: Plan<Report> list) : (Node * TrainingCurveValue.Curve) list =
        [
            for node in plans |> List.map Plan.node |> Plan.steps do
                if isTraining node then
                    match store.Read (curveOf node).Key with
                    | Intact(path, content) ->
                        match Value.decode path content with
                        | Document json -> node, curveOfJson json
                        | Parameters model -> model.Dispose()
                    | Absent
                    | Damaged _ -> ()
        ]

    let private modelName (node: Node) = if node.Title.StartsWith "train " then node.Title.Substring 6 else node.Title

    // Epochs of trainings, for other programs.
    let private curvesTable (curves: (Node * TrainingCurveValue.Curve) list) : Table =
        {
            Title = "Training"
            Columns = [ "model"; "epoch"; "training loss (nats)"; "training accuracy (%)"; "learning rate" ]
            Rows =
                [
                    for node, curve in curves do
                        for epoch, e in List.indexed curve.Epochs do
                            [
                                modelName node
                                string (epoch + 1)
                                Number.shortest e.Loss
                                Number.shortest (100.0 * e.Accuracy)
                                Number.shortest e.LearningRate
                            ]
                ]
        }

    let private curveFigures (curves: (Node * TrainingCurveValue.Curve) list) : Figure list =
        let row (node: Node) : Row =
            {
                Measure = curveOp.Name
                Models = [ modelName node ]
                Aligned = false
                Labels = []
                Value = Json.Null
            }

        figuresOf [ for node, curve in curves -> row node, curve ]

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

    // Of several of one name all but the first with a number behind it: each has a file of its own.
    let private numbered (nameOf: 'a -> string) (named: string -> 'a -> 'a) (items: 'a list) : 'a list =
        let seen = Collections.Generic.Dictionary<string, int>()

        [
            for item in items do
                let name = Draw.slug (nameOf item)
                let count = 1 + (seen.TryGetValue name |> snd)
                seen[name] <- count
                if count = 1 then item else named $"{nameOf item} {count}" item
        ]

    // The tables that an earlier run wrote into its folder, by its report.
    let private filesOf (report: string) : string list =
        try
            match Json.parse(File.ReadAllText report).TryItem "files" with
            | Some names ->
                names.Items
                |> List.map _.String
                |> List.filter (fun name -> name.EndsWith ".csv" && Path.GetFileName name = name)
            | None -> []
        with
        | :? IOException
        | :? UnauthorizedAccessException
        | :? LmcException -> []

    /// Writes everything of a report into a folder, and gives the tables and a line to tell, where there is one. Each file is there
    /// whole or not at all.
    let write
        (folder: string)
        (images: bool)
        (name: string)
        (title: string)
        (provenance: Json)
        (quantities: Quantity list)
        (curves: (Node * TrainingCurveValue.Curve) list)
        (exhibits: Exhibits)
        (report: Report)
        =
        let isThere (figure: Figure) = exhibits.Figures |> List.exists (fun other -> other.Id = figure.Id)

        let figures =
            exhibits.Figures @ (curveFigures curves |> List.filter (isThere >> not)) |> numbered _.Id Draw.named

        let tables =
            Table.filled (exhibits.Tables @ [ Table.failures report ])
            |> numbered _.Title (fun title table -> { table with Title = title })

        let command = provenance["command"].String
        let target (file: string) = Path.Combine(folder, file)

        let files =
            [
                for table in tables do
                    $"{Draw.slug table.Title}.csv"

                if not curves.IsEmpty then
                    "training.csv"
            ]

        let text = { Title = title; Command = command; Provenance = provenance }

        let data =
            Json.Object [
                "experiment", Json.Text name
                "files", Json.texts files
                "provenance", provenance
                "report", Report.toJson report
                // The same numbers by the names and units of the tables.
                "measured",
                Json.Array [
                    for subject in Subject.ofReport report ->
                        Json.Object [
                            "models", Json.texts subject.Models
                            "aligned", Json.Bool subject.Aligned
                            "labels", Report.labelsToJson subject.Labels
                            yield! Quantity.ofSubject quantities subject
                        ]
                ]
                "trainings",
                Json.Array [
                    for node, curve in curves ->
                        Json.Object [
                            "model", Json.Text(modelName node)
                            "key", Json.Text node.Key
                            "epochs", (Json.ofValue curve)["epochs"]
                        ]
                ]
            ]

        // In code nothing is escaped: what would end it is left out.
        let code = VisibleText.Of(command.ReplaceLineEndings " ").Replace("`", "'")
        let madeBy = $"Made by `{code}`"
        let markdown = tables |> List.map TableText.markdown |> String.concat "\n\n"

        let latex =
            tables
            |> List.map (fun table -> TableText.latex $"{name}-{Draw.slug table.Title}" table)
            |> String.concat "\n\n"

        AtomicFile.sweep folder "" |> ignore
        // What an earlier run measured and this one did not would stand beside numbers of another run.
        for file in List.except files (filesOf (target "report.json")) do
            File.Delete(target file)

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

        if not curves.IsEmpty then
            AtomicFile.writeText (target "training.csv") (TableText.csv (curvesTable curves))

        AtomicFile.writeText (target "index.html") (Page.html text tables figures)
        tables, (if images then FigureFiles.write folder command figures else None)
