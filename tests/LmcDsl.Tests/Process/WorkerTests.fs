/// Steps side by side in worker processes: the same bytes, whoever is killed.
module LmcDsl.Tests.Process.WorkerTests

open System
open System.Diagnostics
open System.IO
open System.Threading
open Expecto
open LmcDsl.Tests.Fixtures

let private dll = Reflection.Assembly.GetExecutingAssembly().Location
let private cores = Environment.ProcessorCount

let private words name = [ dll; name; "--store"; "store"; "--results"; "results"; "--no-images" ]
let private onOneThread name folder = runProgram folder "dotnet" (words name @ [ "--threads"; "1" ])
let private sideBySide = [ "--jobs"; "2"; "--threads"; "1" ]

let private start name folder more =
    Process.Start(
        ProcessStartInfo(
            "dotnet",
            words name @ sideBySide @ more,
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        )
    )
    |> Option.ofObj
    |> Option.get

let private resultsOf folder = contentsOf (Path.Combine(folder, "results"))

let private undisturbed name =
    inFolder (fun folder ->
        let code, output, errors = onOneThread name folder
        Expect.equal code 0 (output + errors)
        resultsOf folder)

/// Worker processes whose store lies in the folder.
let private workersIn (folder: string) =
    let _, found, _ = runProgram "." "pgrep" [ "-f"; $"{SmallExperiment.word}.*--worker" ]

    [
        for id in found.Split('\n', StringSplitOptions.RemoveEmptyEntries) do
            match FileInfo($"/proc/{id}/cwd").ResolveLinkTarget(true) with
            | null -> ()
            | link when link.FullName = folder -> int id
            | _ -> ()
    ]

let private eventually what (condition: unit -> bool) =
    let clock = Stopwatch.StartNew()

    while not (condition ()) do
        if clock.Elapsed.TotalSeconds > 60.0 then
            failtest $"expected {what} within a minute"

        Thread.Sleep 20

let tests =
    testSequenced (
        testList "Workers" [
            if cores >= 2 then
                test "two workers end in the bytes of one process" {
                    inFolder (fun folder ->
                        use run = start SmallSweep.word folder []
                        let output, errors = run.StandardOutput.ReadToEndAsync(), run.StandardError.ReadToEndAsync()
                        run.WaitForExit()
                        Expect.equal run.ExitCode 0 (output.Result + errors.Result)
                        Expect.equal (resultsOf folder) (undisturbed SmallSweep.word) "the same bytes")
                }

                test "workers that are killed are noticed, and their steps tried again, to the same bytes" {
                    inFolder (fun folder ->
                        use run = start SmallExperiment.word folder [ "--retries"; "9" ]
                        let output, errors = run.StandardOutput.ReadToEndAsync(), run.StandardError.ReadToEndAsync()

                        for _ in 1..3 do
                            eventually "two workers" (fun () -> run.HasExited || (workersIn folder).Length = 2)
                            Thread.Sleep 700

                            for worker in List.truncate 1 (workersIn folder) do
                                runProgram "." "kill" [ "-KILL"; string worker ] |> ignore

                        run.WaitForExit()
                        Expect.equal run.ExitCode 0 (output.Result + errors.Result)
                        Expect.stringContains output.Result "its worker was killed (exit code 137); tried again" "told"
                        Expect.equal (resultsOf folder) (undisturbed SmallExperiment.word) "the same bytes")
                }

                test "a step whose worker is killed each time fails, in one line" {
                    inFolder (fun folder ->
                        use run = start SmallExperiment.word folder [ "--retries"; "0" ]
                        let output, errors = run.StandardOutput.ReadToEndAsync(), run.StandardError.ReadToEndAsync()
                        let killed = ref 0

                        while not run.HasExited && killed.Value < 6 do
                            for worker in workersIn folder do
                                runProgram "." "kill" [ "-KILL"; string worker ] |> ignore
                                killed.Value <- killed.Value + 1

                            Thread.Sleep 20

                        run.WaitForExit()
                        Expect.equal run.ExitCode 1 output.Result
                        Expect.stringContains (output.Result + errors.Result) "its worker was killed" "why"
                        Expect.equal (errors.Result.Trim().Split('\n').Length) 1 errors.Result)
                }

                test "workers end when their run is killed" {
                    inFolder (fun folder ->
                        use run = start SmallExperiment.word folder [ "--epochs"; "2000" ]
                        let reading = run.StandardOutput.ReadToEndAsync(), run.StandardError.ReadToEndAsync()
                        eventually "two workers" (fun () -> (workersIn folder).Length = 2)
                        Thread.Sleep 1000
                        run.Kill()
                        run.WaitForExit()
                        reading |> ignore
                        eventually "no worker" (fun () -> (workersIn folder).IsEmpty))
                }

                test "a step that fails fails its rows only, and says what one process says" {
                    let failing = [ "--dataset"; "mnist:10+999999" ]

                    inFolder (fun folder ->
                        use run = start SmallExperiment.word folder failing
                        let output, errors = run.StandardOutput.ReadToEndAsync(), run.StandardError.ReadToEndAsync()
                        run.WaitForExit()
                        Expect.equal run.ExitCode 1 output.Result

                        let _, _, alone =
                            inFolder (fun other ->
                                runProgram
                                    other
                                    "dotnet"
                                    (words SmallExperiment.word @ [ "--threads"; "1" ] @ failing))

                        Expect.equal errors.Result alone "the same line")
                }
        ]
    )
