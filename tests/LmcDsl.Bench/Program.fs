module LmcDsl.Bench.Program

open System
open System.IO
open Argu
open LmcDsl
open LmcDsl.Core.Runtime

type private Argument =
    | [<Unique>] Only of string
    | [<Unique>] Peers
    | [<Unique>] Memory of models: int
    | [<Unique>] Peak
    | [<Unique>] Profile
    | [<Unique>] Optimum of pairs: string
    | [<Unique>] Barriers of pairs: string
    | [<Unique>] Circuits of models: string option
    | [<Unique>] Weights of folder: string
    | [<Unique>] Threads of int
    | [<Unique>] Results of string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Only _ -> "only training, curve, search, matching, assignment, growth or busy."
            | Peers -> "time weight matching beside a straightforward implementation with SciPy (slow)."
            | Memory _ -> "instead: memory held after each of so many models of one run."
            | Peak -> "instead: memory that weight matching takes on VGG16 at four times its width."
            | Profile -> "instead: what the parts of a training step and of a straight-through step take."
            | Optimum _ -> "instead: how near searches bring pairs of models whose names hold a text ('' for all)."
            | Barriers _ -> "instead: the barriers and R that those searches leave to pairs on CIFAR-10 ('' for all)."
            | Circuits _ ->
                "instead: barriers of language models after the published weight matching of transformers, and after ours: characters (the default) or published."
            | Weights _ -> "folder for trained models (default: results/bench/weights)."
            | Threads _ -> "threads of one operation (default: 2)."
            | Results _ -> "folder for bench.json (default: results/bench)."

let private suites peers : (string * (unit -> (unit -> Comparison) list)) list =
    [
        "training", (fun () -> TrainingBench.comparisons)
        "curve", (fun () -> CurveBench.comparisons)
        "search", (fun () -> SearchBench.comparisons)
        "matching", (fun () -> MatchingBench.comparisons peers)
        "assignment", AssignmentBench.comparisons
        "growth", (fun () -> MatchingBench.growth)
        "busy", (fun () -> BusyBench.comparisons)
    ]

let private row timing =
    [
        timing.Comparison.Name
        string timing.Comparison.N
        (Timing.median timing.Ours).ToString "F4"
        (List.min timing.Ours).ToString "F4"
        timing.Comparison.Reference
        (Timing.median timing.Theirs).ToString "F4"
        (Timing.ratio timing).ToString "F2"
    ]

let private compare (results: ParseResults<Argument>) =
    let only = results.GetResult(Only, defaultValue = "")
    let suites = suites (results.Contains Peers)
    let chosen = suites |> List.filter (fun (name, _) -> name.Contains only)

    if chosen.IsEmpty then
        let known = String.Join(", ", suites |> List.map fst)
        raise (LmcException $"--only: expected part of one of {known}, found '{only}'")

    let folder = results.GetResult(Results, defaultValue = Path.Combine("results", "bench"))
    let timings = Collections.Generic.List<Timing>()

    // Written after each, so that what was timed is kept whatever ends the run.
    let keep (timing: Timing) =
        timings.Add timing
        Console.Error.WriteLine("  " + String.Join("  ", row timing))
        let path = Path.Combine(folder, "bench.json")
        AtomicFile.writeText path (Json.indented (Json.Array(timings |> Seq.map Timing.toJson |> List.ofSeq)))

    for _, comparisons in chosen do
        for make in comparisons () do
            let comparison = make ()
            Console.Error.WriteLine $"{comparison.Name}, n = {comparison.N} ..."
            keep (Timing.run comparison)

    let timings = List.ofSeq timings

    Terminal.table
        {
            Title = "Seconds, and how many times faster than the reference"
            Columns = [ "what"; "n"; "median"; "least"; "reference"; "its median"; "ratio" ]
            Rows = List.map row timings
        }

    for name, own in timings |> List.groupBy _.Comparison.Name do
        if own.Length > 2 then
            Console.WriteLine $"{name}: grows as n^{Timing.exponent own:F2}"

let private run (results: ParseResults<Argument>) =
    TorchRuntime.UseThreads(results.GetResult(Threads, defaultValue = 2))

    results.TryGetResult Weights |> Option.iter (fun folder -> Weights.folder <- folder)

    match results.TryGetResult Memory with
    | Some models when models < 1 -> raise (LmcException $"--memory: expected 1 or more models, found {models}")
    | Some models -> Terminal.table (MemoryBench.table models)
    | None when results.Contains Peak -> Terminal.table (MemoryBench.matching ())
    | None when results.Contains Barriers -> Terminal.table (OptimumBench.barriers (results.GetResult Barriers))
    | None when results.Contains Optimum -> Terminal.table (OptimumBench.table (results.GetResult Optimum))
    | None when results.Contains Circuits ->
        let which = results.GetResult Circuits |> Option.defaultValue "characters"
        Terminal.table (CircuitBench.table which)
    | None when results.Contains Profile ->
        for make in ProfileBench.tables do
            Terminal.table (make ())
    | None -> compare results

[<EntryPoint>]
let main arguments =
    CommandLine.speakInvariant ()
    let parser = ArgumentParser.Create<Argument>(programName = "dotnet fsi build.fsx -t Bench --")

    try
        run (parser.ParseCommandLine arguments)
        0
    with
    | :? ArguParseException as error ->
        Console.Error.WriteLine error.Message
        if error.ErrorCode = ErrorCode.HelpText then 0 else 2
    | :? LmcException as error ->
        Console.Error.WriteLine $"bench: {error.Message}"
        1
