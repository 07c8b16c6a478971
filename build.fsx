// The project's tasks: dotnet fsi build.fsx -t TARGET [-- ARGUMENTS OF THE EXPERIMENT]
#load "build/packages.fsx"

#if !PACKAGES
Packages.restore ()
Packages.runAgain "build.fsx" (fsi.CommandLineArgs |> Array.toList |> List.tail)
#else
#load ".paket/load/net10.0/Build/build.group.fsx"

open System
open System.IO
open Fake.Core
open Fake.Core.TargetOperators

let words = fsi.CommandLineArgs |> Array.toList |> List.tail

/// The first two words are for this script, those after them for the experiment. `--` between them need not be there:
/// F# Interactive may have taken it for its own.
let ours, theirs =
    match words with
    | flag :: name :: "--" :: rest
    | flag :: name :: rest -> [ flag; name ], rest
    | few -> few, []

Context.setExecutionContext (Context.RuntimeContext.Fake(Context.FakeExecutionContext.Create false "build.fsx" []))
CoreTracing.setTraceListeners [] // the targets' own output is enough

/// Runs a program in the project's folder; its failure is the build's.
let run program (arguments: string list) =
    let result =
        CreateProcess.fromRawCommand program arguments |> CreateProcess.withWorkingDirectory Packages.root |> Proc.run

    if result.ExitCode <> 0 then
        exit result.ExitCode

/// Whether NuGet has seen every project since the packages were last restored: then asking it again only takes time.
let isRestored () =
    let restored = File.GetLastWriteTimeUtc(Path.Combine(Packages.root, ".paket", "restored"))

    Directory.GetFiles(Packages.root, "*.*proj", SearchOption.AllDirectories)
    |> Array.forall (fun project ->
        let assets = FileInfo(Path.Combine(Path.GetDirectoryName project, "obj", "project.assets.json"))

        assets.Exists
        && assets.LastWriteTimeUtc > restored
        && assets.LastWriteTimeUtc > File.GetLastWriteTimeUtc project)

let build project =
    let options = if isRestored () then [ "--no-restore" ] else []
    run "dotnet" ([ "build"; project; "-c"; "Release"; "--nologo"; "-v"; "quiet"; "-clp:NoSummary" ] @ options)

let programWith words project =
    run "dotnet" ([ "run"; "--project"; project; "-c"; "Release"; "--no-build"; "--" ] @ words)

let program project = programWith theirs project

let experiment script = run "dotnet" ([ "fsi"; "--quiet"; $"experiments/{script}.fsx" ] @ theirs)

let fantomas options = run "dotnet" ([ "fantomas" ] @ options @ [ "src"; "tests"; "experiments"; "build"; "build.fsx" ])

let targets = Collections.Generic.List<string * string>()

let target name description action =
    targets.Add(name, description)
    Target.create name (fun _ -> action ())

let help () =
    printfn "dotnet fsi build.fsx -t TARGET [-- ARGUMENTS]\n"

    for name, description in targets do
        printfn $"  {name, -20}{description}"

target "Restore" "Fetch tools and packages (done before every target)" ignore
target "Build" "Build everything" (fun () -> build "LmcDsl.sln")
target "Library" "Build what experiments need" (fun () -> build "src/LmcDsl/LmcDsl.fsproj")
target "Test" "Run all tests" (fun () -> program "tests/LmcDsl.Tests")

target "Faults" "The long run of kills, faults and damaged input (about 15 minutes)" (fun () ->
    let long = [ "LMC_KILLS", "40"; "LMC_CASES", "100000" ]

    for name, value in long do
        if isNull (Environment.GetEnvironmentVariable name) then
            Environment.SetEnvironmentVariable(name, value)

    for list in [ "Malformed input"; "Faults"; "Store trust"; "Machine" ] do
        programWith [ "--filter-test-list"; list ] "tests/LmcDsl.Tests")

target "Quickstart" "The main job: train three MLPs, align, merge, measure" (fun () -> experiment "quickstart")
target "Searches" "Every search on every network: barriers, L2, R" (fun () -> experiment "searches")

