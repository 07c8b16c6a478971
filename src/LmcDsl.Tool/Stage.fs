namespace LmcDsl.Tool

open System
open System.Globalization
open LmcDsl.Core.Checkpoints
open Spectre.Console

/// What a command is at, told while it lasts: a turning line on a terminal, nothing where errors go to a file.
[<RequireQualifiedAccess>]
module Stage =

    let private terminal = lazy (AnsiConsole.Create(AnsiConsoleSettings(Out = AnsiConsoleOutput Console.Error)))

    let private isTold () = not Console.IsErrorRedirected && terminal.Value.Profile.Capabilities.Interactive

    /// How many bytes of how many, in a unit that suits them all; nothing of less than a megabyte, which takes no time.
    let share (bytes: int64) (total: int64) : string =
        let shown (value: float) = value.ToString("F1", CultureInfo.InvariantCulture)

        match (if total >= 1_000_000_000L then 1e9, "GB" else 1e6, "MB") with
        | unit, name when total >= 1_000_000L ->
            $": {shown (float (min bytes total) / unit)} of {shown (float total / unit)} {name}"
        | _ -> ""

    /// Does work on so many bytes, telling what it is and how many are done, as the work says.
    let moving (what: string) (total: int64) (work: (int64 -> unit) -> 'a) : 'a =
        AtWork.note what

        if isTold () then
            terminal.Value
                .Status()
                .Start(
                    Markup.Escape what,
                    fun line -> work (fun bytes -> line.Status <- Markup.Escape(what + share bytes total))
                )
        else
            work ignore

    /// Does the work, telling what it is.
    let during (what: string) (work: unit -> 'a) : 'a = moving what 0L (fun _ -> work ())

    /// The bytes of tensors.
    let bytesOf (entries: TensorEntry seq) : int64 =
        Seq.sum (seq { for entry in entries -> entry.Type.BytesOf(entry.Count, entry.Name) })
