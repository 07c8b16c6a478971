/// What a program of the library makes of the machine that it runs on: its environment, its processor, its ends.
module LmcDsl.Tests.Process.MachineTests

open System
open System.Diagnostics
open System.IO
open System.Text.RegularExpressions
open Expecto
open LmcDsl.Tests.Fixtures

let private dll = Reflection.Assembly.GetExecutingAssembly().Location

/// Runs a small experiment with an environment that differs from ours: variables that are set, or (`None`) not set.
let private runIn (environment: (string * string option) list) (folder: string) (name: string) (words: string list) =
    let start =
        ProcessStartInfo(
            "dotnet",
            [ dll; name; "--threads"; "1" ] @ Trial.withoutImages @ words,
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

let tests =
    testSequenced (
        testList "Machine" [
            test "Torch's threads spin for a bounded time, unless the user has said how long" {
                Expect.equal (openMp None None) (Some "2000") "ours, which libgomp has read"
                Expect.equal (openMp None (Some "77")) (Some "77") "the user's own"
                Expect.equal (openMp (Some "passive") None) (Some "0") "of the user's policy"
            }
        ]
    )
