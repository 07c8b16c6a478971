module LmcDsl.Tests.Program

open Expecto
open Expecto.Impl

let private tests =
    testList "LmcDsl" [
        testList "Core" [
            Core.TorchRuntimeTests.tests
            Core.NetworkTests.tests
            Core.LayerTests.tests
            Core.DescriptionTests.tests
            Core.CatalogueTests.tests
            Core.PermutationTests.tests
            Core.SymmetryTests.tests
            Core.LinearAssignmentTests.tests
            Core.WeightMatchingTests.tests
            Core.NestedMatchingTests.tests
            Core.SinkhornTests.tests
            Core.SinkhornMatchingTests.tests
            Core.JointMatchingTests.tests
            Core.ActivationMatchingTests.tests
            Core.StatisticsResetTests.tests
            Core.RenormalisationTests.tests
            Core.SingularAlignmentTests.tests
            Core.RandomisedSvdTests.tests
            Core.SpectrumTests.tests
            Core.InputProjectionTests.tests
            Core.SpectralFormTests.tests
            Core.LayerBoundTests.tests
            Core.BarrierTests.tests
            Core.DifferentiateTests.tests
            Core.TaylorEstimateTests.tests
            Core.LandscapeTests.tests
            Core.AverageTests.tests
            Core.IdxTests.tests
            Core.CifarBinaryTests.tests
            Core.GlyphsTests.tests
            Core.AugmentationTests.tests
            Core.TrainerTests.tests
            Core.StraightThroughTests.tests
            Core.SinkhornStraightThroughTests.tests
            Core.SafeTensorsTests.tests
            Core.CheckpointTests.tests
            Core.MalformedInputTests.tests
        ]
        testList "Dsl" [
            Dsl.JsonTests.tests
            Dsl.PlanTests.tests
            Dsl.StoreTests.tests
            Dsl.RunnerTests.tests
            Dsl.DataSourceTests.tests
            Dsl.PageTests.tests
            Dsl.StatisticsTests.tests
            Dsl.SweepTests.tests
            Dsl.QuantityTests.tests
            Dsl.ClaimTests.tests
            Dsl.FigureFilesTests.tests
            Dsl.DescribeTests.tests
            Dsl.ArgumentsTests.tests
            Dsl.EngineTests.tests
        ]
        Process.ProcessTests.tests
        Process.ToolTests.tests
        Process.TorchvisionTests.tests
        Process.OnnxTests.tests
        Process.WorkerTests.tests
        Process.FaultTests.tests
        Process.SlurmTests.tests
        Process.BuildTests.tests
        Process.PaperTests.tests
    ]

let private runAll arguments =
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
    match List.ofArray arguments with
    | first :: words when List.contains first Process.SmallExperiment.names -> Process.SmallExperiment.run first words
    | first :: words when first = Process.SmallSweep.word -> Process.SmallSweep.run words
    | _ -> runAll arguments
