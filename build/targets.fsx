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

// Letters to add, take away or replace to make one word of another, whatever their case.
let private changes (one: string) (other: string) =
    let one, other = one.ToLowerInvariant(), other.ToLowerInvariant()
    let mutable row = [| 0 .. other.Length |]

    for i in 1 .. one.Length do
        let next = Array.create row.Length i

        for j in 1 .. other.Length do
            let replaced = row[j - 1] + (if one[i - 1] = other[j - 1] then 0 else 1)
            next[j] <- List.min [ replaced; row[j] + 1; next[j - 1] + 1 ]

        row <- next

    row[other.Length]

// The name that was probably meant: one that the word begins, or that begins the word, or that fewest changes make of it, half of its letters
// at most.
let private nearest (name: string) (known: string list) =
    let within (short: string) (long: string) =
        short.Length >= 3 && long.StartsWith(short, StringComparison.OrdinalIgnoreCase)

    let distance (other: string) =
        if String.Equals(name, other, StringComparison.OrdinalIgnoreCase) then 0
        elif within name other || within other name then 1
        else changes name other

    known
    |> List.map (fun other -> distance other, other.Length, other)
    |> List.filter (fun (apart, _, _) -> apart <= name.Length / 2)
    |> List.sort
    |> List.tryHead
    |> Option.map (fun (_, _, other) -> other)

let private hint name known =
    match nearest name known with
    | Some other -> $"; did you mean {other}?"
    | None -> ""

/// What an experiment's command line may say: each argument, and whether it takes whole numbers. Read from the source that defines it, so that
/// a slip is told before anything is built.
let private argumentsOfExperiments: (string * bool) list =
    ("--help", false)
    :: [
        for line in File.ReadLines(Path.Combine(root, "src", "LmcDsl", "Scripts", "Arguments.fs")) do
            let found = Regex.Match(line, @"^    \| (?:\[<.*>\] )?([A-Z]\w*)(?: of (?:\w+: )?(\w+)(?: list)?)?$")

            if found.Success then
                let name = found.Groups[1].Value.ToLowerInvariant().Replace('_', '-')
                let isWhole = found.Groups[2].Value.StartsWith "int"
                $"--{name}", isWhole
    ]

// What is wrong with an experiment's words as far as can be said without the library; nothing where it has the last word.
let private slip (words: string list) : string option =
    let known = List.map fst argumentsOfExperiments
    let isOption (word: string) = word.StartsWith "--" && word.Length > 2

    let rec check words =
        match words with
        | (word: string) :: rest when isOption word ->
            let name = word.Split('=').[0]

            if not (List.contains name known) then
                Some $"expected an argument, found '{name}'{hint name known}"
            else
                match rest with
                | value :: _ when List.contains (name, true) argumentsOfExperiments && not (isOption value) ->
                    match Int64.TryParse value with
                    | true, _ -> check rest
                    | _ -> Some $"{name}: expected a whole number, found '{value}'"
                | _ -> check rest
        | _ :: rest -> check rest
        | [] -> None

    check words

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
        let theirs = if List.tryHead rest = Some "--" then rest.Tail else rest

        match slip theirs with
        | Some line when experiments |> List.exists (fun (target, _, _) -> target = name) ->
            refuse $"{line} (dotnet fsi build.fsx -t {name} -- --help lists them)"
        | _ -> Some(name, theirs)
    | ("-t" | "--target") :: name :: _ ->
        refuse $"expected a target, found '{name}'{hint name (List.map fst all)} (dotnet fsi build.fsx lists them)"
    | other -> refuse $"""expected -t TARGET [-- ARGUMENTS], found '{String.Join(" ", other)}'"""
