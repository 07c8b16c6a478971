/// Fetches the packages of paket.lock, before anything else can be referenced. Uses nothing but .NET itself.
/// What fills the user's package folder is the NuGet client, with the feeds of the user's own configuration; Paket then
/// takes that folder as its source.
module Packages

open System
open System.Diagnostics
open System.IO
open System.Runtime.InteropServices
open System.Security.Cryptography
open System.Text.RegularExpressions

let root = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, ".."))

let private inRoot (path: string) = Path.Combine(root, path)

/// The package of Torch's native library for this machine, as Directory.Build.props says.
let private native () =
    let props = File.ReadAllText(inRoot "Directory.Build.props")

    let system =
        if OperatingSystem.IsWindows() then "Windows"
        elif OperatingSystem.IsMacOS() then "OSX"
        else "Linux"

    let one pattern = Regex.Match(props, pattern).Groups[1].Value
    one $@"IsOSPlatform\('{system}'\)\)"">(.*?)<", one "<LibTorchVersion>(.*?)<"

/// Every package of paket.lock, with its version, and the native one.
let locked () =
    [
        native ()
        for line in File.ReadLines(inRoot "paket.lock") do
            let m = Regex.Match(line, @"^    (\S+) \(([^)]+)\)")

            if m.Success then
                m.Groups[1].Value, m.Groups[2].Value
    ]
    |> List.distinct

let private packageFolder =
    Path.Combine(Environment.GetFolderPath Environment.SpecialFolder.UserProfile, ".nuget", "packages")

let private isThere (name: string, version: string) =
    File.Exists(Path.Combine(packageFolder, name.ToLowerInvariant(), version, ".nupkg.metadata"))

/// Runs a program. Its output is shown only where it fails.
let private quietly (what: string) (program: string) (arguments: string) =
    let start =
        ProcessStartInfo(
            program,
            arguments,
            WorkingDirectory = root,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        )

    start.Environment["NUGET_PACKAGES"] <- packageFolder // the one place that paket.dependencies names
    use child = Process.Start start
    let errors = child.StandardError.ReadToEndAsync()
    let output = child.StandardOutput.ReadToEnd()
    child.WaitForExit()

    if child.ExitCode <> 0 then
        eprintfn $"{what} failed (exit code {child.ExitCode}):\n{output}{errors.Result}"
        exit 1

/// Has the NuGet client fetch packages: each as `item name version` asks for it.
let private download (item: string -> string -> string) packages =
    let items = packages |> List.map (fun (name, version) -> item name version) |> String.concat "\n"

    let project =
        $"""<Project Sdk="Microsoft.NET.Sdk">
<PropertyGroup><TargetFramework>net10.0</TargetFramework><RestoreEnablePackagePruning>false</RestoreEnablePackagePruning></PropertyGroup>
<ItemGroup>{items}</ItemGroup></Project>"""

    let folder = Directory.CreateTempSubdirectory "lmcdsl-packages-"

    try
        let path = Path.Combine(folder.FullName, "packages.proj")
        File.WriteAllText(path, project)
        quietly "Downloading packages" "dotnet" $"restore \"{path}\""
    finally
        folder.Delete(recursive = true)

/// Each package once, with all of its versions, exactly these: of several items of one name NuGet takes the first alone.
let together (packages: (string * string) list) : (string * string) list =
    packages
    |> List.groupBy fst
    |> List.map (fun (name, versions) -> name, versions |> List.map (fun (_, v) -> $"[{v}]") |> String.concat ";")

let private stamp = inRoot ".paket/restored"

/// What the restored state depends on.
let private fingerprint () =
    [ "paket.lock"; "paket.dependencies"; "Directory.Build.props"; ".config/dotnet-tools.json" ]
    |> List.map (inRoot >> File.ReadAllBytes >> SHA256.HashData >> Convert.ToHexString)
    |> String.concat "\n"

/// Fetches what is missing. Does nothing, in milliseconds, where all is there.
let restore () =
    let packages = locked ()
    let missing = packages |> List.filter (isThere >> not)

    if not (missing.IsEmpty && File.Exists stamp && File.ReadAllText stamp = fingerprint ()) then
        if not missing.IsEmpty then
            printfn $"Fetching {missing.Length} packages (once, about 210 MB on a new machine) ..."

            together missing
            |> download (fun name versions -> $"<PackageDownload Include='{name}' Version='{versions}' />")

        quietly "Restoring tools" "dotnet" "tool restore"
        quietly "Restoring packages" "dotnet" "paket restore"

        quietly
            "Writing load scripts"
            "dotnet"
            "paket generate-load-scripts --group Build --framework net10.0 --type fsx"

        File.WriteAllText(stamp, fingerprint ())

/// Resolves paket.lock anew from paket.dependencies: each group's packages are fetched with all that they depend on, and
/// Paket resolves among what is then there.
let update () =
    let groups =
        File.ReadAllText(inRoot "paket.dependencies").Split("\ngroup ")
        |> Array.map (fun group ->
            [
                for m in Regex.Matches(group, @"^\s*nuget (\S+) (\S+)", RegexOptions.Multiline) ->
                    m.Groups[1].Value, m.Groups[2].Value
            ])

    for group in groups do
        download (fun name version -> $"<PackageReference Include='{name}' Version='{version}' />") group

    quietly "Resolving packages" "dotnet" "paket install"
    restore ()

/// Runs a program with this terminal, in the project's folder, and gives its exit code. An interrupt reaches both processes, and only the
/// program decides what it means; being asked to end is passed on to it.
let attached (program: string) (arguments: string list) : int =
    let start = ProcessStartInfo(program, arguments, WorkingDirectory = root)
    use child = Process.Start start

    let leave (context: PosixSignalContext) = context.Cancel <- true

    let passOn (context: PosixSignalContext) =
        context.Cancel <- true

        if not (OperatingSystem.IsWindows()) then
            use _ = Process.Start("kill", [ "-TERM"; string child.Id ])
            ()

    use _ = PosixSignalRegistration.Create(PosixSignal.SIGINT, leave)
    use _ = PosixSignalRegistration.Create(PosixSignal.SIGTERM, passOn)
    child.WaitForExit()
    child.ExitCode

/// Runs the same script again, now that its packages are there, and ends with its exit code.
let runAgain (script: string) (arguments: string list) : unit =
    exit (attached "dotnet" ([ "fsi"; "--quiet"; "--define:PACKAGES"; inRoot script ] @ arguments))
