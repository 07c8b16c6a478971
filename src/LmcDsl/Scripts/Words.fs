namespace LmcDsl

open System
open Argu
open LmcDsl.Core.Runtime

/// Why there is nothing to run: what to print, and the exit code.
exception Usage of text: string * exitCode: int

/// Reading command lines.
[<RequireQualifiedAccess>]
module internal Words =

    // The first word that looks like an option and is none, where an option is near it.
    let private meant (known: string list) (words: string list) : string option =
        words
        |> List.filter (fun word -> word.StartsWith "--" && word.Length > 2)
        |> List.map (fun word -> word.Split('=').[0])
        |> List.tryFind (fun word -> not (List.contains word known))
        |> Option.map (fun word ->
            match Nearest.Of(word, known) |> Option.ofObj with
            | Some near -> $"expected an argument, found '{word}'; did you mean {near}?\n"
            | None -> $"expected an argument, found '{word}'\n")

    /// Reads words by a grammar. Raises `Usage` where they ask for help or are not understood, with what was probably meant first.
    let parse (parser: ArgumentParser<'argument>) (words: string list) : ParseResults<'argument> =
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

                raise (Usage(defaultArg (meant known words) "" + error.Message, 2))

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
