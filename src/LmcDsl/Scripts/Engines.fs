namespace LmcDsl

open System
open System.IO
open System.Threading

/// What a command line's words on where steps run come to: the engine, and the parts of the processes that it starts.
[<RequireQualifiedAccess>]
module internal Engines =

    // This process's own command: the same program and words, but for where steps run.
    let private ownCommand (words: string list) (more: string list) =
        let all =
            if OperatingSystem.IsLinux() then
                (File.ReadAllText "/proc/self/cmdline").Split('\000', StringSplitOptions.RemoveEmptyEntries)
                |> List.ofArray
            else
                // The first of these is the program's library, which only `dotnet` is told.
                let program = string Environment.ProcessPath
                let own = Environment.GetCommandLineArgs() |> List.ofArray

                if Path.GetFileNameWithoutExtension program = "dotnet" then
                    program :: own
                else
                    program :: own.Tail

        List.take (all.Length - words.Length) all @ Arguments.withoutEngine words @ more

    // Workers share the cores, which says how many threads each has, where the command line does not.
    let private shared (threads: int) (words: string list) =
        if List.contains "--threads" words then [] else [ "--threads"; string threads ]

    /// Some steps only, by their keys: what a task on a cluster does.
    let makeOnly (runner: Runner) (keys: string list) (plans: Plan<Report> list) =
        keys |> List.map (Steps.finder "--nodes" plans) |> List.iter runner.Make

    /// A worker process's part: steps by their keys, as they come.
    let serve (store: Store) (cancel: CancellationToken) (plans: Plan<Report> list) =
        let mutable owned: Runner option = None

        let start tell cancel =
            let runner = new Runner({ Store = store; Tell = tell; Cancel = cancel })
            owned <- Some runner
            runner.Make

        try
            WorkerProtocol.serve (Steps.finder "--worker" plans) cancel start
        finally
            owned |> Option.iter (fun runner -> (runner :> IDisposable).Dispose())

    /// The engine that a command line asks for, where it asks for one. `chosen` are words that say what the plan was made of, where this
    /// process chose it by what it found on its machine.
    let asked name (arguments: Arguments) (store: Store) threads words (chosen: string list) : IEngine option =
        match arguments.Engine with
        | Here -> None
        | SideBySide(jobs, retries) ->
            let options: WorkerOptions =
                {
                    Command = ownCommand words (shared threads words @ chosen @ [ "--worker" ])
                    Name = name
                    Jobs = jobs
                    Retries = retries
                }

            Some(Workers.engine store options)
        | OnSlurm(atOnce, retries, extra) ->
            let options: SlurmOptions =
                {
                    Command = ownCommand words chosen
                    AtOnce = atOnce
                    Retries = retries
                    Cores = threads
                    Extra = extra
                }

            Some(Slurm.engine store options)