let items =
    [
        "Table1", "table1", "Weight matching: barrier, Taylor estimate, L2"
        "Figure1", "figure1", "Singular values of independently trained models"
        "Figure2", "figure2", "R between two models, with and without permutation"
        "Figure3", "figure3", "R between the merged model and its parents"
        "Figure4", "figure4", "Layer inputs and right singular vectors"
        "Width", "width", "Barrier, R and dominant singular values by width"
        "Regularisation", "regularisation", "The same by weight decay and learning rate"
        "ActivationMatching", "activationMatching", "Activation matching beside weight matching"
        "Table2", "table2", "Straight-through searches: barrier and R"
        "Table3", "table3", "Three models and more"
        "Figure5", "figure5", "R of the pair (b, c)"
        "Figure6", "figure6", "Accuracy over the plane through three models"
        "Theorem41", "theorem41", "The objective in terms of singular vectors"
        "Theorem42", "theorem42", "A layer's output difference and its bound"
        "Paper", "paper", "All of these, and the page of claims"
    ]

for name, script, description in items do
    target name description (fun () -> experiment script)
    "Library" ==> name |> ignore

target "Publish" "Copy the paper's results, small files only, to docs/results" (fun () ->
    let results, published = Path.Combine(Packages.root, "results"), Path.Combine(Packages.root, "docs", "results")

    let copy folder name =
        let source, target = Path.Combine(results, folder, name), Path.Combine(published, folder, name)

        if File.Exists source && FileInfo(source).Length < 250_000L then
            Directory.CreateDirectory(Path.Combine(published, folder)) |> ignore
            File.Copy(source, target, overwrite = true)

    copy "" "report.md"

    for _, item, _ in items do
        let folder = Path.Combine(results, item)

        if Directory.Exists folder then
            for file in Directory.GetFiles folder do
                if file.EndsWith ".md" || file.EndsWith ".svg" || file.EndsWith ".json" then
                    copy item (Path.GetFileName file))

target "Planted" "How often weight matching finds a planted permutation" (fun () -> experiment "planted")
target "Bench" "Measure speed against bare Torch and other references" (fun () -> program "tests/LmcDsl.Bench")

target "Format" "Format F# with Fantomas and C# with dotnet format" (fun () ->
    fantomas []
    run "dotnet" [ "format"; "whitespace"; "src/LmcDsl.Core" ])

target "CheckFormat" "Fail where formatting would change something" (fun () ->
    fantomas [ "--check" ]
    run "dotnet" [ "format"; "whitespace"; "src/LmcDsl.Core"; "--verify-no-changes" ])

target "Pack" "Make the NuGet packages and the tool lmc, in the folder packages" (fun () ->
    for project in [ "LmcDsl.Core"; "LmcDsl"; "LmcDsl.Tool" ] do
        run "dotnet" [
            "pack"
            $"src/{project}"
            "-c"
            "Release"
            "--no-build"
            "--nologo"
            "-v"
            "quiet"
            "-o"
            "packages"
        ]

    for file in Directory.GetFiles(Path.Combine(Packages.root, "packages"), "*.nupkg") |> Array.sort do
        printfn $"packages/{Path.GetFileName file} ({FileInfo(file).Length / 1_000L:N0} kB)")

target "Update" "Resolve paket.lock anew from paket.dependencies" Packages.update

target "Clean" "Remove what building made; results stay" (fun () ->
    for project in Directory.GetFiles(Packages.root, "*.*proj", SearchOption.AllDirectories) do
        for folder in [ "bin"; "obj" ] do
            let path = Path.Combine(Path.GetDirectoryName project, folder)

            if Directory.Exists path then
                Directory.Delete(path, recursive = true))

target "Help" "Show the targets" help

"Restore" ==> "Library" ==> "Quickstart"
"Library" ==> "Searches"
"Library" ==> "Planted"
"Restore" ==> "Build" ==> "Test"
"Build" ==> "Bench"
"Build" ==> "Pack"
"Build" ==> "Faults"
"Restore" ==> "Format"
"Restore" ==> "CheckFormat"

match ours with
| [] -> help ()
| [ "-t" | "--target"; name ] when targets.Exists(fun (known, _) -> known = name) -> Target.runOrDefault name
| _ ->
    eprintfn $"""build.fsx: expected -t TARGET [-- ARGUMENTS], found '{String.Join(" ", ours)}'"""
    help ()
    exit 2
#endif
