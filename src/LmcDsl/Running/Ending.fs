namespace LmcDsl

open System

/// How a process ended, as its exit code tells.
[<RequireQualifiedAccess>]
module internal Ending =

    // Of signal(7), for Linux.
    let private names =
        dict [
            1, "SIGHUP"
            2, "SIGINT"
            3, "SIGQUIT"
            4, "SIGILL"
            6, "SIGABRT"
            7, "SIGBUS"
            8, "SIGFPE"
            9, "SIGKILL"
            11, "SIGSEGV"
            13, "SIGPIPE"
            15, "SIGTERM"
            24, "SIGXCPU"
        ]

    let private crashes = set [ 4; 6; 7; 8; 11 ]

    /// A signal by its name, and what it means where that helps.
    let signal (number: int) : string =
        let name =
            match names.TryGetValue number with
            | true, name -> name
            | _ -> $"signal {number}"

        if crashes.Contains number then
            $"{name}, a crash in native code"
        elif number = 9 then
            $"{name}, by somebody or by the system when memory runs out"
        else
            name

    /// The signal that ended a process, where one did: .NET and shells give 128 more than its number.
    let bySignal (exitCode: int) : int option = if exitCode > 128 && exitCode < 193 then Some(exitCode - 128) else None

    /// The end of a process in words: `ended by SIGFPE, ...`, or by its exit code.
    let told (exitCode: int) : string =
        match bySignal exitCode with
        | Some number -> $"ended by {signal number}"
        | None -> $"ended with exit code {exitCode}"

/// Programs of other packages that are run.
[<RequireQualifiedAccess>]
module internal Programs =

    /// The path of a program that the folders of `PATH` hold. .NET by itself looks into the working folder first, and empty or relative
    /// entries mean it too: a file there may be anybody's.
    let tryFind (name: string) : string option =
        if name.Contains '/' || name.Contains IO.Path.DirectorySeparatorChar then
            Some name
        else
            (string (Environment.GetEnvironmentVariable "PATH"))
                .Split(IO.Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            |> Seq.filter IO.Path.IsPathFullyQualified
            |> Seq.map (fun folder -> IO.Path.Combine(folder, name))
            |> Seq.tryFind (fun path ->
                let facts = LmcDsl.Core.Runtime.UnixFile.Look path

                facts.Kind = LmcDsl.Core.Runtime.FileKind.Regular
                && facts.Mode
                   &&& (IO.UnixFileMode.UserExecute ||| IO.UnixFileMode.GroupExecute ||| IO.UnixFileMode.OtherExecute)
                   <> IO.UnixFileMode.None)
