/// What a program of the library makes of the machine that it runs on: its environment, its processor, its ends.
module LmcDsl.Tests.Process.MachineTests

open System
open System.Diagnostics
open System.IO
open System.Text.RegularExpressions
open Expecto
open LmcDsl.Tests.Fixtures
open LmcDsl.Trials

/// Runs a small experiment with an environment that differs from ours: variables that are set, or (`None`) not set.
let private runIn (environment: (string * string option) list) (folder: string) (name: string) (words: string list) =
    let start =
        ProcessStartInfo(
            "dotnet",
            [ Trial.program; name; "--threads"; "1" ] @ Trial.withoutImages @ words,
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        )

    for variable, value in environment do
        match value with
        | Some value -> start.Environment[variable] <- value
        | None -> start.Environment.Remove variable |> ignore

    Trial.finish (Process.Start start |> Option.ofObj |> Option.get)

/// What libgomp says of itself when it is loaded.
let private spins (errors: string) =
    let found = Regex.Match(errors, "GOMP_SPINCOUNT = '([0-9]+)'")
    if found.Success then Some found.Groups[1].Value else None

let private openMp policy count =
    inFolder (fun folder ->
        let environment = [ "OMP_DISPLAY_ENV", Some "verbose"; "OMP_WAIT_POLICY", policy; "GOMP_SPINCOUNT", count ]

        let code, output, errors = runIn environment folder SmallSweep.word [ "--plan" ]
        Expect.equal code 0 (output + errors)
        spins errors)


/// Starts the command `lmc` in a folder of two small MLPs.
let private lmcIn (environment: (string * string) list) folder (words: string list) : Process =
    let network =
        LmcDsl.Core.Architectures.Network(LmcDsl.Core.Architectures.Catalogue.Mlp([| 1; 28; 28 |], [| 32; 32 |], 10))

    for name, seed in [ "a", 1L; "b", 2L ] do
        use model = randomParameters network seed
        use file = File.Create(Path.Combine(folder, $"{name}.safetensors"))
        LmcDsl.Core.Checkpoints.ModelFile.Write(file, model)

    let start =
        ProcessStartInfo(
            "dotnet",
            [ tool; words.Head; "a.safetensors"; "b.safetensors"; "--arch"; "mlp"; "--hidden"; "32"; "32" ] @ words.Tail,
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        )

    for variable, value in environment do
        start.Environment[variable] <- value

    Process.Start start |> Option.ofObj |> Option.get

/// The same with a cache of the folder's own, where it writes down what it is at.
let private lmc folder words = lmcIn [ "XDG_CACHE_HOME", Path.Combine(folder, "cache") ] folder words

/// Waits until such a command is at what it does for long. Its notes are held: .NET would not read them.
let private untilAtWork (folder: string) (child: Process) =
    Trial.eventually "a command at work" (fun () ->
        let _, held, _ = runProgram folder "sh" [ "-c"; $"ls -l /proc/{child.Id}/fd | grep at-work" ]
        let _, notes, _ = runProgram folder "sh" [ "-c"; "cat cache/lmcdsl/at-work/* 2>/dev/null" ]
        held.Contains "at-work" && (notes.Contains "aligning" || notes.Contains "measuring"))

let private signal (name: string) (child: Process) = runProgram "." "kill" [ $"-{name}"; string child.Id ] |> ignore

/// Commands that take long.
let private long =
    [
        [ "align"; "-o"; "out.safetensors"; "--starts"; "10000" ]
        [ "merge"; "-o"; "out.safetensors"; "--starts"; "10000" ]
        [ "measure"; "--metric"; "barrier"; "--data"; "glyphs"; "--points"; "10000" ]
    ]

/// A script in the place of a browser.
let private browser folder (lines: string list) =
    let path = Path.Combine(folder, "browser")
    File.WriteAllText(path, String.concat "\n" ("#!/bin/sh" :: lines) + "\n")
    File.SetUnixFileMode(path, UnixFileMode.UserRead ||| UnixFileMode.UserWrite ||| UnixFileMode.UserExecute)
    path

