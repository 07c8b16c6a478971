/// A real Slurm: job arrays that are cancelled, workers that are killed, a submitting command that is killed and run again.
module LmcDsl.Tests.Process.SlurmTests

open System
open System.IO
open System.Threading
open Expecto
open LmcDsl.Tests.Fixtures
open LmcDsl.Trials
open LmcDsl.Tests.Process.Trial

let clusterIsThere =
    lazy
        (try
            let code, output, _ = runProgram "." "sinfo" [ "-h"; "-t"; "idle,mix,alloc" ]
            code = 0 && output.Trim() <> ""
         with :? ComponentModel.Win32Exception ->
             false)

let private sweep folder more = run folder SmallSweep.word (withoutImages @ more)
let private submit folder more = start [] folder SmallSweep.word (withoutImages @ more)

let private undisturbed =
    lazy
        (inFolder (fun folder ->
            let code, output, errors = sweep folder []
            Expect.equal code 0 (output + errors)
            resultsOf folder))

/// A smaller one with the threads of its set-up.
let private undisturbedAsSet =
    lazy
        (inFolder (fun folder ->
            let code, output, errors = finish (startAsSet [] folder SmallSweep.tiny withoutImages)
            Expect.equal code 0 (output + errors)
            resultsOf folder))

/// Tasks of ours that run now.
let private running () =
    let _, output, _ = runProgram "." "squeue" [ "-h"; "-r"; "-n"; "lmc"; "-t"; "R"; "-o"; "%i" ]
    output.Split('\n', StringSplitOptions.RemoveEmptyEntries) |> List.ofArray

let private onCluster (work: string -> unit) =
    if clusterIsThere.Value then
        inFolder work
    else
        skiptest "no Slurm cluster is at hand"

/// A run on a cluster that misbehaves ends in the bytes of a local run. Gives what it said.
let private endsAsLocally (manners: FakeSlurm.Manners) (words: string list) (also: string -> string -> unit) =
    inFolder (fun folder ->
        let code, output, errors = FakeSlurm.run manners folder words
        Expect.equal code 0 (output + errors)
        Expect.equal (resultsOf folder) undisturbedAsSet.Value "the same bytes"
        also folder output)

let private misbehaving =
    [
        // The set-up has one thread: tasks must not be told the machine's number.
        test "tasks make the plan that was submitted, whatever number of threads its set-up has" {
            endsAsLocally FakeSlurm.sound [] (fun _ output -> Expect.isFalse (output.Contains "tried again") "at once")
        }

        test "a squeue that fails is asked again, and a warning that it prints is no task" {
            let squeue =
                """n=$(($(cat $STATE/asked 2>/dev/null || echo 0) + 1))
echo $n >$STATE/asked
echo "squeue: warning: this cluster is old"
if [ $n -le 2 ]; then echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2; exit 1; fi
if [ $n -le 4 ]; then echo RUNNING; fi
"""

            endsAsLocally { FakeSlurm.sound with Squeue = squeue } [] (fun _ output ->
                Expect.stringContains output "Unable to contact slurm controller" "told"
                Expect.stringContains output "asked again in 2 s" "with growing pauses")
        }

        test "results that the file system shows some seconds late are waited for" {
            let hide = "mv store/objects store/late; (sleep 4; mv store/late store/objects) >/dev/null 2>&1 &"

            endsAsLocally { FakeSlurm.sound with After = hide } [] (fun _ output ->
                Expect.isFalse (output.Contains "tried again") "not submitted again")
        }

        test "a task that crashes is told by its signal, and its steps are tried again in tasks of their own" {
            let crash =
                """if [ $array -eq 1 ] && [ $task -eq 0 ]; then echo "${array}_$task|FAILED|0:8" >>$STATE/endings; skip=yes; fi"""

            endsAsLocally { FakeSlurm.sound with Before = crash } [] (fun folder output ->
                Expect.stringContains output "its task ended by SIGFPE" "the signal"

                let again =
                    output.Split '\n'
                    |> Array.filter (fun line -> line.Contains "not made, tried again")
                    |> Array.length

                Expect.isGreaterThan again 0 "some"
                Expect.equal (List.item 1 (FakeSlurm.sizes folder)) again "one task for each")
        }

        test "a file of arrays that says something else is told and taken away" {
            // What is made in the first run is there in the others: they only look at the file.
            inFolder (fun folder ->
                for text in [ "{{{"; "7"; "[7]"; "[null]"; "[\"7; rm\"]"; "" ] do
                    Directory.CreateDirectory(Path.Combine(folder, "store", "slurm")) |> ignore
                    File.WriteAllText(Path.Combine(folder, "store", "slurm", "arrays.json"), text)
                    let code, output, errors = FakeSlurm.run FakeSlurm.sound folder []
                    Expect.equal code 0 (output + errors)
                    Expect.stringContains output "it is taken away" text)
        }

        test "a store whose path has signs that Slurm reads has its logs there" {
            endsAsLocally FakeSlurm.sound [ "--store"; "a %j 'store'" ] (fun folder _ ->
                let logs = Directory.GetFiles(Path.Combine(folder, "a %j 'store'", "slurm"), "*.log")
                Expect.isGreaterThan logs.Length 0 "logs")
        }
    ]

