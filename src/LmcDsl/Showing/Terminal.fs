namespace LmcDsl

open System
open System.Collections.Generic
open System.Diagnostics
open Spectre.Console
open LmcDsl.Core.Runtime

/// Shows a run in the terminal: one live line where there is a terminal, plain lines where output goes to a file.
[<RequireQualifiedAccess>]
module Terminal =

    // Titles and messages may hold what a file says: a terminal must not obey it.
    let private visible (text: string) = VisibleText.Of text

    let private escaped (text: string) = Markup.Escape(visible text)

    let private clock (time: TimeSpan) =
        if time.TotalHours >= 1.0 then
            $"{int time.TotalHours}:{time.Minutes:D2}:{time.Seconds:D2}"
        else
            time.ToString @"m\:ss"

    let private doneLine (node: Node) (seconds: float) = $"{node.Title} ({seconds:F1} s)"

    let private common (write: string -> unit) (event: RunEvent) =
        match event with
        | Planned(toDo, _) when not toDo.IsEmpty && toDo |> List.forall ReportStep.is -> ()
        | Planned(toDo, alreadyDone) when toDo.IsEmpty -> write $"{alreadyDone} steps, all done before"
        | Planned(toDo, alreadyDone) -> write $"{toDo.Length} steps to do, {alreadyDone} done before"
        | Finished(node, seconds) when seconds >= 0.05 -> write $"✓ {doneLine node seconds}"
        | Waiting node -> write $"… {node.Title}: another process is at it; waiting"
        | Warned line -> write $"! {line}"
        | _ -> ()

    // Nothing before it is known.
    let private leftOf (estimate: Estimate) =
        match estimate.Told with
        | Some time -> $", {clock time} left"
        | None -> ""

    /// Plain lines: what was done, and once a minute what is under way; `now` gives seconds on a clock.
    let internal plainLines (now: unit -> float) (write: string -> unit) : (RunEvent -> unit) =
        let estimate = Estimate now
        let mutable last = now ()

        fun event ->
            estimate.Note event
            common (visible >> write) event

            match event with
            | Advanced(node, progress) when now () - last >= 60.0 ->
                last <- now ()
                write (visible $"  {node.Title}: {progress.Text}{leftOf estimate}")
            | _ -> ()

    let private plain () : (RunEvent -> unit) =
        let clock = Stopwatch.StartNew()
        plainLines (fun () -> clock.Elapsed.TotalSeconds) Console.WriteLine

    // One line for the run, which names the step where one is under way; where several are, a line for each below it.
    let private live (context: ProgressContext) : (RunEvent -> unit) =
        let estimate = Estimate()
        let bar = context.AddTask("planning", maxValue = 1.0)
        let steps = Dictionary<string, ProgressTask>()
        let texts = Dictionary<string, string>()
        let sinceLast = Stopwatch.StartNew()

        let about (node: Node) =
            match texts.TryGetValue node.Key with
            | true, text -> escaped $"{node.Title}: {text}"
            | _ -> escaped node.Title

        let drop (key: string) =
            match steps.TryGetValue key with
            | true, line ->
                steps.Remove key |> ignore
                line.Value <- line.MaxValue
                line.StopTask()
            | _ -> ()

        let show () =
            bar.Value <- estimate.Share
            let left = leftOf estimate

            match estimate.Running with
            | [ (node, _) ] ->
                bar.Description <- $"{about node}{left}"
                Seq.toList steps.Keys |> List.iter drop
            | several ->
                bar.Description <- $"{several.Length} steps at once{left}"

                for node, share in several do
                    if not (steps.ContainsKey node.Key) then
                        steps[node.Key] <- context.AddTask(about node, maxValue = 1.0)

                    steps[node.Key].Description <- about node
                    steps[node.Key].Value <- share

        fun event ->
            estimate.Note event
            common (escaped >> AnsiConsole.MarkupLine) event

            match event with
            | Advanced(node, progress) ->
                texts[node.Key] <- progress.Text

                if sinceLast.Elapsed.TotalSeconds >= 0.1 then
                    sinceLast.Restart()
                    show ()
            | Started _ -> show ()
            | Finished(node, _) ->
                drop node.Key
                texts.Remove node.Key |> ignore
                show ()
            | _ -> ()

    /// Does `work` with somewhere to send its events.
    let during (work: (RunEvent -> unit) -> 'a) : 'a =
        if Console.IsOutputRedirected || not AnsiConsole.Profile.Capabilities.Interactive then
            work (plain ())
        else
            let columns: ProgressColumn[] =
                [|
                    SpinnerColumn()
                    ProgressBarColumn(Width = 20)
                    PercentageColumn()
                    TaskDescriptionColumn(Alignment = Justify.Left)
                |]

            AnsiConsole
                .Progress()
                .AutoClear(true)
                .HideCompleted(true)
                .Columns(columns)
                .Start(fun context -> work (live context))

    /// Prints a table.
    let table (table: LmcDsl.Table) : unit =
        // Where output goes to a file no width is known, and none should cut the cells.
        if Console.IsOutputRedirected then
            AnsiConsole.Profile.Width <- 160

        let view = Spectre.Console.Table(Border = TableBorder.Simple, Title = TableTitle(escaped table.Title))

        for k, heading in List.indexed table.Columns do
            let alignment = if Table.isNumeric table k then Justify.Right else Justify.Left
            let padding = Padding(0, 0, 1, 0)
            view.AddColumn(TableColumn(escaped heading, Alignment = alignment, Padding = padding)) |> ignore

        for row in table.Rows do
            view.AddRow(row |> List.map escaped |> List.toArray) |> ignore

        AnsiConsole.Write view

    /// A plan's steps as lines, each with what there is of it in a store: how long it took, that it is to do, or that nothing to do needs it;
    /// and a line on how much is to do.
    let internal planLines (store: Store) (roots: Node list) : string list =
        let toDo = Steps.missing store roots
        let needed = toDo |> List.map _.Key |> System.Collections.Generic.HashSet

        let note (node: Node) =
            match store.Record node.Key with
            | Some record ->
                match record.TryItem "seconds" with
                | Some(Json.Number _ as seconds) -> $"✓ {seconds.Float, 6:F1} s"
                | _ -> "✓          "
            | None when needed.Contains node.Key -> "· to do   "
            | None -> "  not needed"

        let steps = Plan.steps roots
        let estimate = Estimate()
        estimate.Note(Planned(toDo, steps.Length - toDo.Length))

        Plan.lines note roots @ [ $"{steps.Length} steps: {toDo.Length} to do, about {clock estimate.Left}" ]

    /// Prints plans: each step, whether it is done and how long that took, what it takes values from, and how long
    /// the rest will take, roughly.
    let plan (store: Store) (roots: Node list) : unit =
        for line in planLines store roots do
            Console.WriteLine(visible line)
