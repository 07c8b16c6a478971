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
                Expect.stringContains errors "did you mean Figure3?" "and what is near"
                Expect.equal output "" "before anything else is done"
                let code, output, errors = build []
                Expect.equal code 0 errors

                for target in [ "Test"; "Quickstart"; "Own"; "Table1" ] do
                    Expect.stringContains output $"  {target} " "every target, the experiments by their files"

                let code, _, errors = build [ "-t"; "Figure3"; "--"; "--dataset"; "mnist" ]
                Expect.equal code 2 errors
                Expect.stringContains errors "figure3 has data sets of its own" "in one line"
            }

            test "of a package that is locked in two versions a new machine fetches both" {
                inFolder (fun folder ->
                    let packages = Path.Combine(root, "build", "packages.fsx")
                    let script = Path.Combine(folder, "asked.fsx")

                    File.WriteAllText(
                        script,
                        $"#load @\"{packages}\"\nprintfn \"%%A\" (Packages.together [ \"A\", \"1\"; \"B\", \"2\"; \"A\", \"3\" ])"
                    )

                    let code, output, errors = runProgram folder "dotnet" [ "fsi"; "--quiet"; script ]
                    Expect.equal code 0 errors
                    Expect.equal (output.Trim()) "[(\"A\", \"[1];[3]\"); (\"B\", \"[2]\")]" "each package once")
            }

            test "Pack makes the packages, and the tool among them installs, plans and runs a script of the user's own" {
                let code, output, errors = build [ "-t"; "Pack" ]
                Expect.equal code 0 (output + errors)
                let packages = Path.Combine(root, "packages")

                for name in [ "LmcDsl.Core"; "LmcDsl"; "LmcDsl.Tool" ] do
                    let package =
                        Directory.GetFiles(packages, $"{name}.?.*.nupkg") |> Array.maxBy File.GetLastWriteTimeUtc

                    use archive = System.IO.Compression.ZipFile.OpenRead package
                    let entries = [ for entry in archive.Entries -> entry.FullName ]
                    use text = new StreamReader((archive.GetEntry $"{name}.nuspec").Open())

                    let dependencies =
                        [
                            for line in text.ReadToEnd().Split '\n' do
                                if line.Contains "<dependency " then
                                    line
                        ]
                    // What one package pins another one cannot have newer.
                    Expect.all
                        dependencies
                        (fun line -> not (line.Contains "version=\"["))
                        $"{name}: needs that or newer"

                    Expect.all
                        dependencies
                        (fun line -> not (line.Contains "libtorch"))
                        $"{name}: the native library is the user's choice"

                    Expect.all entries (fun entry -> not (entry.Contains "torch_python")) $"{name}: nothing of Python"

                    Expect.all
                        entries
                        (fun entry -> not (entry.Contains "runtimes/win" || entry.Contains "runtimes/osx"))
                        $"{name}: nothing of other systems"

                inFolder (fun folder ->
                    let succeed (code, output, errors: string) =
                        Expect.equal code 0 (output + errors)
                        output

                    let install = [ "tool"; "install"; "LmcDsl.Tool"; "--tool-path"; "tools"; "--source"; packages ]
                    runProgram folder "dotnet" install |> succeed |> ignore
                    let lmc words = runProgram folder (Path.Combine(folder, "tools", "lmc")) words
                    File.WriteAllText(Path.Combine(folder, "prelude.fsx"), lmc [ "prelude" ] |> succeed)

                    File.WriteAllLines(
                        Path.Combine(folder, "mine.fsx"),
                        [
                            "#load \"prelude.fsx\""
                            "open LmcDsl"
                            "let setup = { Setup.standard with Data = Part(Glyphs, 500, 100); Network = mlp [ 8 ]; Epochs = 1 }"
                            "Experiment.create \"mine\" \"Mine\" setup [ train >> align WM >> measure L2 ]"
                            "|> Experiment.run fsi.CommandLineArgs"
                        ]
                    )

                    Expect.stringContains (lmc [ "plan"; "mine.fsx" ] |> succeed) "7 steps: 7 to do" "the plan"
                    Expect.isFalse (Directory.Exists(Path.Combine(folder, "results", "mine"))) "nothing ran"
                    lmc [ "run"; "mine.fsx"; "--no-images"; "--threads"; "1" ] |> succeed |> ignore
                    Expect.isTrue (File.Exists(Path.Combine(folder, "results", "mine", "report.json"))) "its results"
                    let code, _, errors = lmc [ "run"; "mine.fsx"; "--epochs"; "0" ]
                    Expect.equal code 1 "the script's exit code"
                    Expect.stringContains errors "--epochs: expected 1 or more, found 0" "its line"
                    let code, _, errors = lmc [ "run"; "none.fsx" ]
                    Expect.equal code 1 "no script"
                    Expect.stringContains errors "expected an experiment's script (.fsx), found 'none.fsx'" "which")
            }
        ]
    )
