namespace LmcDsl

open System
open System.Collections.Generic
open System.Diagnostics
open System.IO
open System.Threading
open LmcDsl.Core.Runtime

/// How a plan is given to a Slurm cluster.
type SlurmOptions =
    {
        /// The command that does some steps of the plan, without their keys: a program and its words.
        Command: string list
        /// Tasks of one array that run at once; 0 for as many as the cluster will.
        AtOnce: int
        /// How often what failed is tried again.
        Retries: int
        /// Cores of one task.
        Cores: int
        /// Further options of sbatch: time, memory, partition, GPUs.
        Extra: string list
    }

/// An array that was submitted.
type private Submitted =
    {
        /// Its number.
        Id: string
        /// The task of a step, by its key.
        TaskOf: string -> int
        /// The log of a step's task.
        LogOf: string -> string
    }

/// The steps of a plan as job arrays of a Slurm cluster. Each task runs this same command for a few steps, by their keys, against the
/// same store, which must be on a file system that all nodes share. An array holds steps that do not need each other; a step whose inputs
/// are missing makes them itself, so that a lost task costs time and nothing else. The submitting command may be ended and run again: it
/// finds the arrays that are still at work, and waits for them. Raises `LmcException` where Slurm is not to be had; cancelled, it leaves the
/// tasks at work.
[<RequireQualifiedAccess>]
module Slurm =

    // How often squeue is asked: at first each second, later less often, so that a long array is no load to the scheduler.
    let private pollAfter (waited: TimeSpan) = TimeSpan.FromSeconds(Math.Clamp(waited.TotalSeconds / 60.0, 1.0, 15.0))

    let private folderOf (store: Store) = Path.Combine(store.Root, "slurm")

    let private remember (store: Store) (arrays: string list) =
        AtomicFile.writeText (Path.Combine(folderOf store, "arrays.json")) (Json.text (Json.texts arrays) + "\n")

    // The arrays of an earlier run. A file that says something else is told and taken away: at worst tasks wait for each other.
    let private remembered tell (store: Store) : string list =
        let path = Path.Combine(folderOf store, "arrays.json")

        let nothing (reason: string) =
            tell (Warned $"{path}: {reason}; it is taken away")

            match UnixFile.Look(path, follow = false).Kind with
            | FileKind.Folder -> Directory.Delete(path, recursive = true)
            | _ -> File.Delete path

            []

        match UnixFile.Kind path, UnixFile.Look(path, follow = false).Kind with
        | _, FileKind.None -> []
        | FileKind.Regular, _ ->
            try
                let arrays = (Json.parse (File.ReadAllText path)).Items |> List.map _.String

                match arrays |> List.tryFind (fun id -> id = "" || not (Seq.forall Char.IsAsciiDigit id)) with
                | Some other -> nothing $"expected numbers of jobs, found '{other}'"
                | None -> arrays
            with :? LmcException as error ->
                nothing error.Message
        | _ -> nothing "expected a file, found something else"

    // In a file's name %j and the like stand for something.
    let private plainName (path: string) = path.Replace("%", "%%")

    // One array: a file with the keys of each task on a line of its own, and a task that runs its line.
    let private submit tell cancel (store: Store) (options: SlurmOptions) (tasks: Node list list) : Submitted =
        let needs = tasks |> List.concat |> SlurmTasks.needs options.Extra
        let folder = folderOf store
        let name = Guid.NewGuid().ToString("N").Substring(0, 12)
        let keys = Path.Combine(folder, $"{name}.keys")
        let lines = tasks |> List.map (fun nodes -> nodes |> List.map _.Key |> String.concat " ")
        AtomicFile.writeText keys (String.Join("\n", lines) + "\n")
        let command = options.Command |> List.map ShellWord.quoted |> String.concat " "
        let limit = if options.AtOnce > 0 then $"%%{options.AtOnce}" else ""
        let line = "$(sed -n \"$((SLURM_ARRAY_TASK_ID + 1))p\" " + ShellWord.quoted keys + ")"

        let id =
            SlurmPrograms.required
                tell
                cancel
                "sbatch"
                ([
                    "--parsable"
                    "--job-name=lmc"
                    $"--array=0-{tasks.Length - 1}{limit}"
                    $"--cpus-per-task={SlurmTasks.coresOf options.Cores tasks}"
                    "--requeue"
                    $"--output={plainName folder}/{name}_%%a.log"
                    "--open-mode=append"
                 ]
                 @ needs
                 @ options.Extra
                 @ [ "--wrap"; $"exec env {Setup.coresVariable}={options.Cores} {command} --nodes {line}" ])

        let taskOf =
            dict [
                for task, nodes in List.indexed tasks do
                    for node in nodes -> node.Key, task
            ]

        {
            Id = id.Split('\n') |> Array.last |> fun line -> line.Split(';').[0].Trim()
            TaskOf = fun key -> taskOf[key]
            LogOf = fun key -> Path.Combine(folder, $"{name}_{taskOf[key]}.log")
        }

    // The last line of a log, where there is one.
    let private tail (path: string) : string option =
        if File.Exists path then
            File.ReadLines path |> Seq.filter (String.IsNullOrWhiteSpace >> not) |> Seq.tryLast
        else
            None

    // Why a step was not made: how its task ended, and the last line that it wrote.
    let private reason
        (submitted: Submitted)
        (endings: IReadOnlyDictionary<int, string * int * int>)
        (key: string)
        : string =
        let log = submitted.LogOf key

        match endings.TryGetValue(submitted.TaskOf key), tail log with
        | (true, (_, _, signal)), _ when signal > 0 -> $"its task ended by {Ending.signal signal}"
        | (true, ("FAILED", code, _)), _ when (Ending.bySignal code).IsSome -> $"its task {Ending.told code}"
        | (true, ("FAILED", _, _)), Some line
        | (false, _), Some line -> line
        | (true, ("FAILED", code, _)), None -> $"its task ended with exit code {code}, and an empty log"
        | (true, ("COMPLETED", _, _)), _ ->
            "its task ended in order, but no value can be seen in the store: is its folder one that all nodes share?"
        | (true, (state, _, _)), Some line -> $"its task's state is {state}: {line}"
        | (true, (state, _, _)), None -> $"its task's state is {state}"
        | (false, _), None when File.Exists log -> "an empty log"
        | (false, _), None -> "no log: the task did not begin"

    let private wait tell (cancel: CancellationToken) (look: unit -> unit) arrays =
        let clock = Stopwatch.StartNew()

        while SlurmPrograms.active tell cancel arrays > 0 do
            look ()
            cancel.WaitHandle.WaitOne(pollAfter clock.Elapsed) |> ignore
            cancel.ThrowIfCancellationRequested()

        look ()

    // A shared file system may show what a task wrote some seconds later: how long it is waited for, where the task ended in order.
    let private late = TimeSpan.FromSeconds 30.0

    // Waits for what tasks that ended in order must have made, looking anew at their folders.
    let private waitForLate (cancel: CancellationToken) (store: Store) (expected: Node list) =
        let clock = Stopwatch.StartNew()
        let mutable pause = 0.25

        let isMissing (node: Node) =
            // A file system that keeps names in memory lists its folders anew.
            let prefix = Path.Combine(store.Root, "objects", node.Key.Substring(0, 2))

            if Directory.Exists prefix then
                Directory.EnumerateFileSystemEntries prefix |> Seq.iter ignore

            not (store.Contains node.Key)

        while clock.Elapsed < late && List.exists isMissing expected do
            cancel.WaitHandle.WaitOne(TimeSpan.FromSeconds pause) |> ignore
            cancel.ThrowIfCancellationRequested()
            pause <- min 4.0 (2.0 * pause)

    // Has the cluster make what plans need, and gives the steps that failed.
    let private make
        (store: Store)
        (options: SlurmOptions)
        (tell: RunEvent -> unit)
        cancel
        (plans: Plan<Report> list)
        : (string * string) list =
        Directory.CreateDirectory(folderOf store) |> ignore
        let roots = plans |> List.map Plan.node
        let number = SlurmTasks.arrayNumbers roots
        let steps = SlurmTasks.wanted roots
        let isOpen (node: Node) = not (store.Contains node.Key)
        let mutable unseen = List.filter isOpen steps
        tell (Planned(unseen, steps.Length - unseen.Length))

        // Tells what was made since the last look.
        let look () =
            let still, made = unseen |> List.partition isOpen
            unseen <- still

            for node in made do
                let seconds =
                    store.Record node.Key |> Option.bind (fun record -> record.TryItem "seconds") |> Option.map _.Float

                tell (Finished(node, defaultArg seconds 0.0))

        match remembered tell store with
        | [] -> ()
        | arrays when SlurmPrograms.active tell cancel arrays > 0 ->
            let shown = String.Join(", ", arrays)
            tell (Warned $"job array {shown} of an earlier run is still at work; waiting for it")
            wait tell cancel look arrays
        | _ -> ()

        let failed = List<string * string>()
        let failedKeys = HashSet<string>()
        let most = SlurmPrograms.mostTasks tell cancel

        // Gives the reason of each step that was not made.
        let attempt (tasksOf: int -> Node list -> Node list list) (nodes: Node list) : string -> string =
            let tasks = tasksOf most nodes
            let submitted = submit tell cancel store options tasks
            remember store [ submitted.Id ]
            tell (Warned $"job array {submitted.Id}: {nodes.Length} steps in {tasks.Length} tasks")
            wait tell cancel look [ submitted.Id ]

            let endings =
                if List.exists isOpen nodes then
                    SlurmPrograms.endings submitted.Id
                else
                    Dictionary()

            let endedInOrder (node: Node) =
                match endings.TryGetValue(submitted.TaskOf node.Key) with
                | true, (state, _, _) -> state = "COMPLETED"
                | _ -> endings.Count = 0 && tail (submitted.LogOf node.Key) = None

            nodes |> List.filter (fun node -> isOpen node && endedInOrder node) |> waitForLate cancel store
            look ()
            remember store []
            reason submitted endings

        for array in steps |> List.map (fun node -> number[node.Key]) |> List.distinct |> List.sort do
            let needsFailed = Steps.needing failedKeys

            let ofArray =
                steps |> List.filter (fun node -> number[node.Key] = array && isOpen node && not (needsFailed node))

            let rec tries left tasksOf (nodes: Node list) =
                if not nodes.IsEmpty then
                    let reasonOf = attempt tasksOf nodes

                    match nodes |> List.filter isOpen with
                    | [] -> ()
                    | missing when left > 0 ->
                        for node in missing do
                            tell (Warned $"{node.Title}: not made, tried again: {reasonOf node.Key}")

                        tries (left - 1) SlurmTasks.ownTasks missing
                    | missing ->
                        for node in missing do
                            failedKeys.Add node.Key |> ignore
                            failed.Add(node.Key, $"{node.Title}: {reasonOf node.Key} (logs in {folderOf store})")

            tries options.Retries SlurmTasks.tasksOf ofArray

        List.ofSeq failed

    /// The engine.
    let engine (store: Store) (options: SlurmOptions) : IEngine =
        { new IEngine with
            member _.Make(plans, tell, cancel) = make store options tell cancel plans
        }
