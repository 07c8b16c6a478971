namespace LmcDsl

open System
open System.Diagnostics
open System.IO
open System.Runtime.InteropServices
open System.Text
open System.Threading
open LmcDsl.Core.Runtime

/// A headless Chromium, where one is installed: it turns pages into pictures.
[<RequireQualifiedAccess>]
module Browser =

    let private names =
        [
            "chromium"
            "chromium-browser"
            "google-chrome"
            "google-chrome-stable"
            "chrome.exe"
            "msedge.exe"
        ]

    /// The program: `LMC_CHROMIUM`, or the first of the usual names on the path. An empty `LMC_CHROMIUM` means none.
    /// Raises `LmcException` where `LMC_CHROMIUM` names no program.
    let tryFind () : string option =
        match Environment.GetEnvironmentVariable "LMC_CHROMIUM" with
        | null -> List.tryPick Programs.tryFind names
        | "" -> None
        | named ->
            match Programs.tryFind named with
            | Some path when UnixFile.Kind path = FileKind.Regular -> Some path
            | _ -> raise (LmcException $"LMC_CHROMIUM: expected a program, found no '{named}'")

    // The browser asks nothing of the network, and its own sandbox cannot be had as root.
    let private options profile =
        [
            "--headless"
            "--disable-gpu"
            "--disable-quic"
            "--no-first-run"
            "--disable-background-networking"
            "--disable-component-update"
            "--disable-sync"
            $"--user-data-dir={profile}"
            if Environment.UserName = "root" then
                "--no-sandbox"
        ]

    let private limit = 120_000
    let private lastWords = 5_000

    [<DllImport("libc", EntryPoint = "kill")>]
    extern int private signal(int processId, int number)

    // What comes from a stream, whoever keeps it open.
    let private collect (reader: StreamReader) : Thread * StringBuilder =
        let text = StringBuilder()

        let read () =
            let buffer = Array.zeroCreate<char> 65536
            let mutable count = reader.Read(buffer, 0, buffer.Length)

            while count > 0 do
                lock text (fun () -> text.Append(buffer, 0, count) |> ignore)
                count <- reader.Read(buffer, 0, buffer.Length)

        let thread = Thread(read, IsBackground = true)
        thread.Start()
        thread, text

    let private startOf (program: string) (arguments: string list) =
        // In a session of its own it can be ended with all that it started.
        let command, words =
            match Programs.tryFind "setsid" with
            | Some setsid -> setsid, program :: arguments
            | None -> program, arguments

        let start = ProcessStartInfo(command, words, RedirectStandardOutput = true, RedirectStandardError = true)

        try
            match Process.Start start with
            | null -> raise (LmcException $"{program}: does not start")
            | started -> started
        with :? ComponentModel.Win32Exception as error ->
            raise (LmcException($"{program}: does not start: {error.Message}", error))

    let private runIn (profile: DirectoryInfo) (program: string) (arguments: string list) : string =
        use browser = startOf program (options profile.FullName @ arguments)
        let group = browser.Id

        let endAll () =
            if not (OperatingSystem.IsWindows()) then
                signal (-group, 9) |> ignore

            if not browser.HasExited then
                browser.Kill(entireProcessTree = true)

        use _ = Unfinished.undoneBy endAll
        let collected = [ collect browser.StandardOutput; collect browser.StandardError ]
        let ended = browser.WaitForExit limit
        // What it leaves behind would keep its output open for ever.
        endAll ()

        // One that has left the session still may.
        for thread, _ in collected do
            thread.Join lastWords |> ignore

        let texts = [ for _, text in collected -> lock text (fun () -> text.ToString()) ]

        if not ended then
            raise (LmcException $"{program}: expected an end within two minutes, found none")

        if browser.ExitCode <> 0 then
            raise (LmcException $"{program}: {Ending.told browser.ExitCode}: {texts[1].ReplaceLineEndings(string ' ')}")

        texts[0]

    /// Runs the browser with a profile of its own, and gives what it writes. What it leaves running is ended.
    /// Raises `LmcException` where it fails or takes more than two minutes.
    let run (program: string) (arguments: string list) : string =
        let profile = Directory.CreateTempSubdirectory "lmcdsl-browser-"

        try
            runIn profile program arguments
        finally
            try
                profile.Delete(recursive = true)
            with
            | :? IOException
            | :? UnauthorizedAccessException -> () // a helper of the browser may still be writing; the folder is a temporary one
