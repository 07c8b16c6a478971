namespace LmcDsl

open System
open System.IO
open System.Reflection
open System.Runtime.InteropServices

/// Where a value comes from: the code, the packages and the machine. Without times, so that the same run writes the
/// same bytes.
[<RequireQualifiedAccess>]
module Provenance =

    /// An assembly's version as packages have it, with the commit where it was built from a repository.
    let internal informational (assembly: Assembly) : string =
        match assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>() with
        | null -> string (assembly.GetName().Version)
        | attribute -> attribute.InformationalVersion

    let private processor () =
        try
            File.ReadLines "/proc/cpuinfo"
            |> Seq.tryFind _.StartsWith("model name")
            |> Option.map (fun line -> line.Substring(line.IndexOf ':' + 1).Trim())
            |> Option.defaultValue "unknown"
        with :? IOException ->
            // Linux only; Windows says it in a variable.
            Environment.GetEnvironmentVariable "PROCESSOR_IDENTIFIER" |> Option.ofObj |> Option.defaultValue "unknown"

    /// Code version (with the commit, where built from a repository), package versions and machine.
    let current: Json Lazy =
        lazy
            (Json.Object [
                "code", Json.Text(informational (Assembly.GetExecutingAssembly()))
                "packages",
                Json.Object [
                    "TorchSharp", Json.Text(informational typeof<TorchSharp.torch>.Assembly)
                    "libtorch", Json.Text TorchSharp.torch.__version__
                    "FSharp.Core", Json.Text(informational typeof<list<int>>.Assembly)
                ]
                "machine",
                Json.Object [
                    "os", Json.Text RuntimeInformation.OSDescription
                    "processor", Json.Text(processor ())
                    "cores", Json.int (int64 Environment.ProcessorCount)
                    "dotnet", Json.Text RuntimeInformation.FrameworkDescription
                ]
            ])
