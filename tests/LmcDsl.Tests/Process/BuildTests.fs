/// The build script, run as a user runs it.
module LmcDsl.Tests.Process.BuildTests

open System.IO
open Expecto
open LmcDsl.Tests.Fixtures

let private root = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", "..", ".."))
let private build words = runProgram root "dotnet" ([ "fsi"; "build.fsx" ] @ words)

let tests =
    testSequenced (
        testList "Build" [
            test "arguments after the target reach the experiment, with or without -- between them" {
                for between in [ [ "--" ]; [] ] do
                    let code, output, errors =
                        build (
                            [ "-t"; "Figure3" ]
                            @ between
                            @ [ "--scale"; "smoke"; "--plan"; "--store"; Path.GetTempPath() ]
                        )

                    Expect.equal code 0 (output + errors)
                    Expect.stringContains output "train mlp 32-32-32 on mnist:2000+500" "the smoke plan"
                    Expect.stringContains output " steps: " "its size"
            }

            test "a mistyped target, and a wrong argument, are told, with exit code 2" {
                let code, output, errors = build [ "-t"; "Figure33" ]
                Expect.equal code 2 (output + errors)
                Expect.stringContains errors "Figure33" "which"
                Expect.stringContains output "Figure3" "and what there is"
                let code, _, errors = build [ "-t"; "Figure3"; "--"; "--dataset"; "mnist" ]
                Expect.equal code 2 errors
                Expect.stringContains errors "figure3 has data sets of its own" "in one line"
            }
        ]
    )
