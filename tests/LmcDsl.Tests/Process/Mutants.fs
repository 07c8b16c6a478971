/// Small wrong changes of the library's source, each with the test lists that must fail because of it (tests/mutants). They are applied to
/// a copy, all at once behind one switch that a run chooses by an environment variable, so that one build serves all.
module LmcDsl.Tests.Process.Mutants

open System
open System.Collections.Generic
open System.Diagnostics
open System.IO
open System.Text.RegularExpressions
open System.Threading
open System.Threading.Tasks

/// A named change: in a file, where `Old` stands within `In`, `New`.
type Mutant =
    {
        /// What the library then does wrong.
        Name: string
        /// The file, from the project's root.
        File: string
        /// The test lists of which one must fail.
        Lists: string list
        /// A text that stands in the file once, and holds `Old` once.
        In: string
        /// A whole expression, or a whole statement that ends with a semicolon.
        Old: string
        /// What takes its place.
        New: string
    }

let private root = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", "..", ".."))
let private table = Path.Combine(root, "tests", "mutants")
let private inRoot (path: string) = Path.Combine(root, path)

let private parse (path: string) : Mutant list =
    let mistake number what = failwith $"{Path.GetFileName path}, line {number}: expected {what}"

    let step (state: Map<string, string>, found: Mutant list) (number: int, line: string) =
        match line.Split(": ", 2) with
        | _ when line.StartsWith '#' || line = "" -> state, found
        | [| "new"; text |] ->
            let field name =
                match state.TryFind name with
                | Some value -> value
                | None -> mistake number $"a line '{name}: ...' before 'new: ...'"

            let old = field "old"

            let mutant =
                {
                    Name = field "name"
                    File = field "file"
                    Lists = (field "lists").Split ", " |> List.ofArray
                    In = state.TryFind "in" |> Option.defaultValue old
                    Old = old
                    New = text
                }

            // The file and its lists hold for those that follow.
            state.Remove("name").Remove("old").Remove "in", mutant :: found
        | [| "name" | "file" | "lists" | "in" | "old" as name; text |] -> state.Add(name, text), found
        | _ -> mistake number "name, file, lists, in, old or new, a colon and a blank"

    File.ReadAllLines path
    |> Seq.indexed
    |> Seq.map (fun (k, line) -> k + 1, line)
    |> Seq.fold step (Map.empty, [])
    |> snd
    |> List.rev

/// All of them, by file and in order. Raises where the table cannot be read.
let all () : Mutant list = Directory.GetFiles(table, "*.txt") |> Array.sort |> List.ofArray |> List.collect parse

let private only (part: string) (text: string) =
    match text.IndexOf(part, StringComparison.Ordinal) with
    | -1 -> Error "is not there"
    | at when text.IndexOf(part, at + 1, StringComparison.Ordinal) >= 0 -> Error "is there more than once"
    | at -> Ok at

/// Where a mutant's text begins in its file, or why it cannot be applied.
let place (mutant: Mutant) : Result<int, string> =
    let path = inRoot mutant.File

    if not (File.Exists path) then
        Error $"there is no {mutant.File}"
    else
        let within =
            File.ReadAllText path
            |> only mutant.In
            |> Result.mapError (fun why -> $"'{mutant.In}' {why} in {mutant.File}")

        let inside = only mutant.Old mutant.In |> Result.mapError (fun why -> $"'{mutant.Old}' {why} in '{mutant.In}'")
        Result.bind (fun at -> inside |> Result.map ((+) at)) within

/// The environment variable that says which mutant is on.
let switch = "LMC_MUTANT"

let private switchSource =
    $$"""namespace LmcDsl.Core.Runtime;

public static class Mutant
{
    private static readonly int Chosen = int.Parse(Environment.GetEnvironmentVariable("{{switch}}") ?? "-1");

    public static bool Is(int number) => Chosen == number;
}
"""

