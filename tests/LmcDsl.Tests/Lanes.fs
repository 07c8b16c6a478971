/// All tests, in as many processes beside one another as there are cores, two at the most: most of what takes long waits for programs that the
/// tests start, one after another, and those hardly use a second core.
module LmcDsl.Tests.Lanes

open System
open System.Diagnostics
open System.IO
open Expecto
open Expecto.Impl

/// The word that makes a process of the tests one of several.
let word = "lane"

/// How a run went: how many tests passed and were left out, which failed, and the seconds of each.
type Outcome =
    { Passed: int; Skipped: int; Failed: string list; Times: (float * string) list }

let private nothing = { Passed = 0; Skipped = 0; Failed = []; Times = [] }

let private together (a: Outcome) (b: Outcome) : Outcome =
    {
        Passed = a.Passed + b.Passed
        Skipped = a.Skipped + b.Skipped
        Failed = a.Failed @ b.Failed
        Times = a.Times @ b.Times
    }

let private fullName (test: FlatTest) = String.concat "." test.name

let private outcomeOf (results: TestRunSummary) : Outcome =
    {
        Passed = results.passed.Length
        Skipped = results.ignored.Length
        Failed = [ for test, _ in results.failed @ results.errored -> fullName test ]
        Times = [ for test, result in results.results -> result.duration.TotalSeconds, fullName test ]
    }

/// One after another: Torch uses the cores within each operation.
let sequential: CLIArguments list = [ Sequenced; No_Spinner; Colours 0 ]

/// What is said at the end: what failed, what took longest in a long run, and the numbers.
let private tell (took: TimeSpan) (all: Outcome) =
    let said = Text.StringBuilder("\n")

    for name in all.Failed do
        said.Append($"failed: {name}\n") |> ignore

    if took > TimeSpan.FromMinutes 5.0 then
        for seconds, name in all.Times |> List.sortDescending |> List.truncate 25 do
            said.Append($"{seconds, 7:F1} s  {name}\n") |> ignore

    let skipped = if all.Skipped = 0 then "" else $", {all.Skipped} skipped"
    said.Append($"{all.Passed} passed, {all.Failed.Length} failed{skipped}\n") |> ignore
    // Past Expecto's own writer, which pads lines with blanks.
    use output = Console.OpenStandardOutput()
    output.Write(Text.Encoding.UTF8.GetBytes(string said))

let private run (printer: TestPrinters) (arguments: string[]) (tests: Test) : int * Outcome option =
    // None where the arguments ask for something else than running tests.
    let mutable outcome = None

    let counting =
        { printer with
            summary =
                fun config results ->
                    outcome <- Some(outcomeOf results)
                    printer.summary config results
        }

    let code = runTestsWithCLIArgs (Printer counting :: sequential) arguments tests
    code, outcome

/// Runs what the arguments choose, in this process. Gives the exit code.
let alone (printer: TestPrinters) (arguments: string[]) (tests: Test) : int =
    let watch = Stopwatch.StartNew()
    let code, outcome = run printer arguments tests

    outcome |> Option.iter (tell watch.Elapsed)
    code

/// Takes a list for this process alone: the first to make its file has it.
let private takes (folder: string) (name: string) =
    try
        use _ = File.Open(Path.Combine(folder, $"{name}.taken"), FileMode.CreateNew)
        true
    with :? IOException ->
        false

let private resultOf (folder: string) (name: string) = Path.Combine(folder, $"{name}.json")

/// One of several processes: runs the lists that no other has taken yet, and writes how each went.
let lane (printer: TestPrinters) (folder: string) (lists: (string * Test) list) : int =
    let quiet =
        { printer with
            beforeRun = fun _ -> async.Return()
            summary = fun _ _ -> async.Return()
        }

    for name, test in lists do
        if takes folder name then
            let watch = Stopwatch.StartNew()
            let outcome = run quiet [||] test |> snd |> Option.defaultValue nothing
            File.WriteAllText(resultOf folder name, System.Text.Json.JsonSerializer.Serialize outcome)

            printfn
                $"{name}: {outcome.Passed} passed, {outcome.Failed.Length} failed ({watch.Elapsed.TotalSeconds:F0} s)"

    0

/// Runs the lists in several processes, the first ones first. Gives the exit code.
let inLanes (lists: (string * Test) list) : int =
    let watch = Stopwatch.StartNew()
    let folder = Directory.CreateTempSubdirectory("lmcdsl-lanes-").FullName

    try
        let lanes =
            [
                for _ in 1 .. min 2 Environment.ProcessorCount ->
                    Process.Start("dotnet", [ Reflection.Assembly.GetExecutingAssembly().Location; word; folder ])
            ]

        for lane in lanes do
            lane.WaitForExit()

        let all =
            [
                for name, _ in lists do
                    match resultOf folder name with
                    | path when File.Exists path ->
                        System.Text.Json.JsonSerializer.Deserialize<Outcome>(File.ReadAllText path)
                    | _ -> { nothing with Failed = [ $"{name}: the process that ran it ended" ] }
            ]
            |> List.fold together nothing

        tell watch.Elapsed all
        if all.Failed.IsEmpty then 0 else 1
    finally
        Directory.Delete(folder, recursive = true)
