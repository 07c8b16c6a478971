module LmcDsl.Tests.Program

open Expecto
open Expecto.Impl

let private tests =
    testList "" [
        testList "Core" [
            Core.TorchRuntimeTests.tests
            Core.NetworkTests.tests
            Core.PermutationTests.tests
            Core.SymmetryTests.tests
            Core.LinearAssignmentTests.tests
            Core.WeightMatchingTests.tests
            Core.SingularAlignmentTests.tests
            Core.BarrierTests.tests
            Core.AverageTests.tests
            Core.IdxTests.tests
            Core.GlyphsTests.tests
            Core.TrainerTests.tests
            Core.SafeTensorsTests.tests
        ]
    ]

[<EntryPoint>]
let main arguments =
    let summary = ref None
    let printer = TestPrinters.defaultPrinter

    let counting =
        { printer with
            summary =
                fun config results ->
                    summary.Value <- Some results
                    printer.summary config results
        }

    // One after another: Torch uses the cores within each operation.
    let code = runTestsWithCLIArgs [ Printer counting; Sequenced; No_Spinner; Colours 0 ] arguments tests

    match summary.Value with
    | Some(results: TestRunSummary) ->
        System.Console.Out.Flush()
        let skipped = if results.ignored.IsEmpty then "" else $", {results.ignored.Length} skipped"
        printfn $"{results.passed.Length} passed, {results.failed.Length + results.errored.Length} failed{skipped}"
    | None -> ()

    code