/// The old text where the switch is off, the new where it is on.
let private behind (number: int) (mutant: Mutant) (old: string) =
    if mutant.File.EndsWith ".fs" then
        $"(if LmcDsl.Core.Runtime.Mutant.Is({number}) then {mutant.New} else {old})"
    elif mutant.Old.EndsWith ';' then
        let replacement = if mutant.New = ";" then "" else mutant.New
        $"if (global::LmcDsl.Core.Runtime.Mutant.Is({number})) {{ {replacement} }} else {{ {old} }}"
    else
        $"(global::LmcDsl.Core.Runtime.Mutant.Is({number}) ? {mutant.New} : {old})"

/// A file with some mutants in it; where one's text lies within another's, both are.
let private mutated (text: string) (edits: (int * int * Mutant) list) : string =
    let rec render from until edits =
        match edits with
        | [] -> text.Substring(from, until - from)
        | (number, at, mutant) :: rest ->
            let stop = at + mutant.Old.Length
            let inside, after = rest |> List.partition (fun (_, other, _) -> other < stop)
            text.Substring(from, at - from) + behind number mutant (render at stop inside) + render stop until after

    edits |> List.sortBy (fun (_, at, mutant) -> at, -mutant.Old.Length) |> render 0 text.Length

let rec private copyFolder (source: string) (target: string) (skip: string -> bool) =
    Directory.CreateDirectory target |> ignore

    for path in Directory.GetFileSystemEntries source do
        let into = Path.Combine(target, Path.GetFileName path)

        if skip path then
            ()
        elif Directory.Exists path then
            if isNull (FileInfo(path).LinkTarget) then
                copyFolder path into skip
            else
                File.CreateSymbolicLink(into, FileInfo(path).LinkTarget) |> ignore
        else
            // What a link leads to: a program that is a link would run beside the libraries where it lies, not beside these.
            File.Copy(path, into)

/// Copies what a build of the library needs; what NuGet and Paket have found out is true of the copy too.
let private copySource (folder: string) =
    let unwanted (path: string) =
        Path.GetFileName path = "bin" || path.EndsWith(Path.Combine("obj", "Release"), StringComparison.Ordinal)

    // The command carries what a new project begins with.
    for name in [ "src"; "templates"; "experiments"; ".paket"; "paket-files"; ".config" ] do
        copyFolder (inRoot name) (Path.Combine(folder, name)) unwanted

    for name in
        [
            "paket.lock"
            "paket.dependencies"
            "Directory.Build.props"
            "global.json"
            "README.md"
            "CHANGELOG.md"
            "Directory.Build.targets"
        ] do
        File.Copy(inRoot name, Path.Combine(folder, name))

    for project in Directory.GetDirectories(Path.Combine(folder, "src")) do
        for file in Directory.GetFiles(Path.Combine(project, "obj")) do
            let text = File.ReadAllText file
            let here = text.Replace(root.TrimEnd '/', folder)

            if here <> text then
                File.WriteAllText(file, here)

// Runs a program of dotnet's: its exit code and output, or none where it does not end within the limit. It is ended as having failed once a
// line that it says is enough.
let private run
    (folder: string)
    (environment: (string * string) list)
    (words: string list)
    (limit: TimeSpan)
    (isEnough: string -> bool)
    =
    let start =
        ProcessStartInfo(
            "dotnet",
            words,
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        )

    for name, value in environment do
        start.Environment[name] <- value

    use child = Process.Start start |> Option.ofObj |> Option.get
    let output = Text.StringBuilder()
    let enough = new CancellationTokenSource(limit) // not disposed: a line that was on its way may still come to it

    let keep (line: string | null) =
        lock output (fun () -> output.Append(line).Append('\n') |> ignore)

        if not (isNull line) && isEnough line then
            enough.Cancel()

    child.OutputDataReceived.Add(fun told -> keep told.Data)
    child.ErrorDataReceived.Add(fun told -> keep told.Data)
    let clock = Stopwatch.StartNew()
    child.BeginOutputReadLine()
    child.BeginErrorReadLine()

    try
        child.WaitForExitAsync(enough.Token).Wait()
        Some(child.ExitCode, string output)
    with :? AggregateException ->
        child.Kill(entireProcessTree = true)
        if clock.Elapsed < limit then Some(1, string output) else None

