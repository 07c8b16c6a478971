namespace LmcDsl

open System
open System.IO
open System.Threading
open LmcDsl.Core.Runtime

/// Running experiments one after another, with the words of one command line.
[<RequireQualifiedAccess>]
module internal RunTogether =

    // The scale that a command line asks of an experiment.
    let private scaleFor (experiment: Experiment) (arguments: Arguments) : Scale =
        let wrong argument why = raise (Usage($"--{argument}: {experiment.Name} {why}", 2))

        match experiment.Setup, experiment.Fallback with
        | None, _ when arguments.NamesData -> wrong "dataset" "has data sets of its own"
        | Some _, _ when arguments.Size.IsSome -> wrong "scale" "has one scale"
        | Some setup, Some fallback when not arguments.NamesData && not arguments.ShowPlan ->
            match setup.Data.Locate() with
            | Ok _ -> { Size = Laptop; Adapt = arguments.Change }
            | Error reason ->
                Console.WriteLine $"Using the built-in data set {fallback.Name}, since {reason}"

                {
                    Size = Laptop
                    Adapt = fun setup -> arguments.Change { setup with Data = fallback }
                }
        | _ -> { Size = defaultArg arguments.Size Laptop; Adapt = arguments.Change }

    // The data set that was taken where another could not be had: other processes, of this machine or another, must take the same.
    let private chosenData (experiments: Experiment list) (scales: Scale list) (arguments: Arguments) : string list =
        match experiments, scales with
        | [ { Setup = Some setup; Fallback = Some _ } ], [ scale ] when not arguments.NamesData ->
            let chosen = (scale.Adapt setup).Data
            let isNamed = Library.dataSets |> List.exists (fun data -> data.Name = chosen.Name)
            if isNamed then [ "--dataset"; chosen.Name ] else [] // a script's own is there wherever the script is
        | _ -> []

    // Small and full trials do not overwrite the results.
    let folderOf (arguments: Arguments) =
        match arguments.Size with
        | None
        | Some Laptop -> "results"
        | Some Smoke -> Path.Combine("results", "smoke")
        | Some Size.Paper -> Path.Combine("results", "paper")

    /// Raises `LmcException` where two numbers have one heading: tables, figures and files know numbers by it.
    let requireHeadings (plans: Plan<Report> list) =
        let ops = ReportStep.measures plans |> List.distinctBy _.Name

        let headings =
            [
                for op in ops ->
                    [ for quantity in op.Shows { Rows = [] } -> quantity.Heading, op.Name ] |> List.distinct
            ]

        for heading, ofHeading in headings |> List.concat |> List.groupBy fst do
            match List.map snd ofHeading with
            | one :: other :: _ ->
                raise (LmcException $"expected one number called '{heading}', found one of {one} and one of {other}")
            | [ one ] when List.contains heading [ "models"; "aligned"; "labels" ] ->
                raise (
                    LmcException
                        $"{one}: expected a heading that results do not use for something else, found '{heading}'"
                )
            | _ -> ()

    /// An experiment's plans at a scale. Raises `LmcException` where they cannot be told of in one report.
    let plansOf experiment scale =
        let plans = experiment.Plans scale

        if plans |> List.forall (ReportStep.rows >> List.isEmpty) then
            raise (
                LmcException
                    $"{experiment.Name}: expected something to measure, found none: no metric, no pair, no value of a sweep, or a single model for a metric of pairs"
            )

        requireHeadings plans

        match conflicts plans with
        | [] -> Cells.named plans
        | rows ->
            let shown = String.Join("; ", rows)

            raise (
                LmcException
                    $"expected reports that agree, found two ways to '{shown}': give one of them a name of its own, by alignAs \"name\" for a search, mergeAs \"name\" for a merge, labelled \"what\" \"name\" for anything else"
            )

    let exhibitsOf experiment plans report =
        match experiment.Show with
        | Some show -> show report
        | None -> Results.ofOps (ReportStep.measures plans) report

    let usualScript name = Path.Combine("experiments", $"{name}.fsx")

    let commandOf (script: string) (arguments: Arguments) =
        String.Join(" ", $"dotnet fsi {ShellWord.typed script}" :: List.map ShellWord.typed arguments.Essential)

    // An assignment that no step follows: an experiment that sets the field itself, or a sweep over it.
    let private tellUnused (experiments: Experiment list) (arguments: Arguments) (groups: Plan<Report> list list) =
        if not arguments.IsWorker && arguments.Nodes.IsEmpty then
            let keys groups = groups |> List.concat |> List.map (Plan.node >> _.Key)

            for assignment, others in arguments.Assignments do
                // Without a word on data sets.
                let without = { arguments with Change = others; ShowPlan = true }

                // Without it the data may not be to be had: then it does change something.
                let keysWithout =
                    try
                        Some(experiments |> List.map (fun e -> e.Plans(scaleFor e without)) |> keys)
                    with :? LmcException ->
                        None

                if keysWithout = Some(keys groups) then
                    Console.WriteLine
                        $"! {assignment} changes nothing: it is so without it, or the experiment sets it itself"

    // Runs experiments one after another on one store, which they share; `write` saves the results of each, below the folder `target`.
    let run
        (script: string)
        name
        (experiments: Experiment list)
        (words: string list)
        (cancel: CancellationToken)
        (target: Arguments -> string)
        write
        =
        let notice = TorchRuntime.Load()
        let arguments = Arguments.parse script words
        let scales = experiments |> List.map (fun experiment -> scaleFor experiment arguments)
        // A cheap look at a set-up, to use its threads where no training does.
        let threads = (scales.Head.Adapt Setup.standard).Threads
        TorchRuntime.UseThreads threads
        let all = List.map2 plansOf experiments scales
        tellUnused experiments arguments all

        let experiments, scales, groups =
            List.zip3 experiments scales (Only.rows arguments.Only all)
            |> List.filter (fun (_, _, plans) -> not plans.IsEmpty)
            |> List.unzip3

        let beginsStore = not (Directory.Exists arguments.Store)
        let store = Store.Open arguments.Store

        // Results of another working folder are not found from here.
        if beginsStore && not arguments.IsWorker && arguments.Nodes.IsEmpty then
            Console.WriteLine
                $"A new store of results: {VisibleText.Of(Path.GetFullPath arguments.Store)} (--store names another)"

        if arguments.ShowPlan then
            groups |> List.concat |> List.map Plan.node |> Terminal.plan store
            false
        elif arguments.IsWorker then
            Engines.serve store cancel (List.concat groups)
            false
        else
            if notice <> "" then
                Console.WriteLine notice

            // What results cannot be written without is told before the work.
            if arguments.Nodes.IsEmpty then
                AtomicFile.ready (Path.Combine(target arguments, "report.json"))

                if arguments.Images then
                    Browser.tryFind () |> ignore

            let mutable failed = false
            let waiting = Collections.Generic.Queue(List.zip3 experiments scales groups)

            let watching =
                if arguments.Watch && arguments.Nodes.IsEmpty then
                    let clock = Diagnostics.Stopwatch.StartNew()
                    let path = Path.Combine(target arguments, "watch.html")
                    Console.WriteLine $"How it goes: {VisibleText.Of(Path.GetFullPath path)}"
                    Some(WatchPage(path, experiments.Head.Title, (fun () -> clock.Elapsed.TotalSeconds)))
                else
                    None

            let ended (ending: string) = watching |> Option.iter _.End(ending)

            let working work =
                try
                    Terminal.during work
                with
                | :? OperationCanceledException ->
                    ended "Interrupted"
                    reraise ()
                | :? LmcException ->
                    ended "Ended by a mistake"
                    reraise ()

            working (fun show ->
                let tell event =
                    show event
                    watching |> Option.iter _.Note(event)

                use runner = new Runner({ Store = store; Tell = tell; Cancel = cancel })

                Engines.asked name arguments store threads words (chosenData experiments scales arguments)
                |> Option.iter (fun engine ->
                    engine.Make(List.concat groups, tell, cancel) |> List.iter runner.NoteFailure)

                if arguments.Nodes.IsEmpty then
                    runner.RunGroups(
                        groups,
                        fun reports ->
                            let experiment, scale, plans = waiting.Dequeue()
                            let report = Report.concat reports
                            failed <- failed || report.Rows |> List.exists _.Failure.IsSome
                            write arguments experiment scale plans report store
                    )
                else
                    Engines.makeOnly runner arguments.Nodes (List.concat groups))

            ended "Done"
            failed
