namespace LmcDsl

open System
open System.Diagnostics
open System.IO
open LmcDsl.Core.Runtime

/// A headless Chromium, where one is installed: it turns pages into pictures.
[<RequireQualifiedAccess>]
module Browser =

    let private names = [ "chromium"; "chromium-browser"; "google-chrome"; "google-chrome-stable" ]

    /// The program: `LMC_CHROMIUM`, or the first of the usual names on the path. An empty `LMC_CHROMIUM` means none.
    let tryFind () : string option =
        match Environment.GetEnvironmentVariable "LMC_CHROMIUM" with
        | null ->
            let folders = (string (Environment.GetEnvironmentVariable "PATH")).Split Path.PathSeparator

            names
            |> List.collect (fun name -> [ for folder in folders -> Path.Combine(folder, name) ])
            |> List.tryFind File.Exists
        | "" -> None
        | path -> Some path

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

    /// Runs the browser with a profile of its own, and gives what it writes.
    /// Raises `LmcException` where it fails or takes more than two minutes.
    let run (program: string) (arguments: string list) : string =
        let profile = Directory.CreateTempSubdirectory "lmcdsl-browser-"

        try
            let start =
                ProcessStartInfo(
                    program,
                    options profile.FullName @ arguments,
                    RedirectStandardOutput = true,
                    RedirectStandardError = true
                )

            use browser =
                match Process.Start start with
                | null -> raise (LmcException $"{program}: does not start")
                | started -> started

            let errors = browser.StandardError.ReadToEndAsync()
            let output = browser.StandardOutput.ReadToEndAsync()

            if not (browser.WaitForExit 120_000) then
                browser.Kill(entireProcessTree = true)
                raise (LmcException $"{program}: expected an end within two minutes, found none")

            if browser.ExitCode <> 0 then
                let reason = errors.Result.ReplaceLineEndings " "
                raise (LmcException $"{program}: exit code {browser.ExitCode}: {reason}")

            output.Result
        finally
            try
                profile.Delete(recursive = true)
            with :? IOException ->
                () // a helper of the browser may still be writing; the folder is a temporary one
