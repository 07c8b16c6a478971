namespace LmcDsl

open System
open System.IO
open System.Runtime.InteropServices
open System.Threading
open LmcDsl.Core.Runtime

/// What every command does around its work: interrupts, exit codes, mistakes in one line.
[<RequireQualifiedAccess>]
module internal CommandLine =

    // Where errors cannot be told, since their file is closed or full, the exit code still is.
    let private fail (line: string) code =
        try
            Console.Error.WriteLine line
        with
        | :? IOException
        | :? UnauthorizedAccessException -> ()

        code

    /// Does the work, and gives the exit code: 0 done, 1 a mistake in what was given, 2 a wrong argument, 70 a fault of the program,
    /// 130 interrupted. The first interrupt ends the work in order, a second one ends the process.
    let guarded (name: string) (work: CancellationToken -> unit) : int =
        use cancel = new CancellationTokenSource()

        let interrupt (context: PosixSignalContext) =
            context.Cancel <- not cancel.IsCancellationRequested
            cancel.Cancel()

        use _ = PosixSignalRegistration.Create(PosixSignal.SIGINT, interrupt)
        use _ = PosixSignalRegistration.Create(PosixSignal.SIGTERM, interrupt)

        try
            work cancel.Token
            0
        with
        | Usage(text, 0) ->
            Console.WriteLine text
            0
        | Usage(text, code) -> fail text code
        | :? LmcException
        | :? IOException
        | :? UnauthorizedAccessException as error -> fail $"{name}: {error.Message}" 1
        | :? OperationCanceledException ->
            fail $"{name}: interrupted; run it again to go on from the last finished epoch" 130
        | error when isNull (Environment.GetEnvironmentVariable "LMC_TRACE") ->
            let line = error.Message.ReplaceLineEndings " "
            fail $"{name}: unexpected {error.GetType().Name}: {line} (LMC_TRACE=1 shows where)" 70
