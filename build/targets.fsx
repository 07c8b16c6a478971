/// What targets there are, found out without any package: those of build.fsx, and the experiments by their files. Uses nothing but .NET itself.
module Targets

open System
open System.IO
open System.Text.RegularExpressions

let private root = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, ".."))

/// Experiments: target, script and description, from the comment that each script begins with, which ends with the command that runs it.
let experiments: (string * string * string) list =
    [
        for script in Directory.GetFiles(Path.Combine(root, "experiments"), "*.fsx") |> Array.sort do
            let comment =
                File.ReadLines script
                |> Seq.takeWhile _.StartsWith("//")
                |> Seq.map _.TrimStart('/', ' ')
                |> String.concat " "

            let found = Regex.Match(comment, @"^(.*?)\s*dotnet fsi build\.fsx -t (\w+)")

            if found.Success then
                // The first sentence.
                let about = Regex.Match(found.Groups[1].Value, @"^.*?(?:\.(?= |$)|$)").Value.TrimEnd '.'
                found.Groups[2].Value, Path.GetFileNameWithoutExtension script, about
    ]

/// The scripts that another script loads, the prelude aside: the items of its page.
let itemsOf (script: string) : string list =
    [
        for line in File.ReadLines(Path.Combine(root, "experiments", $"{script}.fsx")) do
            let found = Regex.Match(line, "^#load \"(\\w+)\\.fsx\"")

            if found.Success && found.Groups[1].Value <> "prelude" then
                found.Groups[1].Value
    ]

/// Every target with its description.
let all: (string * string) list =
    let own =
        [
            for line in File.ReadLines(Path.Combine(root, "build.fsx")) do
                let found = Regex.Match(line, "^target \"(\\w+)\" \"(.*?)\"")

                if found.Success then
                    found.Groups[1].Value, found.Groups[2].Value
        ]

    own @ [ for target, _, about in experiments -> target, about ]

/// Shows all targets.
let help () =
    printfn "dotnet fsi build.fsx -t TARGET [-- ARGUMENTS]\n"

    for name, description in all do
        printfn $"  {name, -20}{description}"

// The known name that begins alike for the most letters, three or more, whatever their case.
let private nearest (name: string) =
    let alike (other: string) =
        Seq.zip (name.ToLowerInvariant()) (other.ToLowerInvariant())
        |> Seq.takeWhile (fun (a, b) -> a = b)
        |> Seq.length

    all
    |> List.map fst
    |> List.filter (fun other -> alike other >= 3)
    |> List.sortBy (fun other -> -(alike other), other.Length)
    |> List.tryHead

/// What the words ask for: a target, with the words after it; nothing where they ask for help. Ends the process with exit code 2, and one
/// line that says why, where they ask for none that there is.
let asked (words: string list) : (string * string list) option =
    let refuse (line: string) =
        eprintfn $"build.fsx: {line}"
        exit 2

    match words with
    | []
    | [ "--help" | "-h" ]
    | [ "-t" | "--target"; "Help" ] -> None
    // `--` between the target and the experiment's words need not be there: F# Interactive may have taken it for its own.
    | ("-t" | "--target") :: name :: rest when all |> List.exists (fst >> (=) name) ->
        Some(name, (if List.tryHead rest = Some "--" then rest.Tail else rest))
    | ("-t" | "--target") :: name :: _ ->
        let hint =
            match nearest name with
            | Some other -> $"; did you mean {other}?"
            | None -> ""

        refuse $"expected a target, found '{name}'{hint} (dotnet fsi build.fsx lists them)"
    | other -> refuse $"""expected -t TARGET [-- ARGUMENTS], found '{String.Join(" ", other)}'"""
