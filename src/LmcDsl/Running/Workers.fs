namespace LmcDsl

open System
open System.Collections.Concurrent
open System.Collections.Generic
open System.Diagnostics
open System.IO
open System.Threading
open LmcDsl.Core.Runtime

/// How steps run side by side on this machine.
type WorkerOptions =
    {
        /// The command that makes steps whose keys it reads (`WorkerProtocol`): a program and its words.
        Command: string list
        /// What the lines of its mistakes begin with.
        Name: string
        /// Steps that run at once.
        Jobs: int
        /// How often a step is tried again whose worker was killed.
        Retries: int
    }

/// A worker process.
type private Worker(command: string list, number: int, events: BlockingCollection<int * string>) =

    let child =
        let start =
            ProcessStartInfo(
                (Programs.tryFind command.Head |> Option.defaultValue command.Head),
                command.Tail,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true
            )

        match Process.Start start with
        | null -> raise (LmcException $"{command.Head}: does not start")
        | started -> started

    let mutable lastError = ""

    let reading =
        Thread(
            (fun () ->
                for line in WorkerProtocol.lines child.StandardOutput do
                    events.Add((number, line))

                child.WaitForExit()
                events.Add((number, ""))), // the end of its output: it is no more
            IsBackground = true
        )

    do
        child.ErrorDataReceived.Add(fun data ->
            match data.Data with
            | null
            | "" -> ()
            | line -> lastError <- line)

        child.BeginErrorReadLine()
        reading.Start()

    /// The step that it is at.
    member val Step: Node option = None with get, set

    member _.Number = number
    member _.Peak = Memory.peak child.Id
    member _.ExitCode = child.ExitCode
    member _.LastError = lastError

    /// Gives it a step. One that died in between is noticed at the end of its output.
    member this.Give(step: Node) =
        this.Step <- Some step

        try
            child.StandardInput.WriteLine step.Key
            child.StandardInput.Flush()
        with :? IOException ->
            ()

    /// Tells it that nothing more comes: it ends in order, at the next step of a training.
    member _.EndInput() =
        try
            child.StandardInput.Close()
        with :? IOException ->
            ()

    interface IDisposable with
        /// Waits for its end, which it brings about where that takes long.
        member this.Dispose() =
            this.EndInput()

            if not (child.WaitForExit 10_000) then
                child.Kill()
                child.WaitForExit()

            reading.Join()
            child.Dispose()

/// Steps of plans side by side on this machine: worker processes, each of which makes one step at a time with the threads that the command
/// gives it. A process of its own for each keeps Torch's threads apart, and gives memory back when it ends. A worker that is killed costs
/// its step's time since the last finished epoch; the step is tried again.
[<RequireQualifiedAccess>]
module Workers =

    // What a worker is thought to take before one has been seen.
    let private firstGuess = 1_000_000_000L

    let private killed exitCode = (Ending.bySignal exitCode).IsSome

    /// The engine.
    let engine (store: Store) (options: WorkerOptions) : IEngine =

        let run (plans: Plan<Report> list) (tell: RunEvent -> unit) (cancel: CancellationToken) =
            let roots = plans |> List.map Plan.node
            let all = Plan.steps roots |> List.filter (ReportStep.is >> not)
            let byKey = dict [ for node in all -> node.Key, node ] |> Dictionary
            let toDo = Steps.missing store roots |> List.filter (ReportStep.is >> not)
            tell (Planned(toDo, all.Length - toDo.Length))

            // Long steps first, then the plan's order.
            let waiting = List<Node>(toDo |> List.sortBy (fun node -> not (Steps.isLong node)))
            let isOpen = HashSet<string>(toDo |> List.map _.Key)
            let failed = Dictionary<string, string>()
            let tries = Dictionary<string, int>()
            let workers = Dictionary<int, Worker>()
            let mutable started = 0
            let mutable largest = firstGuess
            let mutable toldOfMemory = false
            use events = new BlockingCollection<int * string>()

            let settle (node: Node) = isOpen.Remove node.Key |> ignore

            let fail (node: Node) line =
                settle node
                failed[node.Key] <- line

            // The next step all of whose inputs are there. What needs a failed one is left; the report tells its line.
            let rec next () : Node option =
                let ready (node: Node) = node.Inputs |> List.forall (fun input -> not (isOpen.Contains input.Key))

                match waiting |> Seq.tryFindIndex ready with
                | None -> None
                | Some at ->
                    let node = waiting[at]
                    waiting.RemoveAt at

                    match node.Inputs |> List.tryFind (fun input -> failed.ContainsKey input.Key) with
                    | Some input ->
                        fail node failed[input.Key]
                        next ()
                    | None -> Some node

            let memoryAllows () =
                for worker in workers.Values do
                    largest <- max largest (defaultArg worker.Peak 0L)

                workers.Count = 0 || (Memory.available () |> Option.forall (fun bytes -> bytes > largest))

            let idle () = workers.Values |> Seq.tryFind _.Step.IsNone

            let another () =
                if workers.Count >= options.Jobs then
                    None
                elif memoryAllows () then
                    started <- started + 1
                    let worker = new Worker(options.Command, started, events)
                    workers[started] <- worker
                    Some worker
                else
                    if not toldOfMemory then
                        toldOfMemory <- true
                        tell (Warned $"memory for no more than {workers.Count} of {options.Jobs} workers")

                    None

            let rec dispatch () =
                if waiting.Count > 0 then
                    match idle () |> Option.orElseWith another with
                    | None -> ()
                    | Some worker ->
                        match next () with
                        | None -> ()
                        | Some node ->
                            worker.Give node
                            dispatch ()

            let ended (worker: Worker) =
                workers.Remove worker.Number |> ignore
                let code, line = worker.ExitCode, worker.LastError
                (worker :> IDisposable).Dispose()
                cancel.ThrowIfCancellationRequested()

                match worker.Step with
                | None -> ()
                | Some node when killed code ->
                    let before = if tries.ContainsKey node.Key then tries[node.Key] else 0
                    tries[node.Key] <- before + 1
                    let what = $"{node.Title}: its worker {Ending.told code}"

                    if before < options.Retries then
                        tell (Warned $"{what}; tried again")
                        waiting.Insert(0, node)
                    else
                        fail node $"{what}, {before + 1} times"
                | Some node when line = "" -> raise (LmcException $"{node.Title}: its worker {Ending.told code}")
                | Some _ ->
                    let ownName = options.Name + ": "
                    raise (LmcException(if line.StartsWith ownName then line.Substring ownName.Length else line))

            let take (number: int, line: string) =
                match workers.TryGetValue number with
                | false, _ -> ()
                | true, worker when line = "" -> ended worker
                | true, worker ->
                    match WorkerProtocol.read byKey line, worker.Step with
                    | Some(Said event), _ -> tell event
                    | Some Done, Some node ->
                        settle node
                        worker.Step <- None
                    | Some(Failed line), Some node ->
                        fail node line
                        worker.Step <- None
                    | _ -> ()

            try
                dispatch ()

                while workers.Values |> Seq.exists _.Step.IsSome do
                    take (events.Take cancel)
                    dispatch ()
            finally
                for worker in workers.Values do
                    worker.EndInput()

                for worker in workers.Values do
                    (worker :> IDisposable).Dispose()

            [ for KeyValue(key, line) in failed -> key, line ]

        { new IEngine with
            member _.Make(plans, tell, cancel) = run plans tell cancel
        }
