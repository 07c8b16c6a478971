module LmcDsl.Tests.Program

open Expecto
open Expecto.Impl

// The `tests` of every module, by the modules' names: a new file of tests needs no list. Each with its name and the folder that holds it.
let private found: (string * string * Test) list =
    [
        for found in System.Reflection.Assembly.GetExecutingAssembly().GetTypes() |> Array.sortBy _.FullName do
            match found.Namespace, found.GetProperty("tests", typeof<Test>) with
            | null, _
            | _, null -> ()
            | space, property -> space.Substring("LmcDsl.Tests.".Length), found.Name, property.GetValue null :?> Test
    ]

let private folders = [ "Core"; "Dsl"; "Process" ]

let private all =
    testList "LmcDsl" [
        for folder in folders do
            testList folder [
                for own, _, test in found do
                    if own = folder then
                        test
            ]
    ]

// Minutes each, whatever the machine; half of the first one's time is waiting for a cluster.
let private longest = [ "SlurmTests"; "PaperTests"; "MutantTests"; "FaultTests"; "ProcessTests" ]

// What takes longest first, then others that start processes: the short ones fill what is left at the end.
let private lists =
    [
        for folder in List.rev folders do
            for own, name, test in found do
                if own = folder then
                    name, ($"{folder}.{name}", testList "LmcDsl" [ testList folder [ test ] ])
    ]
    |> List.sortBy (fun (name, _) -> longest |> List.tryFindIndex ((=) name) |> Option.defaultValue longest.Length)
    |> List.map snd

let rec private listNames (test: Test) : string list =
    match test with
    | TestLabel(name, inner, _) -> name :: listNames inner
    | TestList(inner, _) -> List.collect listNames inner
    | Test.Sequenced(_, inner) -> listNames inner
    | TestCase _ -> []

let private printer =
    // Of a mutant one failure says all.
    if isNull (System.Environment.GetEnvironmentVariable Process.Mutants.switch) then
        TestPrinters.defaultPrinter
    else
        { TestPrinters.defaultPrinter with
            failed = fun _ _ _ -> async { exit 1 }
            exn = fun _ _ _ -> async { exit 1 }
        }

[<EntryPoint>]
let main arguments =
    LmcDsl.CommandLine.speakInvariant ()

    match List.ofArray arguments with
    | first :: words when first = Process.Mutants.word -> Process.Mutants.command words
    // The lists of exactly this name, where --filter-test-list takes all whose names hold it.
    | "--list" :: name :: _ when not (List.contains name (listNames all)) ->
        eprintfn $"--list: expected the name of a list of tests, found '{name}'"
        2
    | "--list" :: name :: rest -> Lanes.alone printer (List.toArray rest) (Test.filter "." (List.contains name) all)
    | [ first; folder ] when first = Lanes.word -> Lanes.lane printer folder lists
    | [] -> Lanes.inLanes lists
    | _ -> Lanes.alone printer arguments all
