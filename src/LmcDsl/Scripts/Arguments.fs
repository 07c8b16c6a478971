namespace LmcDsl

open System
open System.IO
open Argu
open LmcDsl.Core.Runtime

/// What the command line of an experiment may say.
type internal Argument =
    | [<Unique>] Scale of string
    | [<Unique>] Seeds of int64 list
    | [<Unique>] Epochs of int
    | [<Unique>] Dataset of string
    | Set of assignment: string list
    | Only of label: string list
    | [<Unique>] Device of string
    | [<Unique>] Threads of int
    | [<Unique>] Results of string
    | [<Unique>] Store of string
    | [<Unique>] On of string
    | [<Unique>] Jobs of int
    | [<Unique>] Retries of int
    | [<EqualsAssignmentOrSpaced>] Sbatch of string
    | [<Unique; Hidden>] Nodes of key: string list
    | [<Unique; Hidden>] Worker
    | [<Unique>] No_Images
    | [<Unique>] Watch
    | [<Unique>] Plan

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Scale _ -> "smoke, laptop (the default) or paper: how much work the paper's experiments are."
            | Seeds _ -> "the seed of each model, in order (default: 0 1 2 ...)."
            | Epochs _ -> "passes over the training data."
            | Dataset _ -> "mnist, fashion-mnist, cifar-10 or glyphs (drawn by code); a part of it as mnist:2000+500."
            | Set _ -> $"any field of the set-up, as --set LearningRate=3e-3 Width=256: {Fields.help}."
            | Only _ ->
                "only the rows with these labels, as --only network=\"VGG11 / CIFAR-10\" search=WM, and what they need."
            | Device _ -> "cpu, cuda or cuda:N."
            | Threads _ -> "threads of one operation (default: all cores)."
            | Results _ -> "folder for tables and figures (default: results/NAME, for other scales results/SCALE/NAME)."
            | Store _ -> "folder of the artifact store (default: results/store)."
            | On _ -> "local (default) or slurm: where steps run. Slurm's nodes must share the store's folder."
            | Jobs _ ->
                "steps that run at once: worker processes here (default: 1; they share the cores), tasks on Slurm (default: as many as the cluster will)."
            | Retries _ -> "how often a step is tried again whose task failed or whose worker was killed (default: 1)."
            | Sbatch _ -> "a further option of sbatch, as --sbatch=--time=2:00:00; may be given several times."
            | Nodes _ -> "makes only these steps; what a task on a cluster runs."
            | Worker -> "makes the steps whose keys it reads; what a worker process runs."
            | No_Images -> "write no SVG, PNG and PDF files of the figures."
            | Watch -> "keep a page of how the run goes, watch.html beside the results; it loads itself anew."
            | Plan -> "show what would be done, and stop."

/// Where steps run.
type EngineRequest =
    /// One after another, in this process.
    | Here
    /// So many at once, in worker processes on this machine; a step whose worker was killed is tried again so often.
    | SideBySide of jobs: int * retries: int
    /// On a Slurm cluster: at most so many tasks at once (0: as many as it will), failed ones tried again so often, with these further
    /// options of sbatch.
    | OnSlurm of atOnce: int * retries: int * extra: string list

/// The command line of an experiment, read.
type Arguments =
    {
        /// Changes that it makes to a set-up.
        Change: Setup -> Setup
        /// What `--set`, `--epochs`, `--seeds` and `--dataset` say, each with a set-up's change by all the other arguments.
        Assignments: (string * (Setup -> Setup)) list
        /// Labels that rows must have to be made; all rows where there are none.
        Only: (string * string) list
        /// Whether to keep a page of how the run goes.
        Watch: bool
        /// The words that say what is made, whatever runs it and wherever files lie.
        Essential: string list
        /// Whether it names a data set.
        NamesData: bool
        /// How much work, where it says so.
        Size: Size option
        /// Folder for tables and figures, where it names one.
        Results: string option
        /// Folder of the store.
        Store: string
        /// Where steps run.
        Engine: EngineRequest
        /// The only steps to make, by their keys; all where there are none.
        Nodes: string list
        /// Whether this is a worker process.
        IsWorker: bool
        /// Whether to write figures as files.
        Images: bool
        /// Whether to show the plan and stop.
        ShowPlan: bool
    }

