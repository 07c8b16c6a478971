namespace LmcDsl

open System
open System.Globalization
open System.IO
open System.Runtime.InteropServices
open System.Threading
open LmcDsl.Core.Runtime

/// What every command does around its work: interrupts, exit codes, mistakes in one line.
[<RequireQualifiedAccess>]
module internal CommandLine =

    // What is left to a command that was asked to end before it is ended, whatever it is at: a search hears nothing of the request.
    let private grace = 600

    // Where errors cannot be told, since their file is closed or full, the exit code still is.
    let private fail (line: string) code =
        try
            Console.Error.WriteLine line
        with
        | :? IOException
        | :? UnauthorizedAccessException -> ()

        code

    /// Numbers are written alike whatever the language of the machine: in text, tables and files.
    let speakInvariant () =
        CultureInfo.DefaultThreadCurrentCulture <- CultureInfo.InvariantCulture
        CultureInfo.DefaultThreadCurrentUICulture <- CultureInfo.InvariantCulture
        CultureInfo.CurrentCulture <- CultureInfo.InvariantCulture
        CultureInfo.CurrentUICulture <- CultureInfo.InvariantCulture

    /// Does the work, and gives the exit code: 0 done, 1 a mistake in what was given, 2 a wrong argument, 70 a fault of the program,
    /// 130 interrupted. The first interrupt ends the work in order where it hears of it within a moment, and the process otherwise; what is
    /// unfinished is taken away. `after` says what to do after an interrupt.
    let guarded (name: string) (after: string) (work: CancellationToken -> unit) : int =
        speakInvariant ()
        let cancel = new CancellationTokenSource() // a late interrupt may still come to it
        let finished = new ManualResetEventSlim()
        let interrupted () = fail $"{name}: interrupted{after}" 130

        let endSoon () =
            if not (finished.Wait grace) then
                let tell () =
                    // A live line hides the cursor.
                    if not Console.IsOutputRedirected then
                        Console.Out.Write "\027[?25h"

                    interrupted () |> ignore

                // Whoever reads our lines may not.
                let telling = Thread(tell, IsBackground = true)
                telling.Start()
                telling.Join 200 |> ignore
                Unfinished.endProcess 130

        let interrupt (context: PosixSignalContext) =
            context.Cancel <- not cancel.IsCancellationRequested

            if not cancel.IsCancellationRequested then
                Thread(endSoon, IsBackground = true).Start()

            cancel.Cancel()

        use _ = PosixSignalRegistration.Create(PosixSignal.SIGINT, interrupt)
        use _ = PosixSignalRegistration.Create(PosixSignal.SIGTERM, interrupt)

        let code =
            try
                work cancel.Token
                0
            with
            | Usage(text, 0) ->
                Console.WriteLine text
                0
            | Usage(text, code) -> fail (VisibleText.Of(text, lines = true)) code
            | :? LmcException
            | :? IOException
            | :? UnauthorizedAccessException as error -> fail $"{name}: {VisibleText.Of error.Message}" 1
            | :? OperationCanceledException -> interrupted ()
            | error when isNull (Environment.GetEnvironmentVariable "LMC_TRACE") ->
                let line = error.Message.ReplaceLineEndings " "
                fail $"{name}: unexpected {error.GetType().Name}: {VisibleText.Of line} (LMC_TRACE=1 shows where)" 70

        finished.Set()
        code
