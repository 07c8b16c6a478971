namespace LmcDsl.Tool

open System
open Spectre.Console

/// What a command is at, told while it lasts: a turning line on a terminal, nothing where errors go to a file.
[<RequireQualifiedAccess>]
module Stage =

    let private terminal = lazy (AnsiConsole.Create(AnsiConsoleSettings(Out = AnsiConsoleOutput Console.Error)))

    /// Does the work, telling what it is.
    let during (what: string) (work: unit -> 'a) : 'a =
        AtWork.note what

        if Console.IsErrorRedirected || not terminal.Value.Profile.Capabilities.Interactive then
            work ()
        else
            terminal.Value.Status().Start(Markup.Escape what, (fun _ -> work ()))
