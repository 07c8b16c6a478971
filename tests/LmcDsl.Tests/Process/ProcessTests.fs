module LmcDsl.Tests.Process.ProcessTests

open System
open System.Diagnostics
open System.IO
open System.Threading
open Expecto
open LmcDsl.Tests.Fixtures
open LmcDsl.Trials
open LmcDsl.Tests.Process.Trial

let private root = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", "..", ".."))

/// Starts the small experiment with its store and results in `folder`.
let private small folder words = startAsSet [] folder SmallExperiment.word (withoutImages @ words)

let private undisturbed =
    lazy
        (inFolder (fun folder ->
            let code, output, errors = finish (small folder [])
            Expect.equal code 0 (output + errors)
            resultsOf folder))

let private signal (name: string) (child: Process) = runProgram "." "kill" [ $"-{name}"; string child.Id ] |> ignore

let tests =
    testSequenced (
        testList "Process" [
            test "--only makes the rows with a label and nothing else, in workers too" {
                for jobs in [ []; [ "--jobs"; "2" ] ] do
                    inFolder (fun folder ->
                        let words = withoutImages @ [ "--only"; "search=WM" ] @ jobs
                        let code, output, errors = finish (startAsSet [] folder SmallExperiment.matching words)
                        Expect.equal code 0 (output + errors)
                        Expect.stringContains output "match weights of 1 to 0" "its search"

                        Expect.isFalse
                            (output.Contains "activations" || output.Contains "straight-through")
                            "no other's"

                        let report = File.ReadAllText(Path.Combine(folder, "results", "report.json"))
                        Expect.stringContains report "WM" "its rows"
                        Expect.isFalse (report.Contains "SinkhornWM") "no other's rows"
                        Expect.stringContains report "--only search=WM" "the command says so")
            }

            test "killed at random moments and run again, it ends in the same bytes" {
                let random = Random 11

                inFolder (fun folder ->
                    let killed = ref 0

                    while killed.Value < kills 4 do
                        use child = small folder []
                        let reading = child.StandardOutput.ReadToEndAsync(), child.StandardError.ReadToEndAsync()

                        if not (child.WaitForExit(300 + random.Next 2500)) then
                            child.Kill()
                            child.WaitForExit()
                            killed.Value <- killed.Value + 1
                        else
                            // It came to its end in spite of all: begin anew.
                            Expect.equal child.ExitCode 0 (fst reading).Result
                            Directory.Delete(Path.Combine(folder, "store"), true)

                    let code, output, errors = finish (small folder [])
                    Expect.equal code 0 (output + errors)
                    Expect.equal (resultsOf folder) undisturbed.Value "same bytes"
                    let left = Path.Combine(folder, "store", "partial")
                    Expect.isEmpty (Directory.GetFiles left) "no unfinished step is left"
                    Expect.equal errors "" "nothing was damaged")
            }

            test "a training that was killed goes on from the last finished epoch" {
                inFolder (fun folder ->
                    use child = small folder []
                    child.StandardOutput.ReadToEndAsync() |> ignore
                    child.StandardError.ReadToEndAsync() |> ignore
                    let partial = Path.Combine(folder, "store", "partial")

                    let kept () =
                        Directory.Exists partial
                        && Directory.GetFiles partial |> Array.exists (fun f -> not (f.EndsWith ".tmp"))

                    while not (kept ()) do
                        Thread.Sleep 5

                    child.Kill()
                    child.WaitForExit()
                    let before = Directory.GetFiles(partial)[0] |> File.ReadAllBytes
                    Expect.isGreaterThan before.Length 1000 "an epoch's state is kept"
                    let code, _, _ = finish (small folder [])
                    Expect.equal code 0 "goes on"
                    Expect.equal (resultsOf folder) undisturbed.Value "to the same bytes")
            }

            test "run again, nothing is done twice" {
                inFolder (fun folder ->
                    finish (small folder []) |> ignore
                    let before = resultsOf folder
                    let code, output, _ = finish (small folder [])
                    Expect.equal code 0 "again"
                    Expect.stringContains output "all done before" "from the store"
                    Expect.equal (resultsOf folder) before "same bytes")
            }

            test "whatever values of its store are gone, it ends in the same bytes" {
                let random = Random 5

                inFolder (fun folder ->
                    let objects = Path.Combine(folder, "store", "objects")
                    let code, output, errors = finish (small folder [])
                    Expect.equal code 0 (output + errors)

                    for _ in 1..3 do
                        // All that is measured and reported, and any of the models: each step meets whatever came before it.
                        for value in Directory.GetFiles(objects, "value.*", SearchOption.AllDirectories) do
                            if not (isCurve value) && (value.EndsWith ".json" || random.Next 2 = 0) then
                                Directory.Delete(FileInfo(value).Directory.FullName, true)

                        let code, output, errors = finish (small folder [])
                        Expect.equal code 0 (output + errors)
                        Expect.equal (resultsOf folder) undisturbed.Value "same bytes")
            }

            test "two processes on one store end in the same bytes, and each artifact is made once" {
                inFolder (fun folder ->
                    let one name =
                        startAsSet [] folder SmallExperiment.word [
                            "--store"
                            "store"
                            "--results"
                            name
                            "--no-images"
                        ]

                    let a, b = one "a", one "b"
                    let other = Threading.Tasks.Task.Run(fun () -> finish b)
                    let first = finish a
                    let outputs = [ first; other.Result ]

                    for code, output, errors in outputs do
                        Expect.equal code 0 (output + errors)

                    let table name =
                        File.ReadAllLines(Path.Combine(folder, name, "table.md"))
                        |> Array.filter (fun l -> l.StartsWith "|")

                    Expect.equal (table "a") (table "b") "same numbers"

                    let made =
                        outputs
                        |> List.sumBy (fun (_, output, _) ->
                            output.Split('\n') |> Array.filter (fun l -> l.StartsWith "✓ train") |> Array.length)
                    // A step that another process made is told as done by it in 0 s, and not shown.
                    Expect.equal made 3 "three trainings in all")
            }

            // TERM and not INT: a shell that starts tests in the background makes them deaf to INT.
            test "being told to stop ends it in one line, with exit code 130" {
                inFolder (fun folder ->
                    use child = small folder []
                    let errors = child.StandardError.ReadToEndAsync()
                    child.StandardOutput.ReadToEndAsync() |> ignore

                    while not (Directory.Exists(Path.Combine(folder, "store", "locks"))) do
                        Thread.Sleep 5

                    Thread.Sleep 300
                    signal "TERM" child
                    child.WaitForExit()
                    Expect.equal child.ExitCode 130 errors.Result
                    Expect.stringContains errors.Result "run it again to go on" "says what to do"
                    Expect.equal (errors.Result.Trim().Split('\n').Length) 1 "one line")
            }

            test "mistakes have exit codes and no stack trace" {
                inFolder (fun folder ->
                    for words, expected, part in
                        [
                            [ "--nonsense" ], 2, "--nonsense"
                            [ "--epochs"; "0" ], 1, "--epochs: expected 1 or more, found 0"
                            [ "--seeds"; "1"; "2" ], 1, "expected 3 or more"
                            [ "--dataset"; "imagenet" ], 1, "imagenet"
                            [ "--device"; "tpu" ], 1, "tpu"
                            [ "--store"; "/proc/nowhere" ], 1, "store"
                            [ "--help" ], 0, ""
                        ] do
                        let code, output, errors = finish (startAsSet [] folder SmallExperiment.word words)

                        Expect.equal code expected $"{words}: {errors}"
                        Expect.stringContains errors part $"{words}"
                        Expect.isFalse ((output + errors).Contains "   at ") "no stack trace")
            }

            test "the quickstart script says the main job word for word, in at most 40 lines, and its plan can be shown" {
                let script = Path.Combine(root, "experiments", "quickstart.fsx")
                let lines = File.ReadAllLines script
                Expect.isLessThanOrEqual lines.Length 40 "short"

                Expect.isTrue
                    (lines |> Array.exists _.Contains("train >> align WM >> mergeN 3 >> measure R"))
                    "word for word"

                inFolder (fun folder ->
                    let words =
                        [
                            "fsi"
                            "--quiet"
                            script
                            "--plan"
                            "--threads"
                            "2"
                            "--store"
                            Path.Combine(folder, "store")
                        ]

                    let code, output, errors = runProgram folder "dotnet" words
                    Expect.equal code 0 errors

                    let golden =
                        File.ReadAllLines(Path.Combine(root, "tests", "LmcDsl.Tests", "Dsl", "main-job.plan.txt"))

                    let shown = output.Split '\n'

                    for line in golden |> Array.filter _.Contains("  train ") do
                        Expect.isTrue (shown |> Array.exists _.StartsWith(line.TrimEnd())) line

                    Expect.stringContains output "40 steps: 40 to do" "nothing has run")
            }
        ]
    )
