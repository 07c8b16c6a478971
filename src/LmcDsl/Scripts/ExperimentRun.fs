namespace LmcDsl

open System
open System.IO
open System.Runtime.CompilerServices
open System.Runtime.InteropServices
open System.Threading
open LmcDsl.Core.Runtime

/// Running experiments from scripts.
[<AutoOpen>]
module ExperimentRun =

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
            defaultArg arguments.Results (Path.Combine(RunTogether.folderOf arguments, experiment.Name))

        let write (arguments: Arguments) _ _ plans report store =
            let folder = target arguments
            let provenance = Results.provenance (RunTogether.commandOf script arguments) plans

            let tables, notice =
                save
                    folder
                    arguments
                    experiment
                    provenance
                    plans
                    report
                    store
                    (RunTogether.exhibitsOf experiment plans report)

            after <-
                fun () ->
                    List.iter Terminal.table tables
                    Notes.ofProvenance provenance |> List.iter Console.WriteLine
                    notice |> Option.iter Console.WriteLine
                    Console.WriteLine $"Written: {Path.GetFullPath folder}/index.html, table.md, table.tex, report.json"

        let failed = RunTogether.run script experiment.Name [ experiment ] words cancel target write
        after ()

        if failed then
            raise (LmcException failures)

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

    let private runScript caller (commandLine: string[]) (experiment: Experiment) : unit =
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

            let target (arguments: Arguments) =
                defaultArg arguments.Results (Path.Combine(RunTogether.folderOf arguments, below))

            let write (arguments: Arguments) (experiment: Experiment) scale plans report store =
                asked <- Some(arguments, scale)
                root <- target arguments
                // Each by its own script, beside the one that runs them all.
                let own = Path.Combine(string (Path.GetDirectoryName script), $"{experiment.Name}.fsx")
                let provenance = Results.provenance (RunTogether.commandOf own arguments) plans
                let folder = Path.Combine(root, experiment.Name)
                let exhibits = RunTogether.exhibitsOf experiment plans report

                let _, notice = save folder arguments experiment provenance plans report store exhibits
                images <- Option.orElse images notice
                finished.Add(experiment.Name, report, exhibits)
                allPlans.AddRange plans

            let failed = RunTogether.run script name experiments words cancel target write

            match asked with
            | Some(arguments, scale) ->
                let provenance = Results.provenance (RunTogether.commandOf script arguments) (List.ofSeq allPlans)
                writeClaims root title claims scale provenance (List.ofSeq finished)
                images |> Option.iter Console.WriteLine
            | None -> ()

            if failed then
                raise (LmcException failures))

    let private runAllOfScript caller (commandLine: string[]) name below title claims experiments : unit =
        ownScript caller commandLine
        |> Option.iter (fun (script, words) -> exit (runEach script name below title claims words experiments))

    type Experiment with

        /// Runs an experiment with the script's command line, and ends the process with its exit code: `Experiment.run fsi.CommandLineArgs`. The
        /// script may have any name. Does nothing where the script is loaded by another one.
        static member run
            (commandLine: string[], [<CallerFilePath; Optional; DefaultParameterValue("")>] caller: string)
            : Experiment -> unit =
            runScript caller commandLine

        /// Runs several experiments in one process with the script's command line, each into a folder of its own under `--results` (unless that
        /// is said, the usual results and in them the folder `below`), judges the claims of the scale by their reports, and ends the process:
        /// name, below, title, claims, experiments. Does nothing where the script is loaded by another one.
        static member runAll
            (commandLine: string[], [<CallerFilePath; Optional; DefaultParameterValue("")>] caller: string)
            : string -> string -> string -> (Size -> Claim list) -> Experiment list -> unit =
            runAllOfScript caller commandLine

        /// Runs an experiment with the words of a command line. Returns the exit code: 0 done, 1 a mistake in what was given or a
        /// measurement that failed, 2 a wrong argument, 130 interrupted. A mistake is told in one line.
        static member runWithArguments (words: string list) (experiment: Experiment) : int =
            guarded experiment.Name (runOne (RunTogether.usualScript experiment.Name) experiment words)

    // Also for scripts that say `LmcDsl.Experiment.run` and open nothing.
    [<assembly: AutoOpen("LmcDsl.ExperimentRun")>]
    do ()
