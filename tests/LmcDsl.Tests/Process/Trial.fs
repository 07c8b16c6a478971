/// What a fault is tried on: a command that is started, disturbed, started again; and what must hold of its store and results whatever
/// happened. Counts what was done, for docs/reliability.md.
module LmcDsl.Tests.Process.Trial

open System
open System.Diagnostics
open System.IO
open System.Threading
open Expecto
open LmcDsl
open LmcDsl.Tests.Fixtures

/// The program that runs small experiments.
let program = Path.Combine(AppContext.BaseDirectory, "LmcDsl.Trials.dll")

/// Kills of each kind of work: few in CI, LMC_KILLS of them in a long run.
let kills few =
    match Environment.GetEnvironmentVariable "LMC_KILLS" with
    | null
    | "" -> few
    | text -> int text

/// What was done so far, by several threads.
type Count() =
    let mutable number = 0
    member _.Value = number
    member _.Add(more: int) = Interlocked.Add(&number, more) |> ignore

let killed = Count()
let processes = Count()
let damaged = Count()
let files = Count()

/// The words that put an experiment's store and results into the folder that it runs in.
let places = [ "--store"; "store"; "--results"; "results" ]

/// The same, with figures as SVG alone.
let withoutImages = places @ [ "--no-images" ]

/// The results in such a folder, by name.
let resultsOf (folder: string) = contentsOf (Path.Combine(folder, "results"))

/// Starts an experiment's command in a folder, with environment variables; its threads are those of its set-up.
let startAsSet (environment: (string * string) list) (folder: string) (name: string) (words: string list) : Process =
    let start =
        ProcessStartInfo(
            "dotnet",
            [ program; name ] @ words,
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        )

    for variable, value in environment do
        start.Environment[variable] <- value

    processes.Add 1
    Process.Start start |> Option.ofObj |> Option.get

/// The same with one thread, as each of two workers has.
let start environment folder name words = startAsSet environment folder name ([ "--threads"; "1" ] @ words)

/// Waits for the end: exit code, output, errors.
let finish (child: Process) : int * string * string =
    use child = child
    let errors = child.StandardError.ReadToEndAsync()
    let output = child.StandardOutput.ReadToEnd()
    child.WaitForExit()
    child.ExitCode, output, errors.Result

/// Runs a command to its end.
let run folder name words = finish (start [] folder name words)

/// Waits until something holds; fails after two minutes.
let eventually (what: string) (condition: unit -> bool) =
    let clock = Stopwatch.StartNew()

    while not (condition ()) do
        if clock.Elapsed.TotalMinutes > 2.0 then
            failtest $"expected {what} within two minutes"

        Thread.Sleep 50

/// Kills a process at a moment up to `most` milliseconds from now. Whether it was still running.
let killWithin (random: Random) (least: int) (most: int) (child: Process) : bool =
    let reading = child.StandardOutput.ReadToEndAsync(), child.StandardError.ReadToEndAsync()
    let ended = child.WaitForExit(least + random.Next(max 1 (most - least)))

    if not ended then
        child.Kill()
        child.WaitForExit()
        killed.Add 1
    elif child.ExitCode <> 0 then
        failtest $"expected exit code 0, found {child.ExitCode}: {(snd reading).Result}"

    not ended

/// Every value that the store of a folder gives must be what was written: none is damaged.
let storeIsSound (folder: string) =
    let store = Store.Open folder

    for key in List.ofSeq store.Keys do
        files.Add 1

        match store.Read key with
        | Intact _ -> ()
        | other -> failtest $"{key}: {other}"

/// Nothing unfinished lies in a store, and no temporary file among results.
let nothingIsLeft (store: string) (results: string) =
    for folder in [ "writing"; "partial"; "locks" ] do
        let path = Path.Combine(store, folder)

        if Directory.Exists path then
            Expect.isEmpty (Directory.GetFileSystemEntries path) folder

    Expect.isEmpty (Directory.GetFiles(results, "*.tmp", SearchOption.AllDirectories)) "temporary files"

/// Each file of a results folder that has its name is whole: the same as that of an undisturbed run.
let noFileIsHalf (results: string) (undisturbed: (string * string) list) =
    if Directory.Exists results then
        let sound = dict undisturbed

        for name, found in contentsOf results do
            if not (name.EndsWith ".tmp") then
                files.Add 1
                Expect.equal found sound[name] name

/// Expects a command's mistake to be told in one line that holds each of these parts.
let inOneLine (parts: string list) (code: int, output: string, errors: string) =
    Expect.equal code 1 (output + errors)
    Expect.equal (errors.Trim().Split('\n').Length) 1 errors
    Expect.isFalse ((output + errors).Contains "   at ") "no stack trace"

    for part in parts do
        Expect.stringContains errors part "the line"