let private build (folder: string) (project: string) =
    let words =
        [
            "build"
            $"src/{project}"
            "-c"
            "Release"
            "--no-restore"
            "--nologo"
            "-v"
            "quiet"
            "-p:TreatWarningsAsErrors=false"
            // Nothing that outlives the build and keeps its output open.
            "-p:UseSharedCompilation=false"
            "-nodeReuse:false"
        ]

    match run folder [] words (TimeSpan.FromMinutes 20.0) (fun _ -> false) with
    | Some(0, _) -> ()
    | Some(_, output) ->
        let errors = output.Split '\n' |> Array.filter _.Contains("error") |> Array.distinct
        failwith ("the mutated source does not build:\n" + String.Join("\n", errors))
    | None -> failwith "the build of the mutated source did not end"

/// Applies mutants to a copy of the source and builds it; gives the folder of the tests' program that runs on it.
let private prepare (folder: string) (chosen: (int * int * Mutant) list) : string =
    copySource folder
    File.WriteAllText(Path.Combine(folder, "src", "LmcDsl.Core", "Runtime", "Mutant.cs"), switchSource)

    for file, edits in chosen |> List.groupBy (fun (_, _, mutant) -> mutant.File) do
        let path = Path.Combine(folder, file)
        File.WriteAllText(path, mutated (File.ReadAllText path) edits)

    let touches (part: string) = chosen |> List.exists (fun (_, _, mutant) -> mutant.File.StartsWith part)
    let program = Path.Combine(folder, "program")
    copyFolder AppContext.BaseDirectory program (fun _ -> false)

    let projects = [ "LmcDsl.Core", "LmcDsl.Core.dll"; "LmcDsl", "LmcDsl.dll"; "LmcDsl.Tool", "lmc.dll" ]

    for _, _, mutant in chosen do
        if not (projects |> List.exists (fun (project, _) -> mutant.File.StartsWith $"src/{project}/")) then
            failwith $"{mutant.Name}: expected a file of a project under src, found {mutant.File}"

    for project, name in projects do
        if project = "LmcDsl.Core" || touches $"src/{project}/" then
            build folder project
            File.Delete(Path.Combine(program, name))

            File.Copy(
                Path.Combine(folder, "src", project, "bin", "Release", "net10.0", name),
                Path.Combine(program, name)
            )

    program

// How Expecto begins the line of a test that failed.
let private failure = Regex @"^(\x1b\[\d+m)*\[\d\d:\d\d:\d\d ERR\]"

let private testsOf (program: string) (number: int option) (limit: TimeSpan) (list: string) =
    let environment = [ for n in Option.toList number -> switch, string n ]
    // One test that fails is enough to catch a mutant.
    let isEnough = fun (line: string) -> number.IsSome && failure.IsMatch line
    run program environment [ "LmcDsl.Tests.dll"; "--list"; list ] limit isEnough

