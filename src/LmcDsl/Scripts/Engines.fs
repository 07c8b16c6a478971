namespace LmcDsl

open System
open System.IO
open System.Threading

/// What a command line's words on where steps run come to: the engine, and the parts of the processes that it starts.
[<RequireQualifiedAccess>]
module internal Engines =

    // This process's own command, for tasks on a cluster: the same program and words, but for where steps run. The number of threads is
    // part of keys, so it is said.
    let private ownCommand (threads: int) (words: string list) =
        let all =
            (File.ReadAllText "/proc/self/cmdline").Split('\000', StringSplitOptions.RemoveEmptyEntries) |> List.ofArray

        let program = List.take (all.Length - words.Length) all
        let own = Arguments.withoutEngine words
        program @ own @ (if List.contains "--threads" own then [] else [ "--threads"; string threads ])

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

    /// The engine that a command line asks for, where it asks for one.
    let asked name (arguments: Arguments) (store: Store) threads words : IEngine option =
        match arguments.Engine with
        | Here -> None
        | SideBySide(jobs, retries) ->
            let options: WorkerOptions =
                {
                    Command = ownCommand threads words @ [ "--worker" ]
                    Name = name
                    Jobs = jobs
                    Retries = retries
                }

            Some(Workers.engine store options)
        | OnSlurm(atOnce, retries, extra) ->
            let options: SlurmOptions =
                {
                    Command = ownCommand threads words
                    AtOnce = atOnce
                    Retries = retries
                    Cores = threads
                    Extra = extra
                }

            Some(Slurm.engine store options)
