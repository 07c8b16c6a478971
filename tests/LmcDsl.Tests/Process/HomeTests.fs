/// What a newcomer meets in the first afternoon, as a newcomer does it: scripts of any name, interrupts, templates, `lmc new`.
module LmcDsl.Tests.Process.HomeTests

open System
open System.Diagnostics
open System.IO
open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Tests.Fixtures

let private root = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", "..", ".."))
let private prelude = Path.Combine(root, "experiments", "prelude.fsx").Replace('\\', '/')

let private script name =
    $"""#load "{prelude}"
open LmcDsl
let setup = {{ Setup.standard with Data = Part(Glyphs, 300, 100); Network = mlp [ 8 ]; Epochs = 1; Threads = 1 }}
Experiment.create "{name}" "Mine" setup [ train >> align WM >> mergeBy TIES 2 >> measureAll [ L2; Accuracy ] ]
|> Experiment.run fsi.CommandLineArgs
"""

let private fsi folder words = runProgram folder "dotnet" ([ "fsi"; "--quiet" ] @ words)

let tests =
    testSequenced (
        testList "At home" [
            test "a script runs whatever its name is, and is silent only where another one loads it" {
                inFolder (fun folder ->
                    File.WriteAllText(Path.Combine(folder, "copy.fsx"), script "original")
                    let output = fsi folder [ "copy.fsx"; "--no-images"; "--set"; "Width=4" ] |> done'

                    Expect.stringContains
                        output
                        "A new store of results"
                        "another folder's store is a new one, and said so"

                    let report = Path.Combine(folder, "results", "original", "report.json")
                    let command = (Json.parse (File.ReadAllText report)).["provenance"].["command"].String
                    Expect.equal command "dotnet fsi copy.fsx --no-images --set Width=4" "made again by its own script"
                    Expect.stringContains (File.ReadAllText report) "mlp 4" "at the width that was set"
                    File.WriteAllText(Path.Combine(folder, "loads.fsx"), "#load \"copy.fsx\"\nprintfn \"loaded\"\n")
                    let output = fsi folder [ "loads.fsx" ] |> done'
                    Expect.equal (output.Trim()) "loaded" "and nothing else"
                    let again = fsi folder [ "copy.fsx"; "--no-images"; "--set"; "Width=4"; "Epochs=1" ] |> done'
                    Expect.stringContains again "--set Epochs=1 changes nothing" "what no step follows is said"
                    Expect.isFalse (again.Contains "A new store") "the store is there now")
            }

            test "two ways to one row are refused with what to do, the script's name said once" {
                inFolder (fun folder ->
                    let two =
                        "[ for starts in [ 1; 2 ] do train >> align (weightMatching (LmcDsl.Core.Matching.WeightMatchingOptions(Starts = starts))) >> measure L2 ]"

                    let text =
                        (script "two")
                            .Replace("[ train >> align WM >> mergeBy TIES 2 >> measureAll [ L2; Accuracy ] ]", two)

                    File.WriteAllText(Path.Combine(folder, "two.fsx"), text)
                    let code, output, errors = fsi folder [ "two.fsx" ]
                    Expect.equal code 1 (output + errors)
                    Expect.equal (errors.Trim().Split('\n').Length) 1 errors
                    Expect.stringContains errors "alignAs \"name\"" "what to do"
                    Expect.stringContains errors "labelled" "what to do"
                    Expect.equal (errors.Split("two:").Length) 2 "the name once")
            }

            test "a mistake at the top of a script is told in one line" {
                inFolder (fun folder ->
                    for mistake in
                        [
                            "DataSet.ofText \"nowhere.file\""
                            "DataSet.ofNpz \"nowhere.file\""
                            "DataSet.ofImages \"mine\" 3 \"nowhere.file\""
                        ] do
                        File.WriteAllText(
                            Path.Combine(folder, "top.fsx"),
                            $"#load \"{prelude}\"\nopen LmcDsl\nlet data = {mistake}\nprintfn \"ran\"\n"
                        )

                        let code, output, errors = fsi folder [ "top.fsx" ]
                        Expect.equal code 1 (output + errors)
                        let lines = errors.Trim().Split('\n')
                        Expect.stringContains lines[0] "nowhere.file" "the file"

                        Expect.sequenceEqual
                            (List.ofArray lines[1..])
                            [ "Stopped due to error" ]
                            "F# Interactive's own word")
            }

            test "a script may use Torch itself, before anything of the library" {
                inFolder (fun folder ->
                    File.WriteAllText(
                        Path.Combine(folder, "torch.fsx"),
                        $"#load \"{prelude}\"\nprintfn \"%%d\" (TorchSharp.torch.ones(2L, 3L).sum().item<float32>() |> int)\n"
                    )

                    let code, output, errors = fsi folder [ "torch.fsx" ]
                    Expect.equal (code, output.Trim(), errors) (0, "6", "") "as any tensor")
            }

            test "before the library is built a script says what to run" {
                inFolder (fun folder ->
                    let experiments = Path.Combine(folder, "experiments")
                    Directory.CreateDirectory experiments |> ignore
                    File.Copy(prelude, Path.Combine(experiments, "prelude.fsx"))
                    File.WriteAllText(Path.Combine(experiments, "a.fsx"), "#load \"prelude.fsx\"\nprintfn \"ran\"\n")
                    let code, output, errors = fsi experiments [ "a.fsx" ]
                    Expect.equal code 1 output
                    let first = (output + errors).Trim().Split('\n').[0]
                    Expect.stringContains first "Run: dotnet fsi build.fsx -t Library" "in its first line")
            }

            test "an interrupt through build.fsx ends with 130, and leaves nothing" {
                if not (OperatingSystem.IsLinux()) then
                    skiptest "process groups are made by setsid"

                inFolder (fun folder ->
                    let words =
                        [
                            "dotnet"
                            "fsi"
                            "build.fsx"
                            "-t"
                            "Quickstart"
                            "--"
                            "--dataset"
                            "glyphs"
                            "--epochs"
                            "500"
                            "--threads"
                            "1"
                            "--no-images"
                            "--store"
                            Path.Combine(folder, "store")
                            "--results"
                            Path.Combine(folder, "results")
                        ]

                    let start =
                        ProcessStartInfo(
                            "setsid",
                            words,
                            WorkingDirectory = root,
                            RedirectStandardOutput = true,
                            RedirectStandardError = true
                        )

                    use child = Process.Start start |> Option.ofObj |> Option.get
                    let errors = child.StandardError.ReadToEndAsync()
                    let output = child.StandardOutput.ReadToEndAsync()
                    let partial = Path.Combine(folder, "store", "partial")
                    let clock = Stopwatch.StartNew()

                    while not child.HasExited
                          && clock.Elapsed.TotalMinutes < 8.0
                          && not (Directory.Exists partial && Directory.GetFileSystemEntries(partial).Length > 0) do
                        Threading.Thread.Sleep 200

                    runProgram folder "kill" [ "-INT"; "--"; $"-{child.Id}" ] |> done' |> ignore
                    Expect.isTrue (child.WaitForExit 120_000) "ends"
                    Expect.equal child.ExitCode 130 (output.Result + errors.Result)
                    Expect.stringContains errors.Result "quickstart: interrupted" "in a line")
            }

            test "lmc new gives a folder whose experiment runs, and refuses a name that is taken" {
                inFolder (fun folder ->
                    let said = lmc folder [ "new"; "first" ] |> done'
                    Expect.stringContains said "lmc run first.fsx" "what to do next"
                    let made = Path.Combine(folder, "first")
                    let output = lmc made [ "run"; "first.fsx"; "--no-images"; "--threads"; "1" ] |> done'
                    Expect.stringContains output "Pairs of models" "its tables"
                    Expect.isTrue (File.Exists(Path.Combine(made, "results", "first", "index.html"))) "its page"
                    let code, _, errors = lmc folder [ "new"; "first" ]
                    Expect.equal code 1 "taken"
                    Expect.stringContains errors "found 'first' there" "why"
                    let code, _, errors = lmc folder [ "new"; "../x" ]
                    Expect.equal code 1 "no name"
                    Expect.stringContains errors "expected a name of letters" "why")
            }

            test "the template's folder is the same, by dotnet new" {
                inFolder (fun folder ->
                    let hive = [ "--debug:custom-hive"; Path.Combine(folder, "hive") ]
                    let new' words = runProgram folder "dotnet" ([ "new" ] @ words @ hive) |> done' |> ignore
                    new' [ "install"; Path.Combine(root, "templates", "lmc") ]
                    new' [ "lmc"; "-n"; "Second"; "-o"; "second" ]
                    let made = Path.Combine(folder, "second")

                    Expect.equal
                        (Directory.GetFiles made |> Array.map Path.GetFileName |> Array.sort |> List.ofArray)
                        [ "README.md"; "Second.fsx"; "prelude.fsx" ]
                        "its files"

                    Expect.stringContains
                        (File.ReadAllText(Path.Combine(made, "prelude.fsx")))
                        "#r \"nuget: LmcDsl"
                        "from NuGet"
                    // Here the library is the one that was built, as its README says.
                    File.WriteAllText(Path.Combine(made, "prelude.fsx"), lmc folder [ "prelude" ] |> done')
                    fsi made [ "Second.fsx"; "--no-images"; "--threads"; "1" ] |> done' |> ignore
                    Expect.isTrue (File.Exists(Path.Combine(made, "results", "Second", "report.json"))) "runs")
            }

            test "a network's description comes out of lmc new network and goes in by --arch" {
                inFolder (fun folder ->
                    let text = lmc folder [ "new"; "network"; "resnet20"; "--width"; "0.5" ] |> done'
                    let expected = Catalogue.ResNet20([| 3; 32; 32 |], 0.5, 10, Norm.Batch)
                    Expect.equal ((Architecture.FromJson text).ToJson()) (expected.ToJson()) "the network"
                    Expect.equal (text.Trim().Split('\n').Length) (expected.Nodes.Length + 6) "a layer a line"
                    let code, _, errors = lmc folder [ "new"; "network"; "resnet2" ]
                    Expect.equal code 1 "none of that name"
                    Expect.stringContains errors "nearest: resnet20" "what is near"
                    let code, _, errors = lmc folder [ "mesure" ]
                    Expect.equal code 2 "no command"
                    Expect.stringContains errors "nearest: measure" "what is near")
            }

            test "lmc merge merges by every method, in double, and refuses an option that is another's" {
                inFolder (fun folder ->
                    let network = Network(Catalogue.Mlp([| 1; 28; 28 |], [| 16; 8 |], 10))

                    for name, seed in [ "base", 0L; "a", 1L; "b", 2L ] do
                        use model = randomParameters network seed
                        use file = File.Create(Path.Combine(folder, $"{name}.safetensors"))
                        ModelFile.Write(file, model)

                    let read name =
                        let path = Path.Combine(folder, $"{name}.safetensors")
                        ModelFile.Read(ReadOnlySpan(File.ReadAllBytes path), name)

                    let merge words =
                        let files =
                            [ "merge"; "a.safetensors"; "b.safetensors"; "--arch"; "mlp"; "--hidden"; "16"; "8" ]

                        lmc folder (files @ [ "--search"; "none"; "-o"; "out.safetensors"; "--json" ] @ words)

                    use zero = read "base"
                    use a = read "a"
                    use b = read "b"

                    let expect (method: LmcDsl.Core.Merging.MergeMethod) models words =
                        let said = merge words |> done' |> Json.parse
                        use found = read "out"
                        use expected = method.Merge(List.toArray models)
                        Expect.isLessThan (difference found.Flat expected.Flat) 1e-6 (String.concat " " words)
                        said

                    let open' = LmcDsl.Core.Merging.WeightedMerge [| 0.7; 0.3 |]
                    let said = expect open' [ a; b ] [ "--weights"; "0.7"; "0.3" ]
                    Expect.equal said["method"].String "mean" "said"

                    Expect.equal
                        said["models"]
                        (Json.texts [ "a.safetensors"; "b.safetensors" ])
                        "by the names that measure has"

                    expect (LmcDsl.Core.Merging.SphericalMerge 0.25) [ a; b ] [
                        "--method"
                        "spherical"
                        "--share"
                        "0.25"
                    ]
                    |> ignore

                    expect (LmcDsl.Core.Merging.TaskArithmeticMerge(Nullable 0.4)) [ zero; a; b ] [
                        "--method"
                        "task-arithmetic"
                        "--base"
                        "base.safetensors"
                        "--scale"
                        "0.4"
                    ]
                    |> ignore

                    expect (LmcDsl.Core.Merging.TiesMerge(0.3, 1.0)) [ zero; a; b ] [
                        "--method"
                        "ties"
                        "--base"
                        "base.safetensors"
                        "--density"
                        "0.3"
                    ]
                    |> ignore

                    expect (LmcDsl.Core.Merging.DareMerge(0.5, Elect = true, Seed = 4L)) [ a; b ] [
                        "--method"
                        "dare-ties"
                        "--seed"
                        "4"
                    ]
                    |> ignore

                    let layers =
                        LmcDsl.Core.Merging.LayerMerge [| LmcDsl.Core.Merging.WeightsOfLayer("fc1", [| 1.0; 0.0 |]) |]

                    expect layers [ a; b ] [ "--method"; "layers"; "--layer-weights"; "fc1=1,0" ] |> ignore

                    for words, part in
                        [
                            [ "--density"; "0.5" ], "--density: is of --method dare, dare-ties, ties, found mean"
                            [ "--method"; "tise" ], "nearest: ties"
                            [ "--base"; "base.safetensors" ], "--base: expected a method that takes differences"
                            [ "--weights"; "0.7"; "0.7" ], "sum to 1"
                            [ "--method"; "layers"; "--layer-weights"; "fc7=1,0" ], "'fc7'"
                        ] do
                        let code, output, errors = merge words
                        Expect.equal code 1 (output + errors)
                        Expect.equal (errors.Trim().Split('\n').Length) 1 errors
                        Expect.stringContains errors part "why"

                    let partial groups =
                        let words =
                            [ "align"; "a.safetensors"; "b.safetensors"; "--arch"; "mlp"; "--hidden"; "16"; "8" ]

                        lmc folder (words @ [ "--first-groups"; string groups; "-o"; "part.safetensors"; "--json" ])

                    let all = (partial 2 |> done' |> Json.parse).["L2"].Float
                    let one = (partial 1 |> done' |> Json.parse).["L2"].Float
                    let none = (partial 0 |> done' |> Json.parse).["L2"].Float
                    Expect.isLessThan all none "aligned"
                    Expect.notEqual one all "in part"
                    let code, _, errors = partial 3
                    Expect.equal code 1 "no third group"
                    Expect.stringContains errors "0 to 2" "why")
            }
        ]
    )