/// Reading the command line of an experiment.
[<RequireQualifiedAccess>]
module Arguments =

    let private atLeastOne name value =
        if value < 1 then
            raise (LmcException $"--{name}: expected 1 or more, found {value}")

        value

    let private dataset name = Library.dataSet "--dataset" name

    let private engine (results: ParseResults<Argument>) =
        let jobs = results.TryGetResult Argument.Jobs |> Option.map (atLeastOne "jobs")
        let retries = max 0 (results.GetResult(Argument.Retries, defaultValue = 1))

        let onSlurm =
            results.GetResult(Argument.On, defaultValue = "local")
            |> Words.oneOf "--on" [ "local", false; "slurm", true ]

        match onSlurm, defaultArg jobs 1 with
        | false, 1 -> Here
        | false, jobs -> SideBySide(jobs, retries)
        | true, _ -> OnSlurm(defaultArg jobs 0, retries, results.GetResults Argument.Sbatch)

    // Workers share the cores: threads of one operation, times workers, are never more than these.
    let private threads (results: ParseResults<Argument>) : int option =
        let cores = Environment.ProcessorCount
        let named = results.TryGetResult Argument.Threads |> Option.map (atLeastOne "threads")

        match engine results, named with
        | SideBySide(jobs, _), Some threads when jobs * threads > cores ->
            let most = cores / threads

            raise (
                LmcException $"--jobs: expected at most {most} with --threads {threads} on {cores} cores, found {jobs}"
            )
        | SideBySide(jobs, _), None when jobs > cores ->
            raise (LmcException $"--jobs: expected at most {cores}, one for each core, found {jobs}")
        | SideBySide(jobs, _), None -> Some(cores / jobs)
        | _ -> named

    let private size name = Words.oneOf "--scale" [ "smoke", Smoke; "laptop", Laptop; "paper", Size.Paper ] name

    // Fields that have an argument of their own: one of the two says it.
    let private twice (results: ParseResults<Argument>) (fields: string list) =
        let own =
            [
                "Data", results.Contains Argument.Dataset
                "Epochs", results.Contains Argument.Epochs
                "Seeds", results.Contains Argument.Seeds
                "Device", results.Contains Argument.Device
                "Threads", results.Contains Argument.Threads
            ]

        for name, given in own do
            let argument = if name = "Data" then "dataset" else name.ToLowerInvariant()

            if given && List.contains name fields then
                raise (LmcException $"--set {name}: expected it once, found --{argument} as well")

    let private epochs (results: ParseResults<Argument>) =
        results.TryGetResult Argument.Epochs |> Option.map (atLeastOne "epochs")

    // What changes a set-up, each as it is written.
    let private fields (results: ParseResults<Argument>) : (string * (Setup -> Setup)) list =
        [
            match results.TryGetResult Argument.Seeds with
            | Some seeds -> "--seeds", (fun setup -> { setup with Seeds = Listed seeds })
            | None -> ()
            match epochs results with
            | Some epochs -> $"--epochs {epochs}", (fun setup -> { setup with Epochs = epochs })
            | None -> ()
            match results.TryGetResult Argument.Dataset with
            | Some name ->
                let data = dataset name
                $"--dataset {name}", (fun setup -> { setup with Data = data })
            | None -> ()
        ]

    let private change (results: ParseResults<Argument>) (setup: Setup) =

        let device =
            results.TryGetResult Argument.Device
            |> Option.map (fun name ->
                TorchRuntime.Device name |> ignore
                name)

        { setup with
            Device = defaultArg device setup.Device
            Threads = defaultArg (threads results) setup.Threads
        }

    // Options that take a value each, and are no part of what is made: where steps run, and where files lie.
    let private ofEngine = [ "--on"; "--jobs"; "--retries"; "--sbatch" ]
    let private ofPlaces = [ "--store"; "--results" ]

    let rec private without (options: string list) (words: string list) : string list =
        match words with
        | option :: _ :: rest when List.contains option options -> without options rest
        | option :: rest when options |> List.exists (fun name -> option.StartsWith(name + "=")) -> without options rest
        | word :: rest -> word :: without options rest
        | [] -> []

    /// The words but for those that say where steps run.
    let withoutEngine (words: string list) : string list = without ofEngine words

    // The words that say what is made: but for those that say where steps run and where files lie. Sharing cores changes threads, and so
    // what is made.
    let private essential (results: ParseResults<Argument>) (words: string list) : string list =
        let kept = without (ofEngine @ ofPlaces) words

        match engine results, threads results with
        | SideBySide _, Some shared when not (results.Contains Argument.Threads) ->
            kept @ [ "--threads"; string shared ]
        | _ -> kept

    /// Reads the command line of an experiment's script, of which help speaks by its path.
    /// Raises `Usage` where it asks for help or is not understood.
    let parse (script: string) (arguments: string list) : Arguments =
        let program = $"dotnet fsi {script}"
        let results = Words.parse program (ArgumentParser.Create<Argument>(programName = program)) arguments
        let assigned = results.GetResults Argument.Set |> List.concat |> Fields.changes
        let names = assigned |> List.map (fun (assignment, _) -> assignment.Split('=').[0])
        twice results names
        let changes = fields results @ [ for assignment, set in assigned -> $"--set {assignment}", set ]
        let applying changes setup = List.fold (fun setup (_, set) -> set setup) (change results setup) changes

        {
            Change = applying changes
            Assignments =
                [
                    for written, _ in changes ->
                        written, applying (changes |> List.filter (fun (other, _) -> other <> written))
                ]
            Only = results.GetResults Argument.Only |> List.concat |> List.map Only.parse
            Watch = results.Contains Argument.Watch
            Essential = essential results arguments
            NamesData = results.Contains Argument.Dataset || List.contains "Data" names
            Size = results.TryGetResult Argument.Scale |> Option.map size
            Results = results.TryGetResult Argument.Results
            Store = results.GetResult(Argument.Store, defaultValue = Path.Combine("results", "store"))
            Engine = engine results
            Nodes = results.GetResult(Argument.Nodes, defaultValue = [])
            IsWorker = results.Contains Argument.Worker
            Images = not (results.Contains Argument.No_Images)
            ShowPlan = results.Contains Argument.Plan
        }