let tests =
    testSequenced (
        testList "Slurm" [
            yield! misbehaving

            test "a store whose path has a %j does its work on a cluster" {
                onCluster (fun folder ->
                    let words = [ "--results"; "results"; "--no-images"; "--store"; "a %j store"; "--on"; "slurm" ]
                    let code, output, errors = finish (startAsSet [] folder SmallSweep.tiny words)
                    Expect.equal code 0 (output + errors)
                    Expect.isFalse (output.Contains "tried again") output
                    Expect.equal (resultsOf folder) undisturbedAsSet.Value "the same bytes")
            }

            test "a sweep of 20 cells, tasks cancelled and a worker killed, ends in the bytes of a local run" {
                onCluster (fun folder ->
                    use child = submit folder [ "--on"; "slurm"; "--retries"; "4" ]
                    let output, errors = child.StandardOutput.ReadToEndAsync(), child.StandardError.ReadToEndAsync()
                    let mutable cancelled = 0

                    while cancelled < 3 && not child.HasExited do
                        match running () with
                        | task :: _ ->
                            runProgram "." "scancel" [ task ] |> ignore
                            cancelled <- cancelled + 1
                            Thread.Sleep 1500
                        | [] -> Thread.Sleep 100

                    let mutable killed = false

                    // A task runs before its worker does, and a worker may end before it is killed.
                    eventually "a worker that is killed" (fun () ->
                        let _, workers, _ = runProgram "." "pgrep" [ "-f"; $"{SmallSweep.word}.*--nodes" ]
                        let victim = workers.Split('\n', StringSplitOptions.RemoveEmptyEntries) |> Array.tryLast
                        let kill pid = runProgram "." "kill" [ "-KILL"; pid ]
                        killed <- victim |> Option.exists (fun pid -> let code, _, _ = kill pid in code = 0)
                        killed || child.HasExited)

                    child.WaitForExit()
                    Expect.equal child.ExitCode 0 (output.Result + errors.Result)
                    Expect.equal cancelled 3 "three tasks were cancelled"
                    Expect.isTrue killed "a worker was killed"
                    Expect.stringContains output.Result "tried again" "it was noticed"
                    Expect.equal (resultsOf folder) undisturbed.Value "the same bytes")
            }

            test "the submitting command, killed and run again, waits for the tasks that are still at work" {
                onCluster (fun folder ->
                    use first = submit folder [ "--on"; "slurm" ]
                    let drained = first.StandardOutput.ReadToEndAsync(), first.StandardError.ReadToEndAsync()
                    eventually "a running task" (fun () -> not (running ()).IsEmpty)
                    first.Kill()
                    first.WaitForExit()
                    drained |> ignore
                    let code, output, errors = sweep folder [ "--on"; "slurm" ]
                    Expect.equal code 0 (output + errors)
                    Expect.stringContains output "still at work" "it found them"
                    Expect.equal (resultsOf folder) undisturbed.Value "the same bytes")
            }

            test "a task that fails is told with the last line of its log, and the others' results come" {
                onCluster (fun folder ->
                    let code, output, errors =
                        sweep folder [
                            "--on"
                            "slurm"
                            "--retries"
                            "0"
                            "--sbatch=--time=0-00:10"
                            "--dataset"
                            "mnist:10+999999"
                        ]

                    Expect.equal code 1 output
                    Expect.stringContains errors "mnist" "the reason"
                    Expect.equal (errors.Trim().Split('\n').Length) 1 errors)
            }

            test "where there is no Slurm one line says so" {
                inFolder (fun folder ->
                    let code, _, errors =
                        finish (start [ "PATH", folder ] folder SmallSweep.word (withoutImages @ [ "--on"; "slurm" ]))

                    Expect.equal code 1 errors
                    Expect.stringContains errors "--on slurm: expected the program s" "the program"
                    Expect.equal (errors.Trim().Split('\n').Length) 1 errors)
            }

            test "a wrong engine is told" {
                inFolder (fun folder ->
                    let code, _, errors = sweep folder [ "--on"; "moon" ]
                    Expect.equal code 1 errors
                    Expect.stringContains errors "local or slurm, found 'moon'" "the line")
            }
        ]
    )
