module LmcDsl.Tests.Program

open Expecto
open Expecto.Impl

// The `tests` of every module, by the modules' names: a new file of tests needs no list. Those that start processes come last.
let private tests =
    let found =
        [
            for found in System.Reflection.Assembly.GetExecutingAssembly().GetTypes() |> Array.sortBy _.FullName do
                match found.Namespace, found.GetProperty("tests", typeof<Test>) with
                | null, _
                | _, null -> ()
                | space, property -> space.Substring("LmcDsl.Tests.".Length), property.GetValue null :?> Test
        ]

    testList "LmcDsl" [
        for folder in [ "Core"; "Dsl" ] do
            testList folder [
                for own, test in found do
                    if own = folder then
                        test
            ]
        for own, test in found do
            if own = "Process" then
                test
    ]

let private runAll (tests: Test) arguments =
    let summary = ref None
    let printer = TestPrinters.defaultPrinter

    let counting =
        { printer with
            summary =
                fun config results ->
                    summary.Value <- Some results
                    printer.summary config results
        }

    // Of a mutant one failure says all.
    let counting =
        if isNull (System.Environment.GetEnvironmentVariable Process.Mutants.switch) then
            counting
        else
            { counting with
                failed = fun _ _ _ -> async { exit 1 }
                exn = fun _ _ _ -> async { exit 1 }
            }

    // One after another: Torch uses the cores within each operation.
    let code = runTestsWithCLIArgs [ Printer counting; Sequenced; No_Spinner; Colours 0 ] arguments tests

    match summary.Value with
    | Some(results: TestRunSummary) ->
        // Of a long run, where the time went.
        if results.duration > System.TimeSpan.FromMinutes 5.0 then
            for test, result in results.results |> List.sortByDescending (fun (_, r) -> r.duration) |> List.truncate 25 do
                let name = String.concat "." test.name
                printfn $"{result.duration.TotalSeconds, 7:F1} s  {name}"

        let skipped = if results.ignored.IsEmpty then "" else $", {results.ignored.Length} skipped"

        let line =
            $"\n{results.passed.Length} passed, {results.failed.Length + results.errored.Length} failed{skipped}\n"
        // Past Expecto's own writer, which pads lines with blanks.
        use output = System.Console.OpenStandardOutput()
        output.Write(System.Text.Encoding.UTF8.GetBytes line)
    | None -> ()

    code

[<EntryPoint>]
let main arguments =
    LmcDsl.CommandLine.speakInvariant ()

    match List.ofArray arguments with
    | first :: words when List.contains first Process.SmallExperiment.names -> Process.SmallExperiment.run first words
    | first :: words when List.contains first Process.SmallSweep.words -> Process.SmallSweep.run first words
    | first :: words when first = Process.Mutants.word -> Process.Mutants.command words
    // The lists of exactly this name, where --filter-test-list takes all whose names hold it.
    | "--list" :: name :: rest -> runAll (Test.filter "." (List.contains name) tests) (List.toArray rest)
    | _ -> runAll tests arguments
