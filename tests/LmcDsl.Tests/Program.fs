module LmcDsl.Tests.Program

open Expecto
open Expecto.Impl

/// A file of tests, and the folder that holds it.
type private Found = { Folder: string; Name: string; Tests: Lazy<Test> }

// The `tests` of every module, by the modules' names: a new file of tests needs no list. Making all the lists takes seconds.
let private found: Found list =
    [
        for found in System.Reflection.Assembly.GetExecutingAssembly().GetTypes() |> Array.sortBy _.FullName do
            match found.Namespace, found.GetProperty("tests", typeof<Test>) with
            | null, _
            | _, null -> ()
            | space, property ->
                {
                    Folder = space.Substring("LmcDsl.Tests.".Length)
                    Name = found.Name
                    Tests = lazy (property.GetValue null :?> Test)
                }
    ]

let private folders = [ "Core"; "Dsl"; "Process" ]

let private suite (chosen: Found list) =
    testList "LmcDsl" [
        for folder in folders do
            testList folder [
                for file in chosen do
                    if file.Folder = folder then
                        file.Tests.Value
            ]
    ]

// Minutes each, whatever the machine; half of the first one's time is waiting for a cluster.
let private longest = [ "SlurmTests"; "PaperTests"; "MutantTests"; "FaultTests"; "ProcessTests" ]

// What takes longest first, then others that start processes: the short ones fill what is left at the end.
let private lists () =
    [
        for folder in List.rev folders do
            for file in found do
                if file.Folder = folder then
                    file
    ]
    |> List.sortBy (fun file -> longest |> List.tryFindIndex ((=) file.Name) |> Option.defaultValue longest.Length)
    |> List.map (fun file -> $"{file.Folder}.{file.Name}", suite [ file ])

let rec private listNames (test: Test) : string list =
    match test with
    | TestLabel(name, inner, _) -> name :: listNames inner
    | TestList(inner, _) -> List.collect listNames inner
    | Test.Sequenced(_, inner) -> listNames inner
    | TestCase _ -> []

/// The lists of exactly this name, where --filter-test-list takes all whose names hold it. None where there is none. A file whose name it is
/// is asked alone.
let private listsOf (name: string) : Test option =
    let within (chosen: Found list) =
        let tests = suite chosen

        if List.contains name (listNames tests) then
            let chosen = Test.filter "." (List.contains name) tests
            if List.isEmpty (Test.toTestCodeList chosen) then None else Some chosen // of a folder of lists
        else
            None

    let named = found |> List.filter (fun file -> file.Name = $"""{name.Replace(" ", "")}Tests""")
    within named |> Option.orElseWith (fun () -> within found)

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
    Fixtures.prepare ()

    match List.ofArray arguments with
    | first :: words when first = Process.Mutants.word -> Process.Mutants.command words
    | "--list" :: name :: rest ->
        match listsOf name with
        | Some tests -> Lanes.alone printer (List.toArray rest) tests
        | None ->
            eprintfn $"--list: expected the name of a list of tests, found '{name}'"
            2
    | [ first; folder ] when first = Lanes.word -> Lanes.lane printer folder (lists ())
    | [] -> Lanes.inLanes (lists ())
    | _ -> Lanes.alone printer arguments (suite found)
