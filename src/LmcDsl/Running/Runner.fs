namespace LmcDsl

open System
open System.Collections.Generic
open System.Diagnostics
open System.IO
open System.Threading
open LmcDsl.Core.Runtime

/// What a runner tells while it works.
type RunEvent =
    /// How many steps there are to do, and how many of the plan are done already.
    | Planned of toDo: Node list * alreadyDone: int
    /// A step begins.
    | Started of Node
    /// A step goes on.
    | Advanced of Node * Progress
    /// A step is done, by this process or another, in this many seconds.
    | Finished of Node * seconds: float
    /// Another process makes the value; this one waits.
    | Waiting of Node
    /// Something to tell the user, in one line.
    | Warned of string

/// What a run works with.
type RunOptions =
    {
        /// Where values are kept.
        Store: Store
        /// Where events go.
        Tell: RunEvent -> unit
        /// Ends the run at the next step of a training, or the next operation.
        Cancel: CancellationToken
    }

/// Makes what a plan describes, on this machine, one step after another. The only place where things happen.
type Runner(options: RunOptions) =

    let store = options.Store
    let threadsOf = Steps.threads TorchRuntime.Threads
    let data = new LoadedData()
    let failed = Dictionary<string, string>() // steps that ended in a mistake in this run, and the line that says which

    let record (node: Node) (notes: (string * Json) seq) (started: DateTimeOffset) (seconds: float) =
        [
            "op", Json.Text node.Op.Name
            "version", Json.int (int64 node.Op.Version)
            "title", Json.Text node.Title
            "args", node.Args
            "inputs", Json.texts (node.Inputs |> List.map _.Key)
            "started", Json.Text(started.ToString "o")
            "seconds", Json.float seconds
            "notes", Json.Object(List.ofSeq notes)
            "provenance", Provenance.current.Value
        ]

    let execute (node: Node) (inputs: Value list) =
        let notes = List<string * Json>()
        TorchRuntime.UseThreads(threadsOf node)
        let started = DateTimeOffset.UtcNow
        let clock = Stopwatch.StartNew()

        let mutable goesOn = false

        let kept () =
            let kept = store.Partials.Read(node.Key, Warned >> options.Tell)
            goesOn <- kept.IsSome
            kept

        let context =
            {
                Args = node.Args
                Inputs = inputs
                OwnsInputs = true
                Data = fun () -> data.For node
                Progress = fun progress -> options.Tell(Advanced(node, progress))
                SavePartial = fun content -> store.Partials.Write(node.Key, content)
                LoadPartial = kept
                Note = notes.Add
                Keep =
                    fun op value ->
                        let beside = Plan.beside op node

                        if not (store.Contains beside.Key) then
                            let file, content = Value.encode value
                            store.Write(beside.Key, file, content, record beside [] started clock.Elapsed.TotalSeconds)
                Cancel = options.Cancel
            }

        // Where a step stood may be what it cannot go on from: a fault of that is no fault of the step's.
        let run () =
            try
                node.Op.Run context
            with :? LmcException as error when goesOn ->
                options.Tell(Warned $"{node.Title}: cannot go on from where it stood: {error.Message}; it begins anew")
                store.Partials.Remove node.Key
                notes.Clear()
                node.Op.Run context

        use value = run ()
        let file, content = Value.encode value
        let seconds = clock.Elapsed.TotalSeconds
        store.Write(node.Key, file, content, record node notes started seconds)
        store.Partials.Remove node.Key
        seconds

    // A step's mistake ends what needs it, not the run. A full disk or an interrupt ends the run.
    let remembering (node: Node) (work: unit -> float) =
        let note (line: string) (error: exn) =
            failed[node.Key] <- $"{node.Title}: {line}"
            raise (LmcException(failed[node.Key], error))

        try
            work ()
        with
        | :? LmcException as error -> note error.Message error
        | :? OperationCanceledException -> reraise ()
        // A file of the step's own, and no disk that is full.
        | :? FileNotFoundException
        | :? DirectoryNotFoundException as error when isNull (Environment.GetEnvironmentVariable "LMC_TRACE") ->
            note error.Message error
        | :? IOException
        | :? UnauthorizedAccessException -> reraise ()
        | error when isNull (Environment.GetEnvironmentVariable "LMC_TRACE") ->
            note
                $"unexpected {error.GetType().Name}: {error.Message.Split('\n').[0].Trim()} (LMC_TRACE=1 shows where)"
                error

    /// Makes a step's value if it is not stored, with whatever it needs.
    let rec ensure (node: Node) : unit =
        match failed.TryGetValue node.Key with
        | true, line -> raise (LmcException line)
        | _ -> ()

        if not (store.Contains node.Key) then
            options.Cancel.ThrowIfCancellationRequested()
            List.iter ensure node.Inputs
            // Inputs are read before the lock is taken: making a damaged one again may take locks of its own.
            let inputs = node.Inputs |> List.map read

            try
                let waiting () = options.Tell(Waiting node)
                use right = store.Lock(node.Key, waiting, options.Cancel)

                if not (store.Contains node.Key) then
                    right.Left
                    |> Option.iter (fun left ->
                        options.Tell(Warned $"{left} ended without a word: it was killed, or crashed in native code"))

                    right.Note $"{node.Title}: process {Environment.ProcessId}, begun {DateTimeOffset.UtcNow:u},"
                    store.Sweep node.Key
                    store.Prepare node.Key |> List.iter (Warned >> options.Tell)
                    options.Tell(Started node)
                    options.Tell(Finished(node, remembering node (fun () -> execute node inputs)))
                else
                    options.Tell(Finished(node, 0.0))
            finally
                for input in inputs do
                    (input :> IDisposable).Dispose()

    /// Reads a step's value, making it first where it is missing or damaged.
    and read (node: Node) : Value =
        ensure node

        match store.Read node.Key with
        | Intact(path, content) -> Value.decode path content
        | Absent -> read node
        | Damaged reason ->
            options.Tell(Warned reason)
            read node

    // A report some of whose rows failed is not stored: run again, they may not.
    let report (root: Node) : Report =
        let rows =
            if not (ReportStep.is root) || store.Contains root.Key then
                []
            else
                ReportStep.rows (Plan root)
                |> List.map (fun (about, step) ->
                    try
                        ensure step
                        about, Ok step
                    with :? LmcException as error ->
                        about, Error error.Message)

        if rows |> List.forall (snd >> Result.isOk) then
            match read root with
            | Document json -> Report.ofJson json
            | Parameters _ -> raise (LmcException "expected a plan of a report, found one of a model")
        else
            let value outcome =
                match outcome with
                | Error line -> Json.Object [ "failed", Json.Text line ]
                | Ok step ->
                    match read step with
                    | Document json -> json
                    | Parameters _ -> raise (LmcException "expected a measurement, found a model")

            { Rows = [ for about, outcome in rows -> Report.row about (value outcome) ] }

    /// Makes one step's value, with whatever it needs, if it is not stored.
    /// Raises `LmcException` where it fails.
    member _.Make(node: Node) : unit = ensure node

    /// Takes note that a step failed elsewhere, and why: it is not tried here.
    member _.NoteFailure(key: string, line: string) : unit = failed[key] <- line

    /// Makes the values of groups of plans, one group after another, and gives the reports of each to `finished` when they are there.
    /// Where a measurement, or something it needs, fails, its row says why and the others are made all the same.
    /// Raises `LmcException` where nothing could be measured, `OperationCanceledException` when cancelled.
    member _.RunGroups(groups: Plan<Report> list list, finished: Report list -> unit) : unit =
        let roots = groups |> List.concat |> List.map Plan.node
        let all = Plan.steps roots
        Steps.requireOneMeaning all
        let toDo = Steps.missing store roots
        options.Tell(Planned(toDo, all.Length - toDo.Length))

        let outcomes =
            [
                for plans in groups do
                    let reports = plans |> List.map (Plan.node >> report)
                    let failures = reports |> List.collect _.Rows |> List.map _.Failure

                    if failures.IsEmpty || List.exists Option.isNone failures then
                        finished reports

                    yield! failures
            ]

        match List.tryPick id outcomes with
        | Some line when List.forall Option.isSome outcomes -> raise (LmcException line)
        | _ -> ()

    /// Makes the values of several plans and reads the reports; one group of `RunGroups`.
    member this.Run(plans: Plan<Report> list) : Report list =
        let reports = List<Report>()
        this.RunGroups([ plans ], reports.AddRange)
        List.ofSeq reports

    interface IDisposable with
        /// Frees the data sets.
        member _.Dispose() = (data :> IDisposable).Dispose()
