/// A script with a metric, a search, a layer and a data set of its own: in one process, in worker processes, on a cluster.
module LmcDsl.Tests.Process.OwnTests

open System.IO
open Expecto
open LmcDsl.Tests.Fixtures

let private root = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", "..", ".."))

let private own folder words =
    let results, store = Path.Combine(folder, "results"), Path.Combine(folder, "store")
    // Sharing cores changes threads, and so what is made: they are said.
    let words = [ "--no-images"; "--results"; results; "--store"; store; "--epochs"; "5"; "--threads"; "1" ] @ words

    let code, output, errors = runProgram root "dotnet" ([ "fsi"; "--quiet"; "experiments/own.fsx" ] @ words)
    Expect.equal code 0 (output + errors)
    contentsOf results

let private inOneProcess = lazy (inFolder (fun folder -> own folder []))

let tests =
    testSequenced (
        testList "Own" [
            test "its numbers are in the tables, the figures, the CSV files and the report" {
                inFolder (fun folder ->
                    own folder [] |> ignore
                    let read file = File.ReadAllText(Path.Combine(folder, "results", file))
                    Expect.stringContains (read "table.md") "| cosine |" "the metric's column"
                    Expect.stringContains (read "table.md") "| random |" "the search's rows"
                    Expect.stringContains (read "pairs-of-models.csv") "cosine" "in CSV"
                    Expect.stringContains (read "index.html") "Cosine between the weights of two models." "its figure"
                    Expect.stringContains (read "report.json") "rings" "the data")
            }

            test "worker processes, which run the same script, end in the same bytes" {
                inFolder (fun folder -> Expect.equal (own folder [ "--jobs"; "2" ]) inOneProcess.Value "the same")
            }

            test "so do tasks on a cluster" {
                if not SlurmTests.clusterIsThere.Value then
                    skiptest "no Slurm cluster is at hand"

                inFolder (fun folder ->
                    Expect.equal (own folder [ "--on"; "slurm"; "--jobs"; "2" ]) inOneProcess.Value "the same")
            }
        ]
    )