/// Runs mutants: tells of each whether a test list of its own fails, and gives the numbers of those caught, those that survived, and those
/// that could not be applied. Raises where the source does not build with them, or where a list fails without any: the first list alone is tried
/// so where all are known to pass, as in a run of all tests. So many are run at once.
let runAll (areKnown: bool) (atOnce: int) (tell: string -> unit) (chosen: Mutant list) : int * int * int =
    let numbered = chosen |> List.indexed |> List.map (fun (number, mutant) -> number, place mutant, mutant)

    let applied =
        [
            for number, place, mutant in numbered do
                match place with
                | Ok at -> number, at, mutant
                | Error why -> tell $"NOT APPLIED {mutant.Name}: {why}"
        ]

    let folder = Directory.CreateTempSubdirectory("lmcdsl-mutants-").FullName

    try
        let program = prepare folder applied

        let limits = Dictionary<string, TimeSpan>()

        // With the switch off every list must pass, else that it fails says nothing. A wrong library may well never end.
        let limitOf list =
            lock limits (fun () ->
                if not (limits.ContainsKey list) && areKnown && limits.Count > 0 then
                    limits[list] <- TimeSpan.FromMinutes 10.0
                elif not (limits.ContainsKey list) then
                    let clock = Stopwatch.StartNew()

                    match testsOf program None (TimeSpan.FromMinutes 15.0) list with
                    | Some(0, output) when not (output.Contains "\n0 passed") ->
                        limits[list] <- 5.0 * clock.Elapsed + TimeSpan.FromMinutes 1.0
                    | Some(_, output) ->
                        failwith $"the list '{list}' has no test, or fails without a mutant:\n{output}"
                    | None -> failwith $"the list '{list}' does not end without a mutant"

                limits[list])

        let isCaught (number: int, mutant: Mutant) =
            let clock = Stopwatch.StartNew()

            let failing =
                mutant.Lists
                |> List.tryPick (fun list ->
                    match testsOf program (Some number) (limitOf list) list with
                    | Some(0, _) -> None
                    | Some _ -> Some list
                    | None -> Some $"{list} does not end")

            let seconds = clock.Elapsed.TotalSeconds.ToString "F0"

            lock limits (fun () ->
                match failing with
                | Some list -> tell $"caught      {mutant.Name} ({list}, {seconds} s)"
                | None -> tell $"SURVIVED    {mutant.Name} ({mutant.File})")

            failing.IsSome

        let all = applied |> List.map (fun (number, _, mutant) -> number, mutant) |> Array.ofList
        let caught = Array.zeroCreate all.Length

        try
            Parallel.For(
                0,
                all.Length,
                ParallelOptions(MaxDegreeOfParallelism = atOnce),
                fun k -> caught[k] <- isCaught all[k]
            )
            |> ignore
        with :? AggregateException as error ->
            raise error.InnerExceptions[0]

        let count = caught |> Array.filter id |> Array.length
        count, applied.Length - count, chosen.Length - applied.Length
    finally
        Directory.Delete(folder, recursive = true)

/// So many mutants, by a day: each day others, all of one day the same.
let draw (count: int) (day: DateOnly) (mutants: Mutant list) : Mutant list =
    let mixed = List.toArray mutants
    Random(day.DayNumber).Shuffle mixed
    List.ofArray (Array.truncate count mixed)

/// The word by which this program runs mutants in place of tests.
let word = "mutants"

/// `mutants [--draw N] [--only TEXT ...]`: all of them, N drawn by the day's date, or those whose name or file holds one of the texts. The exit code is 1
/// where one survives or cannot be applied.
let command (words: string list) : int =
    let chosen =
        match words with
        | [] -> all ()
        | [ "--draw"; count ] -> all () |> draw (int count) (DateOnly.FromDateTime DateTime.UtcNow)
        | "--only" :: texts ->
            all ()
            |> List.filter (fun m -> texts |> List.exists (fun text -> m.Name.Contains text || m.File.Contains text))
        | _ -> failwith $"""expected [--draw N] or [--only TEXT ...], found '{String.Join(" ", words)}'"""

    try
        let caught, survived, missing = runAll false Environment.ProcessorCount (fun line -> printfn $"{line}") chosen
        let rest = if missing = 0 then "" else $", {missing} could not be applied"
        printfn $"\n{caught} caught, {survived} survived{rest}"
        if survived + missing = 0 then 0 else 1
    with Failure why ->
        eprintfn $"{why}"
        1
