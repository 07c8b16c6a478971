namespace LmcDsl

open System
open System.IO
open System.Runtime.CompilerServices
open System.Runtime.InteropServices
open System.Threading
open LmcDsl.Core.Runtime

/// An experiment: what is to be measured, and how it is shown.
type Experiment =
    {
        /// Its name, and that of its folder under `results`.
        Name: string
        /// Heading of its page.
        Title: string
        /// The plans, for a scale. Steps that they share are done once.
        Plans: Scale -> Plan<Report> list
        /// The one set-up that all its models have, whose data set the command line may change.
        Setup: Setup option
        /// The data set to take where the set-up's cannot be had and the command line names none.
        Fallback: DataSet option
        /// What the reports are shown as; by default what each metric shows of itself.
        Show: (Report -> Exhibits) option
    }

/// Running experiments from scripts.
[<RequireQualifiedAccess>]
module Experiment =

    /// An experiment on one set-up, shown by the tables and figures that any report has.
    let create name title (setup: Setup) (reports: (Setup -> Plan<Report>) list) =
        {
            Name = name
            Title = title
            Plans = fun scale -> reports |> List.map (fun report -> report (scale.Adapt setup))
            Setup = Some setup
            Fallback = None
            Show = None
        }

    /// An experiment at several scales, on recipes of its own (see `Recipe`), with tables and figures of its own.
    let ofScale name title (plans: Scale -> Plan<Report> list) (show: Report -> Exhibits) =
        {
            Name = name
            Title = title
            Plans = plans
            Setup = None
            Fallback = None
            Show = Some show
        }

    /// The same experiment, on another data set where its own cannot be had and the command line names none.
    let withFallback (dataset: DataSet) (experiment: Experiment) = { experiment with Fallback = Some dataset }

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
    let private folderOf (arguments: Arguments) =
        match arguments.Size with
        | None
        | Some Laptop -> "results"
        | Some Smoke -> Path.Combine("results", "smoke")
        | Some Size.Paper -> Path.Combine("results", "paper")

    let private plansOf experiment scale =
        let plans = experiment.Plans scale

        match conflicts plans with
        | [] -> Cells.named plans
        | rows ->
            let shown = String.Join("; ", rows)

            raise (
                LmcException
                    $"expected reports that agree, found two ways to '{shown}': give one of them a name of its own, by alignAs \"name\" for a search, mergeAs \"name\" for a merge, labelled \"what\" \"name\" for anything else"
            )

    let private exhibitsOf experiment plans report =
        match experiment.Show with
        | Some show -> show report
        | None -> Results.ofOps (ReportStep.measures plans) report

    let private usualScript name = Path.Combine("experiments", $"{name}.fsx")

    let private commandOf (script: string) (arguments: Arguments) =
        String.Join(" ", $"dotnet fsi {ShellWord.typed script}" :: List.map ShellWord.typed arguments.Essential)

    // An assignment that no step follows: an experiment that sets the field itself, or a sweep over it.
    let private tellUnused (experiments: Experiment list) (arguments: Arguments) (groups: Plan<Report> list list) =
        if not arguments.IsWorker && arguments.Nodes.IsEmpty then
            let keys groups = groups |> List.concat |> List.map (Plan.node >> _.Key)

            for assignment, others in arguments.Assignments do
                // Without a word on data sets.
                let without = { arguments with Change = others; ShowPlan = true }
                let plansWithout = experiments |> List.map (fun e -> e.Plans(scaleFor e without))

                if keys plansWithout = keys groups then
                    Console.WriteLine
                        $"! --set {assignment} changes nothing: it is so without it, or the experiment sets it itself"

    // Runs experiments one after another on one store, which they share; `write` saves the results of each, below the folder `target`.
    let private runTogether
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

    let private guarded name = CommandLine.guarded name "; run it again to go on from the last finished epoch"

    let private failures = "some measurements failed; the table of failed measurements says why"

    // Writes an experiment's results into its folder; gives its tables, and a line on pictures where there is one.
    let private save folder (arguments: Arguments) (experiment: Experiment) provenance plans report store exhibits =
        Results.write
            folder
            arguments.Images
            experiment.Name
            experiment.Title
            provenance
            (Table.shown (ReportStep.measures plans) report)
            (Results.curves store plans)
            exhibits
            report

    let private runOne script (experiment: Experiment) words cancel =
        let mutable after: unit -> unit = ignore

        let target (arguments: Arguments) =
            defaultArg arguments.Results (Path.Combine(folderOf arguments, experiment.Name))

        let write (arguments: Arguments) _ _ plans report store =
            let folder = target arguments
            let provenance = Results.provenance (commandOf script arguments) plans

            let tables, notice =
                save folder arguments experiment provenance plans report store (exhibitsOf experiment plans report)

            after <-
                fun () ->
                    List.iter Terminal.table tables
                    Notes.ofProvenance provenance |> List.iter Console.WriteLine
                    notice |> Option.iter Console.WriteLine
                    Console.WriteLine $"Written: {Path.GetFullPath folder}/index.html, table.md, table.tex, report.json"

        let failed = runTogether script experiment.Name [ experiment ] words cancel target write
        after ()

        if failed then
            raise (LmcException failures)

    /// Runs an experiment with the words of a command line. Returns the exit code: 0 done, 1 a mistake in what was given or a
    /// measurement that failed, 2 a wrong argument, 130 interrupted. A mistake is told in one line.
    let runWithArguments (words: string list) (experiment: Experiment) : int =
        guarded experiment.Name (runOne (usualScript experiment.Name) experiment words)

    /// The script that a command line runs, as seen from the working folder, and the words after it, where it is the script that asks
    /// (`caller`, its path), whatever its name. A script that another one loads does not run.
    let internal ownScript (caller: string) (commandLine: string[]) : (string * string list) option =
        let same (one: string) (other: string) =
            let ignoreCase = OperatingSystem.IsWindows() || OperatingSystem.IsMacOS()

            String.Equals(
                Path.GetFullPath one,
                Path.GetFullPath other,
                (if ignoreCase then
                     StringComparison.OrdinalIgnoreCase
                 else
                     StringComparison.Ordinal)
            )

        match List.ofArray commandLine with
        | path :: words when same path caller ->
            Some(Path.GetRelativePath(Directory.GetCurrentDirectory(), path), words)
        | _ -> None

    let internal runScript caller (commandLine: string[]) (experiment: Experiment) : unit =
        ownScript caller commandLine
        |> Option.iter (fun (script, words) -> exit (guarded experiment.Name (runOne script experiment words)))

    // The page of claims and its text, beside the experiments' folders.
    let private writeClaims
        root
        title
        claims
        (scale: Scale)
        (provenance: Json)
        (finished: (string * Report * Exhibits) list)
        =
        let judged = ClaimsPage.judge (claims scale.Size) [ for name, report, _ in finished -> name, report ]
        let figures = [ for name, _, exhibits in finished -> name, exhibits.Figures ]
        let command = provenance["command"].String
        let size = (string scale.Size).ToLowerInvariant()
        let text = { Title = title; Command = command; Provenance = provenance }
        AtomicFile.writeText (Path.Combine(root, "report.html")) (ClaimsPage.html text size judged figures)
        AtomicFile.writeText (Path.Combine(root, "report.md")) (ClaimsPage.markdown text size judged)

        for claim, _, verdict in judged do
            Console.WriteLine $"{ClaimsPage.word claim verdict, -32}{claim.Sentence}"

        Console.WriteLine $"Written: {Path.GetFullPath root}/report.html, report.md, and a folder for each experiment"

    let private runEach
        (script: string)
        name
        (below: string)
        title
        (claims: Size -> Claim list)
        (words: string list)
        (experiments: Experiment list)
        : int =
        guarded name (fun cancel ->
            let finished = Collections.Generic.List<string * Report * Exhibits>()
            let allPlans = Collections.Generic.List<Plan<Report>>()
            let mutable asked: (Arguments * Scale) option = None
            let mutable root = ""
            let mutable images = None
            let target (arguments: Arguments) = defaultArg arguments.Results (Path.Combine(folderOf arguments, below))

            let write (arguments: Arguments) (experiment: Experiment) scale plans report store =
                asked <- Some(arguments, scale)
                root <- target arguments
                // Each by its own script, beside the one that runs them all.
                let own = Path.Combine(string (Path.GetDirectoryName script), $"{experiment.Name}.fsx")
                let provenance = Results.provenance (commandOf own arguments) plans
                let folder = Path.Combine(root, experiment.Name)
                let exhibits = exhibitsOf experiment plans report

                let _, notice = save folder arguments experiment provenance plans report store exhibits
                images <- Option.orElse images notice
                finished.Add(experiment.Name, report, exhibits)
                allPlans.AddRange plans

            let failed = runTogether script name experiments words cancel target write

            match asked with
            | Some(arguments, scale) ->
                let provenance = Results.provenance (commandOf script arguments) (List.ofSeq allPlans)
                writeClaims root title claims scale provenance (List.ofSeq finished)
                images |> Option.iter Console.WriteLine
            | None -> ()

            if failed then
                raise (LmcException failures))

    let internal runAllOfScript caller (commandLine: string[]) name below title claims experiments : unit =
        ownScript caller commandLine
        |> Option.iter (fun (script, words) -> exit (runEach script name below title claims words experiments))

type Experiment with

    /// Runs an experiment with the script's command line, and ends the process with its exit code: `Experiment.run fsi.CommandLineArgs`. The
    /// script may have any name. Does nothing where the script is loaded by another one.
    static member run
        (commandLine: string[], [<CallerFilePath; Optional; DefaultParameterValue("")>] caller: string)
        : Experiment -> unit =
        Experiment.runScript caller commandLine

    /// Runs several experiments in one process with the script's command line, each into a folder of its own under `--results` (unless that
    /// is said, the usual results and in them the folder `below`), judges the claims of the scale by their reports, and ends the process:
    /// name, below, title, claims, experiments. Does nothing where the script is loaded by another one.
    static member runAll
        (commandLine: string[], [<CallerFilePath; Optional; DefaultParameterValue("")>] caller: string)
        : string -> string -> string -> (Size -> Claim list) -> Experiment list -> unit =
        Experiment.runAllOfScript caller commandLine
