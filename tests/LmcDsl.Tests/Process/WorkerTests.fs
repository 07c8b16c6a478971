/// Steps side by side in worker processes: the same bytes, whoever is killed.
module LmcDsl.Tests.Process.WorkerTests

open System
open System.IO
open System.Threading
open Expecto
open LmcDsl.Tests.Fixtures
open LmcDsl.Trials
open LmcDsl.Tests.Process.Trial

let private cores = Environment.ProcessorCount
let private side name folder more = start [] folder name (withoutImages @ [ "--jobs"; "2" ] @ more)

let private undisturbed name =
    inFolder (fun folder ->
        let code, output, errors = run folder name withoutImages
        Expect.equal code 0 (output + errors)
        resultsOf folder)

/// Worker processes whose store lies in the folder.
let private workersIn (folder: string) =
    let _, found, _ = runProgram "." "pgrep" [ "-f"; $"{SmallExperiment.word}.*--worker" ]

    // One that ends between being found and being looked at has no folder.
    let folderOf id =
        try
            FileInfo($"/proc/{id}/cwd").ResolveLinkTarget true |> Option.ofObj |> Option.map _.FullName
        with :? IOException ->
            None

    [
        for id in found.Split('\n', StringSplitOptions.RemoveEmptyEntries) do
            if folderOf id = Some folder then
                int id
    ]

let tests =
    testSequenced (
        testList "Workers" [
            if cores >= 2 then
                test "two workers end in the bytes of one process" {
                    inFolder (fun folder ->
                        use child = side SmallSweep.word folder []

                        let output, errors =
                            child.StandardOutput.ReadToEndAsync(), child.StandardError.ReadToEndAsync()

                        child.WaitForExit()
                        Expect.equal child.ExitCode 0 (output.Result + errors.Result)
                        Expect.equal (resultsOf folder) (undisturbed SmallSweep.word) "the same bytes")
                }

                test "workers that are killed are noticed, and their steps tried again, to the same bytes" {
                    inFolder (fun folder ->
                        use child = side SmallExperiment.word folder [ "--retries"; "9" ]

                        let output, errors =
                            child.StandardOutput.ReadToEndAsync(), child.StandardError.ReadToEndAsync()

                        for _ in 1..3 do
                            eventually "two workers" (fun () -> child.HasExited || (workersIn folder).Length = 2)
                            Thread.Sleep 700

                            for worker in List.truncate 1 (workersIn folder) do
                                runProgram "." "kill" [ "-KILL"; string worker ] |> ignore

                        child.WaitForExit()
                        Expect.equal child.ExitCode 0 (output.Result + errors.Result)
                        Expect.stringContains output.Result "its worker ended by SIGKILL" "told"
                        Expect.equal (resultsOf folder) (undisturbed SmallExperiment.word) "the same bytes")
                }

                test "a step whose worker is killed each time fails, in one line" {
                    inFolder (fun folder ->
                        use child = side SmallExperiment.word folder [ "--retries"; "0" ]

                        let output, errors =
                            child.StandardOutput.ReadToEndAsync(), child.StandardError.ReadToEndAsync()

                        let killed = ref 0

                        while not child.HasExited && killed.Value < 6 do
                            for worker in workersIn folder do
                                runProgram "." "kill" [ "-KILL"; string worker ] |> ignore
                                killed.Value <- killed.Value + 1

                            Thread.Sleep 20

                        child.WaitForExit()
                        Expect.equal child.ExitCode 1 output.Result
                        Expect.stringContains (output.Result + errors.Result) "its worker ended by SIGKILL" "why"
                        Expect.equal (errors.Result.Trim().Split('\n').Length) 1 errors.Result)
                }

                test "workers end when their run is killed" {
                    inFolder (fun folder ->
                        use child = side SmallExperiment.word folder [ "--epochs"; "2000" ]
                        let reading = child.StandardOutput.ReadToEndAsync(), child.StandardError.ReadToEndAsync()
                        eventually "two workers" (fun () -> (workersIn folder).Length = 2)
                        Thread.Sleep 1000
                        child.Kill()
                        child.WaitForExit()
                        reading |> ignore
                        eventually "no worker" (fun () -> (workersIn folder).IsEmpty))
                }

                test "a step that fails fails its rows only, and says what one process says" {
                    let failing = [ "--dataset"; "mnist:10+999999" ]

                    inFolder (fun folder ->
                        use child = side SmallExperiment.word folder failing

                        let output, errors =
                            child.StandardOutput.ReadToEndAsync(), child.StandardError.ReadToEndAsync()

                        child.WaitForExit()
                        Expect.equal child.ExitCode 1 output.Result

                        let _, _, alone =
                            inFolder (fun other -> run other SmallExperiment.word (withoutImages @ failing))

                        Expect.equal errors.Result alone "the same line")
                }
        ]
    )
