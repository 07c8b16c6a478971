namespace LmcDsl

open System
open System.Collections.Generic
open System.Diagnostics
open System.Threading
open LmcDsl.Core.Runtime

/// What Slurm's own programs are asked, and what they answer.
[<RequireQualifiedAccess>]
module internal SlurmPrograms =

    let private run program (words: string list) : int * string * string =
        let path =
            match Programs.tryFind program with
            | Some path -> path
            | None -> raise (LmcException $"--on slurm: expected the program {program}, found none on the path")

        let start = ProcessStartInfo(path, words, RedirectStandardOutput = true, RedirectStandardError = true)

        try
            match Process.Start start with
            | null -> raise (LmcException $"{program}: does not start")
            | started ->
                use child = started
                let errors = child.StandardError.ReadToEndAsync()
                let output = child.StandardOutput.ReadToEnd()
                child.WaitForExit()
                child.ExitCode, output, errors.Result
        with :? ComponentModel.Win32Exception as error ->
            raise (LmcException($"--on slurm: expected the program {program}, found none: {error.Message}", error))

    let private failure program code (errors: string) =
        LmcException $"{program}: exit code {code}: {errors.Trim().ReplaceLineEndings(string ' ')}"

    // What Slurm's programs say where the controller is away or busy, which passes.
    let private passes (errors: string) =
        [
            "unable to contact"
            "timed out"
            "connection refused"
            "connection reset"
            "connection failure"
            "connect failure"
            "temporarily"
            "zero bytes"
            "try again"
        ]
        |> List.exists (fun words -> errors.Contains(words, StringComparison.OrdinalIgnoreCase))

    // Runs a program of Slurm's again, with growing pauses, while `again` says of its errors that this may help, for so long at most.
    let private patiently
        (tell: RunEvent -> unit)
        (cancel: CancellationToken)
        (most: TimeSpan)
        again
        program
        words
        : int * string * string =
        let clock = Stopwatch.StartNew()

        let rec attempt (pause: TimeSpan) =
            match run program words with
            | code, _, errors when code <> 0 && again errors && clock.Elapsed + pause < most ->
                tell (Warned $"{(failure program code errors).Message}; asked again in {pause.TotalSeconds:F0} s")
                cancel.WaitHandle.WaitOne pause |> ignore
                cancel.ThrowIfCancellationRequested()
                attempt (TimeSpan.FromSeconds(min 60.0 (2.0 * pause.TotalSeconds)))
            | outcome -> outcome

        attempt (TimeSpan.FromSeconds 1.0)

    /// What a program of Slurm's prints; raises `LmcException` where it fails, and goes on failing where that may pass.
    let required tell cancel program words =
        match patiently tell cancel (TimeSpan.FromMinutes 5.0) passes program words with
        | 0, output, _ -> output.Trim()
        | code, _, errors -> raise (failure program code errors)

    // States of tasks that wait or run, as squeue spells them. Whatever else it prints, warnings for one, is no task.
    let private states =
        HashSet [
            "PENDING"
            "RUNNING"
            "SUSPENDED"
            "CONFIGURING"
            "COMPLETING"
            "REQUEUED"
            "REQUEUE_FED"
            "REQUEUE_HOLD"
            "RESIZING"
            "RESV_DEL_HOLD"
            "SIGNALING"
            "SPECIAL_EXIT"
            "STAGE_OUT"
            "STOPPED"
        ]

    /// Tasks of these arrays that wait or run. An array that Slurm has forgotten has none.
    let active tell cancel (arrays: string list) =
        let forgotten (errors: string) = errors.Contains "Invalid job id"

        if arrays.IsEmpty then
            0
        else
            let words = [ "-h"; "-r"; "-o"; "%T"; "-j"; String.Join(",", arrays) ]

            match patiently tell cancel (TimeSpan.FromHours 1.0) (forgotten >> not) "squeue" words with
            | 0, output, _ ->
                output.Split '\n' |> Array.filter (fun line -> states.Contains(line.Trim())) |> Array.length
            | _, _, errors when forgotten errors -> 0
            | code, _, errors -> raise (failure "squeue" code errors)

    /// How each task of an array ended: its state, exit code and signal. From Slurm's accounts where it keeps them, or from what the
    /// controller remembers for some minutes.
    let endings (array: string) : IReadOnlyDictionary<int, string * int * int> =
        let ask program words =
            try
                match run program words with
                | 0, output, _ -> output.Split('\n', StringSplitOptions.RemoveEmptyEntries) |> List.ofArray
                | _ -> []
            with :? LmcException ->
                []

        let ending (task: string) (state: string) (exit: string) =
            match Int32.TryParse task, exit.Split ':' |> Array.map Int32.TryParse with
            | (true, task), [| true, code; true, signal |] -> Some(task, (state.Split(' ').[0], code, signal))
            | _ -> None

        let ofAccount (line: string) =
            match line.Split '|' with
            | [| id; state; exit |] when id.Contains '_' -> ending (id.Substring(id.IndexOf '_' + 1)) state exit
            | _ -> None

        let ofController (line: string) =
            let field name =
                let found = Text.RegularExpressions.Regex.Match(line, $@"(^|\s){name}=(\S+)")
                if found.Success then found.Groups[2].Value else ""

            ending (field "ArrayTaskId") (field "JobState") (field "ExitCode")

        let told =
            match
                ask "sacct" [ "-X"; "-n"; "-P"; "-j"; array; "-o"; "JobID,State,ExitCode" ] |> List.choose ofAccount
            with
            | [] -> ask "scontrol" [ "-o"; "show"; "job"; array ] |> List.choose ofController
            | told -> told

        told |> List.distinctBy fst |> dict |> Dictionary :> _

    /// The most tasks that an array of this cluster may have.
    let mostTasks tell cancel =
        let line =
            (required tell cancel "scontrol" [ "show"; "config" ]).Split '\n'
            |> Array.tryFind _.TrimStart().StartsWith("MaxArraySize")

        match line |> Option.map (fun line -> Int32.TryParse(line.Substring(line.IndexOf '=' + 1).Trim())) with
        | Some(true, size) when size > 1 -> size - 1
        | _ -> 1000
