namespace LmcDsl

open System
open System.IO
open System.Runtime.InteropServices
open System.Threading
open LmcDsl.Core.Runtime

/// An experiment: a set-up, and what to make of it.
type Experiment =
    {
        /// Its name, and that of its folder under `results`.
        Name: string
        /// Heading of its page.
        Title: string
        /// How models are trained, but for what the command line changes.
        Setup: Setup
        /// The data set to take where the set-up's cannot be had and the command line names none.
        Fallback: DataSet option
        /// The pipelines. Steps that they share are done once.
        Reports: (Setup -> Plan<Report>) list
        /// The library's operations and the script's own.
        Ops: Op list
    }

/// Running experiments from scripts.
[<RequireQualifiedAccess>]
module Experiment =

    /// An experiment of the library's operations, without a fallback.
    let create name title setup reports =
        {
            Name = name
            Title = title
            Setup = setup
            Fallback = None
            Reports = reports
            Ops = LibraryOps.all
        }

    /// The same experiment, on another data set where its own cannot be had and the command line names none.
    let withFallback (dataset: DataSet) (experiment: Experiment) = { experiment with Fallback = Some dataset }

    let private available (experiment: Experiment) (arguments: Arguments) (setup: Setup) =
        match experiment.Fallback with
        | Some fallback when not arguments.NamesData && not arguments.ShowPlan ->
            match DataSource.locate setup.Data with
            | Ok _ -> setup
            | Error reason ->
                Console.WriteLine $"Using the built-in data set {DataSet.name fallback}, since {reason}"
                { setup with Data = fallback }
        | _ -> setup

    let private save (experiment: Experiment) (arguments: Arguments) (setup: Setup) command report =
        let tables = Table.ofReport report

        let provenance =
            Json.Object [
                "command", Json.Text command
                "data", DataSource.identity setup.Data
                "training", Json.ofValue (Setup.training setup)
                "seeds",
                (match setup.Seeds with
                 | Counting -> Json.Text "0, 1, 2, ..."
                 | Listed seeds -> Json.Array(List.map Json.int seeds))
                "device", Json.Text setup.Device
                "threads", Json.int (int64 setup.Threads)
                "made by", Provenance.current.Value
            ]

        let text = { Title = experiment.Title; Command = command; Provenance = provenance }

        let data =
            Json.Object [
                "experiment", Json.Text experiment.Name
                "provenance", provenance
                "report", Report.toJson report
            ]

        let markdown = tables |> List.map Table.markdown |> String.concat "\n\n"
        let target name = Path.Combine(arguments.Results, name)
        AtomicFile.writeText (target "report.json") (Json.indented data)
        AtomicFile.writeText (target "table.md") $"## {experiment.Title}\n\n{markdown}\n\nMade by `{command}`\n"
        AtomicFile.writeText (target "index.html") (Page.html text tables (Figure.ofReport report))
        tables

    let private runWith (experiment: Experiment) (words: string list) (cancel: CancellationToken) =
        let notice = TorchRuntime.Load()
        let arguments = Arguments.parse experiment.Name words
        let setup = experiment.Setup |> arguments.Change |> available experiment arguments
        TorchRuntime.UseThreads setup.Threads
        let plans = experiment.Reports |> List.map (fun report -> report setup)

        match conflicts plans with
        | [] -> ()
        | rows ->
            let shown = String.Join("; ", rows)

            raise (
                LmcException
                    $"expected reports that agree, found two ways to '{shown}': make an experiment of each search or merge"
            )

        let store = Store.Open arguments.Store

        if arguments.ShowPlan then
            plans |> List.map Plan.node |> Terminal.plan store
        else
            if notice <> "" then
                Console.WriteLine notice

            let reports =
                Terminal.during (fun tell ->
                    let options = { Store = store; Ops = Ops.ofList experiment.Ops; Tell = tell; Cancel = cancel }
                    use runner = new Runner(options)
                    runner.Run plans)

            let command = String.Join(" ", $"dotnet fsi experiments/{experiment.Name}.fsx" :: words)
            save experiment arguments setup command (Report.concat reports) |> List.iter Terminal.table
            let folder = Path.GetFullPath arguments.Results
            Console.WriteLine $"Written: {folder}/index.html, table.md, report.json"

    let private fail (line: string) code =
        Console.Error.WriteLine line
        code

    /// Runs an experiment with the words of a command line. Returns the exit code: 0 done, 1 a mistake in what was given,
    /// 2 a wrong argument, 130 interrupted. A mistake is told in one line.
    let runWithArguments (words: string list) (experiment: Experiment) : int =
        use cancel = new CancellationTokenSource()

        let interrupt (context: PosixSignalContext) =
            // The first signal ends the run in order; a second one ends the process.
            context.Cancel <- not cancel.IsCancellationRequested
            cancel.Cancel()

        use _ = PosixSignalRegistration.Create(PosixSignal.SIGINT, interrupt)
        use _ = PosixSignalRegistration.Create(PosixSignal.SIGTERM, interrupt)

        try
            runWith experiment words cancel.Token
            0
        with
        | Usage(text, 0) ->
            Console.WriteLine text
            0
        | Usage(text, code) -> fail text code
        | :? LmcException
        | :? IOException
        | :? UnauthorizedAccessException as error -> fail $"{experiment.Name}: {error.Message}" 1
        | :? OperationCanceledException ->
            fail $"{experiment.Name}: interrupted; run it again to go on from the last finished epoch" 130
        | error when isNull (Environment.GetEnvironmentVariable "LMC_TRACE") ->
            let line = error.Message.ReplaceLineEndings " "
            fail $"{experiment.Name}: unexpected {error.GetType().Name}: {line} (LMC_TRACE=1 shows where)" 70

    /// Runs an experiment with the script's command line, and ends the process with its exit code.
    let run (commandLine: string[]) (experiment: Experiment) : unit =
        exit (runWithArguments (commandLine |> Array.skip 1 |> Array.toList) experiment)
