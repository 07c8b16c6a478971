namespace LmcDsl

open System
open Argu
open LmcDsl.Core.Runtime

/// Why there is nothing to run: what to print, and the exit code.
exception Usage of text: string * exitCode: int

/// Reading command lines.
[<RequireQualifiedAccess>]
module internal Words =

    // Of words that are not understood: what is wrong with them, from the first option that there is none of, or as the parser says it.
    let private mistake (known: string list) (words: string list) (told: string) : string =
        let options = words |> List.filter (fun word -> word.StartsWith "--" && word.Length > 2)

        match
            options
            |> List.map (fun word -> word.Split('=').[0])
            |> List.tryFind (fun word -> not (List.contains word known))
        with
        | Some word ->
            match Nearest.Of(word, known) |> Option.ofObj with
            | Some near -> $"expected an argument, found '{word}'; did you mean {near}?"
            | None -> $"expected an argument, found '{word}'"
        | None ->
            let line = told.Split('\n').[0].Replace("ERROR: ", "").Trim().TrimEnd('.')
            let quoted = line.Split '\''

            // A word that an option of several values does not take is said to be after it.
            match line.StartsWith "unrecognized argument", quoted with
            | true, [| _; word; _ |] ->
                match words |> List.takeWhile ((<>) word) |> List.tryFindBack (fun other -> other.StartsWith '-') with
                | Some option -> $"expected an argument, or what {option} takes, found '{word}'"
                | None -> $"expected an argument, found '{word}'"
            | _ -> line

    /// Reads words by a grammar, of a program called so. Raises `Usage` where they ask for help, or are not understood: then with one line
    /// that says what is wrong, and how to see all arguments.
    let parse (program: string) (parser: ArgumentParser<'argument>) (words: string list) : ParseResults<'argument> =
        try
            parser.ParseCommandLine(List.toArray words)
        with :? ArguParseException as error ->
            if error.ErrorCode = ErrorCode.HelpText then
                raise (Usage(error.Message, 0))
            else
                let known =
                    "--help"
                    :: [
                        for case in parser.GetArgumentCases() do
                            yield! case.CommandLineNames.Value
                    ]

                raise (Usage($"{program}: {mistake known words error.Message} (all arguments: --help)", 2))

    /// The value that a word of an option stands for. Raises `LmcException` where it stands for none, with the nearest word.
    let oneOf (option: string) (values: (string * 'value) list) (word: string) : 'value =
        match values |> List.tryFind (fst >> (=) word) with
        | Some(_, value) -> value
        | None ->
            let known = List.map fst values

            let shown =
                match List.rev known with
                | last :: (_ :: _ as others) -> String.Join(", ", List.rev others) + " or " + last
                | _ -> String.Join(", ", known)

            raise (LmcException $"{option}: expected {shown}, found '{word}'{Nearest.Hint(word, known)}")
