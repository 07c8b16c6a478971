namespace LmcDsl.Tool

open System
open System.IO
open System.Runtime.InteropServices
open LmcDsl
open LmcDsl.Core.Runtime

/// `lmc plan SCRIPT` and `lmc run SCRIPT`: an experiment's script, in F# Interactive.
[<RequireQualifiedAccess>]
module ScriptCommand =

    // Takes this process's place, so that its exit code and the signals that reach it are the script's own.
    [<DllImport("libc", SetLastError = true)>]
    extern int private execvp(string file, string | null [] arguments)

    let private become (program: string) (words: string list) =
        // Windows has no such call: the script is a child there.
        if OperatingSystem.IsWindows() then
            use child = nonNull (Diagnostics.Process.Start(Diagnostics.ProcessStartInfo(program, words)))
            child.WaitForExit()
            exit child.ExitCode

        execvp (program, [| program; yield! words; null |]) |> ignore
        let why = Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())
        raise (LmcException $"{program}: expected the .NET SDK's command on the path: {why}")

    let private script command (words: string list) =
        match words with
        | path :: rest when File.Exists path && Path.GetExtension path = ".fsx" -> path, rest
        | path :: _ -> raise (LmcException $"{command}: expected an experiment's script (.fsx), found '{path}'")
        | [] -> raise (Usage($"lmc {command}: expected an experiment's script, found none", 2))

    /// Runs a script with what follows its name.
    let run (words: string list) : unit =
        let path, rest = script "run" words
        become "dotnet" ([ "fsi"; "--quiet"; path ] @ rest)

    /// Shows what a script would do.
    let plan (words: string list) : unit =
        let path, rest = script "plan" words
        become "dotnet" ([ "fsi"; "--quiet"; path ] @ rest @ [ "--plan" ])

    /// The lines by which a script takes the library from where this command is installed: those of the experiments' own prelude, which
    /// take it from where it is built.
    let prelude () : string =
        use built = Reflection.Assembly.GetExecutingAssembly().GetManifestResourceStream "prelude.fsx" |> nonNull
        use reader = new StreamReader(built)

        reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)
        |> Array.filter (fun line -> not (line.StartsWith "//" || line.StartsWith "#line"))
        |> Array.map (fun line ->
            if line.StartsWith "#r " then
                let path = Path.Combine(AppContext.BaseDirectory, string (Path.GetFileName(line.Split('"')[1])))
                $"#r \"{path}\""
            else
                line)
        |> String.concat "\n"
