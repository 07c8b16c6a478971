// The project's tasks: dotnet fsi build.fsx -t TARGET [-- ARGUMENTS OF THE EXPERIMENT]
#load "build/targets.fsx"
#load "build/packages.fsx"
#load "build/site.fsx"

let words = fsi.CommandLineArgs |> Array.toList |> List.tail
// Before anything is fetched: what is asked for must be there.
let asked = Targets.asked words

#if !PACKAGES
match asked with
| None -> Targets.help ()
| Some _ ->
    Packages.restore ()
    Packages.runAgain "build.fsx" words
#else
#load ".paket/load/net10.0/Build/build.group.fsx"

open System
open System.IO
open Fake.Core
open Fake.Core.TargetOperators

/// The words for the experiment.
let theirs = asked |> Option.map snd |> Option.defaultValue []

Context.setExecutionContext (Context.RuntimeContext.Fake(Context.FakeExecutionContext.Create false "build.fsx" []))
CoreTracing.setTraceListeners [] // the targets' own output is enough

/// Runs a program in the project's folder; its failure is the build's.
let run program (arguments: string list) =
    match Packages.attached program arguments with
    | 0 -> ()
    | code -> exit code

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

let target name (_description: string) action = Target.create name (fun _ -> action ())

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

target "Mutants" "Whether the tests notice a wrong library, mutant by mutant (about 15 minutes)" (fun () ->
    programWith ("mutants" :: theirs) "tests/LmcDsl.Tests")

for name, script, description in Targets.experiments do
    target name description (fun () -> experiment script)
    "Library" ==> name |> ignore

// The results of a page's items, small files only.
let publish (script: string) (results: string) (published: string) =
    let results, published = Path.Combine(Packages.root, results), Path.Combine(Packages.root, published)

    let copy folder name =
        let source, target = Path.Combine(results, folder, name), Path.Combine(published, folder, name)

        if File.Exists source && FileInfo(source).Length < 250_000L then
            Directory.CreateDirectory(Path.Combine(published, folder)) |> ignore
            File.Copy(source, target, overwrite = true)

    copy "" "report.md"

    for item in Targets.itemsOf script do
        let folder = Path.Combine(results, item)

        if Directory.Exists folder then
            for file in Directory.GetFiles folder do
                if file.EndsWith ".md" || file.EndsWith ".svg" || file.EndsWith ".json" then
                    copy item (Path.GetFileName file)

target "Publish" "Copy the paper's results, and those beyond it, small files only, to docs" (fun () ->
    publish "paper" "results" "docs/results"
    publish "beyond" "results/beyond" "docs/beyond")

target "Bench" "Measure speed against bare Torch and other references" (fun () -> program "tests/LmcDsl.Bench")

target "Format" "Format F# with Fantomas and C# with dotnet format" (fun () ->
    fantomas []
    run "dotnet" [ "format"; "whitespace"; "src/LmcDsl.Core" ])

target "CheckFormat" "Fail where formatting would change something" (fun () ->
    fantomas [ "--check" ]
    run "dotnet" [ "format"; "whitespace"; "src/LmcDsl.Core"; "--verify-no-changes" ])

// Paket pins what it restored. Who uses a package may have a newer one: what it says is the least.
let loosen (package: string) =
    use archive = Compression.ZipFile.Open(package, Compression.ZipArchiveMode.Update)

    for entry in archive.Entries |> Seq.filter _.FullName.EndsWith(".nuspec") |> List.ofSeq do
        let text =
            use reader = new StreamReader(entry.Open())
            reader.ReadToEnd()

        let loose = Text.RegularExpressions.Regex.Replace(text, "version=\"\\[([^\\],]+)\\]\"", "version=\"$1\"")
        let name = entry.FullName
        entry.Delete()
        use writer = new StreamWriter(archive.CreateEntry(name).Open())
        writer.Write loose

target "Pack" "Make the NuGet packages, the tool lmc and the template, in the folder packages" (fun () ->
    for project in [ "src/LmcDsl.Core"; "src/LmcDsl"; "src/LmcDsl.Tool"; "templates" ] do
        run "dotnet" [ "pack"; project; "-c"; "Release"; "--no-build"; "--nologo"; "-v"; "quiet"; "-o"; "packages" ]

    for file in Directory.GetFiles(Path.Combine(Packages.root, "packages"), "*.nupkg") |> Array.sort do
        loosen file
        printfn $"packages/{Path.GetFileName file} ({FileInfo(file).Length / 1_000L:N0} kB)")

target "Docs" "Make the documentation site, in the folder site, and check its links" (fun () ->
    let site, pages = Path.Combine(Packages.root, "site"), Path.Combine(Packages.root, ".site-pages")
    let address = "/lmcdsl/"
    Site.gather pages

    let options =
        [
            "root", address
            "fsdocs-collection-name", "LmcDsl"
            "fsdocs-collection-name-link", address + "index.html"
            "fsdocs-license-link", address + "license.html"
            "fsdocs-release-notes-link", address + "changelog.html"
            "fsdocs-repository-link", address + "contributing.html"
            "fsdocs-logo-link", address + "index.html"
        ]

    run "dotnet" [
        "fsdocs"
        "build"
        "--clean"
        "--eval"
        "--input"
        pages
        "--output"
        site
        "--properties"
        "Configuration=Release"
        "--projects"
        "src/LmcDsl.Core/LmcDsl.Core.csproj"
        "src/LmcDsl/LmcDsl.fsproj"
        "--parameters"
        for name, value in options do
            name
            value
    ]

    Directory.Delete(pages, recursive = true)
    Site.settle site address

    match Site.broken site with
    | [] -> printfn "Written: site/index.html; every link leads somewhere"
    | broken ->
        for line in broken do
            eprintfn $"{line}"

        eprintfn $"Docs: expected links that lead somewhere, found {broken.Length} that do not"
        exit 1)

target "Update" "Resolve paket.lock anew from paket.dependencies" Packages.update

target "Clean" "Remove what building made; results stay" (fun () ->
    for project in Directory.GetFiles(Packages.root, "*.*proj", SearchOption.AllDirectories) do
        for folder in [ "bin"; "obj" ] do
            let path = Path.Combine(Path.GetDirectoryName project, folder)

            if Directory.Exists path then
                Directory.Delete(path, recursive = true))

"Restore" ==> "Library"
"Restore" ==> "Build" ==> "Test"
"Build" ==> "Bench"
"Build" ==> "Pack"
"Library" ==> "Docs"
"Build" ==> "Faults"
"Build" ==> "Mutants"
"Restore" ==> "Format"
"Restore" ==> "CheckFormat"

match asked with
| Some(name, _) -> Target.runOrDefault name
| None -> Targets.help ()
#endif
