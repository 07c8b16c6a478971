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

/// The steps of a plan as job arrays of a Slurm cluster. Each task runs this same command for a few steps, by their keys, against the
/// same store, which must be on a file system that all nodes share. An array holds steps that do not need each other; a step whose inputs
/// are missing makes them itself, so that a lost task costs time and nothing else. The submitting command may be ended and run again: it
/// finds the arrays that are still at work, and waits for them. Raises `LmcException` where Slurm is not to be had; cancelled, it leaves the
/// tasks at work.
[<RequireQualifiedAccess>]
module Slurm =

    let private shortOnesTogether = 16
    // How often squeue is asked: at first each second, later less often, so that a long array is no load to the scheduler.
    let private pollAfter (waited: TimeSpan) = TimeSpan.FromSeconds(Math.Clamp(waited.TotalSeconds / 60.0, 1.0, 15.0))

    let private run program (words: string list) : int * string * string =
        let start = ProcessStartInfo(program, words, RedirectStandardOutput = true, RedirectStandardError = true)

        try
            match Process.Start start with
            | null -> raise (LmcException $"{program}: does not start")
            | started ->
                use child = started
                let errors = child.StandardError.ReadToEndAsync()
                let output = child.StandardOutput.ReadToEnd()
                child.WaitForExit()
                child.ExitCode, output, errors.Result
        with :? ComponentModel.Win32Exception as error ->
            raise (LmcException($"--on slurm: expected the program {program}, found none: {error.Message}", error))

    let private required program words =
        match run program words with
        | 0, output, _ -> output.Trim()
        | code, _, errors ->
            let line = errors.Trim().ReplaceLineEndings " "
            raise (LmcException $"{program}: exit code {code}: {line}")

    // Tasks of these arrays that wait or run. An array that Slurm has forgotten has none.
    let private active (arrays: string list) =
        if arrays.IsEmpty then
            0
        else
            match run "squeue" [ "-h"; "-r"; "-o"; "%T"; "-j"; String.Join(",", arrays) ] with
            | 0, output, _ -> output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length
            | _, _, errors when errors.Contains "Invalid job id" -> 0
            | code, _, errors ->
                raise (LmcException $"squeue: exit code {code}: {errors.Trim().ReplaceLineEndings(string ' ')}")

    let private quote (word: string) = "'" + word.Replace("'", "'\\''") + "'"

    // The array that a step belongs to, by how many long steps lie before it: long ones after n others in array 2n, short ones in the
    // array before the next long ones. Steps of one array do not need each other, but for short ones that a short one makes itself.
    let private arrayNumbers (roots: Node list) : Dictionary<string, int> =
        let longBefore = Dictionary<string, int>()
        let number = Dictionary<string, int>()

        for node in Plan.steps roots do
            let before = node.Inputs |> List.map (fun input -> longBefore[input.Key]) |> List.fold max 0
            longBefore[node.Key] <- before + (if Steps.isLong node then 1 else 0)
            number[node.Key] <- if Steps.isLong node then 2 * before else 2 * before - 1

        number

    // What is worth a place in an array: long steps, and what a report holds. What these need beside that, they make themselves.
    let private wanted (roots: Node list) =
        let measured = roots |> List.collect _.Inputs |> List.map _.Key |> HashSet

        Plan.steps roots
        |> List.filter (fun node -> not (ReportStep.is node) && (Steps.isLong node || measured.Contains node.Key))

    // Long steps are tasks of their own, of short ones several share one; where that makes more tasks than an array may have, all share.
    let internal tasksOf (most: int) (nodes: Node list) : Node list list =
        let long, short = nodes |> List.partition Steps.isLong
        let together = shortOnesTogether

        let count each = (long.Length + each - 1) / each + (short.Length + together * each - 1) / (together * each)
        let each = Seq.initInfinite ((+) 1) |> Seq.find (fun each -> count each <= most)
        List.chunkBySize each long @ List.chunkBySize (together * each) short

    // The most tasks that an array of this cluster may have.
    let private mostTasks () =
        let line =
            (required "scontrol" [ "show"; "config" ]).Split '\n'
            |> Array.tryFind _.TrimStart().StartsWith("MaxArraySize")

        match line |> Option.map (fun line -> Int32.TryParse(line.Substring(line.IndexOf '=' + 1).Trim())) with
        | Some(true, size) when size > 1 -> size - 1
        | _ -> 1000

    // What the plan says of the tasks' needs: a GPU, where a step computes on one.
    let internal needs (extra: string list) (nodes: Node list) : string list =
        let onGpu (node: Node) =
            match node.Args.TryItem "device" with
            | Some(Json.Text device) -> device.StartsWith "cuda"
            | _ -> false

        let asked = extra |> List.exists (fun option -> option.Contains "gres" || option.Contains "gpus")
        if not asked && List.exists onGpu nodes then [ "--gres=gpu:1" ] else []

    let private folderOf (store: Store) = Path.Combine(store.Root, "slurm")

    let private remember (store: Store) (arrays: string list) =
        AtomicFile.writeText (Path.Combine(folderOf store, "arrays.json")) (Json.text (Json.texts arrays) + "\n")

    let private remembered (store: Store) : string list =
        let path = Path.Combine(folderOf store, "arrays.json")

        if File.Exists path then
            (Json.parse (File.ReadAllText path)).Items |> List.map _.String
        else
            []

    // One array: a file with the keys of each task on a line of its own, and a task that runs its line.
    let private submit (store: Store) (options: SlurmOptions) (tasks: Node list list) : string * (string -> string) =
        let needs = tasks |> List.concat |> needs options.Extra
        let folder = folderOf store
        let name = Guid.NewGuid().ToString("N").Substring(0, 12)
        let keys = Path.Combine(folder, $"{name}.keys")
        let lines = tasks |> List.map (fun nodes -> nodes |> List.map _.Key |> String.concat " ")
        AtomicFile.writeText keys (String.Join("\n", lines) + "\n")
        let command = options.Command |> List.map quote |> String.concat " "
        let limit = if options.AtOnce > 0 then $"%%{options.AtOnce}" else ""
        let line = "$(sed -n \"$((SLURM_ARRAY_TASK_ID + 1))p\" " + quote keys + ")"

        let id =
            required
                "sbatch"
                ([
                    "--parsable"
                    "--job-name=lmc"
                    $"--array=0-{tasks.Length - 1}{limit}"
                    $"--cpus-per-task={options.Cores}"
                    "--requeue"
                    $"--output={folder}/{name}_%%a.log"
                    "--open-mode=append"
                 ]
                 @ needs
                 @ options.Extra
                 @ [ "--wrap"; $"exec {command} --nodes {line}" ])

        let taskOf =
            dict [
                for task, nodes in List.indexed tasks do
                    for node in nodes -> node.Key, task
            ]

        let logOf (key: string) = Path.Combine(folder, $"{name}_{taskOf[key]}.log")

        id.Split(';').[0], logOf

    let private tail (path: string) =
        if File.Exists path then
            File.ReadLines path
            |> Seq.filter (String.IsNullOrWhiteSpace >> not)
            |> Seq.tryLast
            |> Option.defaultValue "an empty log"
        else
            "no log: the task did not begin"

    let private wait (cancel: CancellationToken) (look: unit -> unit) arrays =
        let clock = Stopwatch.StartNew()

        while active arrays > 0 do
            look ()
            cancel.WaitHandle.WaitOne(pollAfter clock.Elapsed) |> ignore
            cancel.ThrowIfCancellationRequested()

        look ()

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
        let number = arrayNumbers roots
        let steps = wanted roots
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

        match remembered store with
        | [] -> ()
        | arrays when active arrays > 0 ->
            let shown = String.Join(", ", arrays)
            tell (Warned $"job array {shown} of an earlier run is still at work; waiting for it")
            wait cancel look arrays
        | _ -> ()

        let failed = List<string * string>()
        let failedKeys = HashSet<string>()
        let most = mostTasks ()

        let attempt (nodes: Node list) =
            let tasks = tasksOf most nodes
            let id, logOf = submit store options tasks
            remember store [ id ]
            tell (Warned $"job array {id}: {nodes.Length} steps in {tasks.Length} tasks")
            wait cancel look [ id ]
            remember store []
            logOf

        for array in steps |> List.map (fun node -> number[node.Key]) |> List.distinct |> List.sort do
            let needsFailed = Steps.needing failedKeys

            let ofArray =
                steps |> List.filter (fun node -> number[node.Key] = array && isOpen node && not (needsFailed node))

            let rec tries left (nodes: Node list) =
                if not nodes.IsEmpty then
                    let logOf = attempt nodes

                    match nodes |> List.filter isOpen with
                    | [] -> ()
                    | missing when left > 0 ->
                        for node in missing do
                            tell (Warned $"{node.Title}: not made, tried again: {tail (logOf node.Key)}")

                        tries (left - 1) missing
                    | missing ->
                        for node in missing do
                            failedKeys.Add node.Key |> ignore
                            failed.Add(node.Key, $"{node.Title}: {tail (logOf node.Key)} ({logOf node.Key})")

            tries options.Retries ofArray

        List.ofSeq failed

    /// The engine.
    let engine (store: Store) (options: SlurmOptions) : IEngine =
        { new IEngine with
            member _.Make(plans, tell, cancel) = make store options tell cancel plans
        }