let tests =
    testSequenced (
        testList "Machine" [
            test "Torch's threads spin for a bounded time, unless the user has said how long" {
                Expect.equal (openMp None None) (Some "2000") "ours, which libgomp has read"
                Expect.equal (openMp None (Some "77")) (Some "77") "the user's own"
                Expect.equal (openMp (Some "passive") None) (Some "0") "of the user's policy"
            }

            for words in long do
                test $"an interrupt ends lmc {words.Head} within a second or so, and leaves nothing" {
                    inFolder (fun folder ->
                        use child = lmc folder words
                        untilAtWork folder child
                        Expect.isFalse child.HasExited "at work"
                        let clock = Stopwatch.StartNew()
                        signal "INT" child
                        child.WaitForExit()
                        let taken = clock.Elapsed.TotalSeconds
                        let errors = child.StandardError.ReadToEnd()
                        Expect.equal child.ExitCode 130 errors
                        Expect.equal (errors.Trim()) "lmc: interrupted" "one line"
                        // One second, on a machine that others use.
                        Expect.isLessThan taken 3.0 "soon"

                        Expect.equal
                            (Directory.GetFiles folder |> Array.map Path.GetFileName |> Array.sort)
                            [| "a.safetensors"; "b.safetensors" |]
                            "nothing is left")
                }

            test "a run that ended without a word is told by the next one" {
                inFolder (fun folder ->
                    let words = Trial.withoutImages @ [ "--epochs"; "2000" ]

                    (use child = Trial.start [] folder SmallExperiment.word words
                     let partial = Path.Combine(folder, "store", "partial")

                     Trial.eventually "a training" (fun () ->
                         Directory.Exists partial && Directory.GetFiles(partial).Length > 0)

                     signal "KILL" child
                     child.WaitForExit()
                     Expect.equal child.ExitCode 137 "no word")

                    use child = Trial.start [] folder SmallExperiment.word words
                    let told = Text.StringBuilder()

                    child.OutputDataReceived.Add(fun line -> lock told (fun () -> told.AppendLine line.Data |> ignore))
                    child.BeginOutputReadLine()

                    Trial.eventually "the line about it" (fun () ->
                        lock told (fun () -> told.ToString().Contains "ended without a word"))

                    signal "INT" child
                    child.WaitForExit()
                    Expect.equal child.ExitCode 130 "interrupted"
                    let locks = Path.Combine(folder, "store", "locks")
                    Expect.isEmpty (Directory.GetFiles locks) "an interrupt gives the right back")
            }

            test "a command that ended without a word is told by the same command, run again, and by no other" {
                inFolder (fun folder ->
                    (use child = lmc folder long.Head
                     untilAtWork folder child
                     signal "KILL" child
                     child.WaitForExit())

                    let lineOf words =
                        use child = lmc folder words
                        untilAtWork folder child
                        signal "INT" child
                        child.WaitForExit()
                        child.StandardError.ReadToEnd()

                    Expect.equal ((lineOf long[1]).Trim()) "lmc: interrupted" "another command"

                    Expect.stringContains (lineOf long.Head) "ended without a word while aligning: " "told"

                    Expect.equal ((lineOf long.Head).Trim()) "lmc: interrupted" "told once")
            }

            test "the language of the machine changes no byte of the results" {
                let results language =
                    inFolder (fun folder ->
                        let environment = [ "LC_ALL", Some language; "LANG", Some language ]
                        let code, output, errors = runIn environment folder SmallSweep.word []
                        Expect.equal code 0 (output + errors)
                        Trial.resultsOf folder)

                Expect.equal (results "de_DE.UTF-8") (results "C") "the same"
            }

            test "a native library is loaded from no folder that another one has made" {
                inFolder (fun folder ->
                    let temporary, elsewhere = Path.Combine(folder, "tmp"), Path.Combine(folder, "elsewhere")
                    Directory.CreateDirectory temporary |> ignore
                    Directory.CreateDirectory elsewhere |> ignore

                    let environment = [ "XDG_CACHE_HOME", "/proc/no/such/folder"; "TMPDIR", temporary ]
                    let run () = Trial.finish (lmcIn environment folder [ "measure"; "--metric"; "l2" ])
                    let code, output, errors = run ()
                    Expect.equal code 0 (output + errors)

                    match Directory.GetDirectories temporary |> Array.filter _.Contains("lmcdsl-") with
                    | [| own |] ->
                        let mode = File.GetUnixFileMode own
                        Expect.equal (mode &&& enum<UnixFileMode> 0o777) (enum<UnixFileMode> 0o700) "the user's own"
                        Directory.Delete(own, true)
                        File.CreateSymbolicLink(own, elsewhere) |> ignore
                        run () |> Trial.inOneLine [ "lmc: Torch: expected a folder that only user"; own ]
                        Expect.isEmpty (Directory.GetFileSystemEntries elsewhere) "nothing is written there"
                    | _ -> skiptest "this system loads the library as it comes")
            }

            test "a browser that ends but leaves something running is not waited for" {
                inFolder (fun folder ->
                    for child in [ "sleep 300 &"; "setsid sleep 60 &" ] do
                        let clock = Stopwatch.StartNew()
                        let program = browser folder [ child; "echo done" ]
                        Expect.equal (LmcDsl.Browser.run program []) "done\n" "what it wrote"
                        Expect.isLessThan clock.Elapsed.TotalSeconds 20.0 child)
            }

            test "a browser that crashes is told by its signal" {
                inFolder (fun folder ->
                    let program = browser folder [ "kill -SEGV $$" ]
                    failsWith [ program; "SIGSEGV" ] (fun () -> LmcDsl.Browser.run program [] |> ignore))
            }

            test "a browser that is not there is told before the work" {
                inFolder (fun folder ->
                    let words = [ "--threads"; "1" ] @ Trial.places

                    let code, output, errors =
                        Trial.finish (
                            Trial.startAsSet [ "LMC_CHROMIUM", "/no/such/browser" ] folder SmallSweep.word words
                        )

                    (code, output, errors) |> Trial.inOneLine [ "LMC_CHROMIUM"; "/no/such/browser" ]
                    Expect.isFalse (output.Contains "✓") "nothing was done")
            }

            test "a folder of results that cannot be written is told before the work" {
                inFolder (fun folder ->
                    File.WriteAllText(Path.Combine(folder, "results"), "")
                    let code, output, errors = Trial.run folder SmallSweep.word Trial.withoutImages
                    (code, output, errors) |> Trial.inOneLine [ "results" ]
                    Expect.isFalse (output.Contains "✓") "nothing was done")
            }

            test "the ends of processes have the names of their signals" {
                Expect.equal (LmcDsl.Ending.told 136) "ended by SIGFPE, a crash in native code" "a crash"
                Expect.stringContains (LmcDsl.Ending.told 137) "SIGKILL" "a kill"
                Expect.equal (LmcDsl.Ending.told 3) "ended with exit code 3" "an exit"
            }
        ]
    )
