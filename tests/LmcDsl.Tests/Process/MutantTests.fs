/// Whether the tests notice a wrong library: ten mutants of the day are run; the table itself is checked whole.
module LmcDsl.Tests.Process.MutantTests

open System
open System.IO
open Expecto

let private core = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", "..", "..", "src", "LmcDsl.Core"))

/// Files that say what things are, load, give names, or word a choice; the others compute.
let private declares =
    set [
        "IDescent.cs"
        "OpenMpWaiting.cs"
        "StateDictChoice.cs"
        "Architecture.cs"
        "Axis.cs"
        "GraphRules.cs"
        "GraphValue.cs"
        "EpochScore.cs"
        "MemoryReuse.cs"
        "PermutationGroup.cs"
        "TransformerOptions.cs"
        "SearchResult.cs"
        "TorchRuntime.cs"
        "WeakVersionNeed.cs"
    ]

let tests =
    testSequenced (
        testList "Mutants" [
            test "every mutant can be applied, and has a name of its own" {
                let all = Mutants.all ()

                let broken =
                    all
                    |> List.choose (fun m ->
                        match Mutants.place m with
                        | Error why -> Some(m.Name, why)
                        | Ok _ -> None)

                Expect.isEmpty broken "their texts stand in the source"
                Expect.isEmpty (all |> List.countBy _.Name |> List.filter (fun (_, n) -> n > 1)) "names"
                Expect.isGreaterThanOrEqual all.Length 80 "as many as are wanted"
            }

            test "every list that a mutant names is there" {
                let folder = Path.Combine(__SOURCE_DIRECTORY__, "..")

                let sources =
                    Directory.GetFiles(folder, "*.fs", SearchOption.AllDirectories)
                    |> Array.map File.ReadAllText
                    |> String.concat "\n"

                let missing =
                    Mutants.all ()
                    |> List.collect _.Lists
                    |> List.distinct
                    |> List.filter (fun list -> not (sources.Contains $"testList \"{list}\""))

                Expect.isEmpty missing "lists"
            }

            test "every file of the core that computes has a mutant" {
                let has = Mutants.all () |> List.map (fun m -> Path.GetFileName m.File) |> set

                let without =
                    [
                        for path in Directory.GetFiles(core, "*.cs", SearchOption.AllDirectories) do
                            let name = Path.GetFileName path

                            if not (path.Contains "/obj/" || has.Contains name || declares.Contains name) then
                                name
                    ]

                Expect.isEmpty without "files without"
            }

            test "each day draws others, and one day always the same" {
                let all = Mutants.all ()
                let of' day = Mutants.draw 10 (DateOnly(2024, 2, day)) all
                Expect.equal (of' 6) (of' 6) "the same"
                Expect.notEqual (of' 6) (of' 7) "others"
                Expect.equal (of' 6 |> List.distinct |> List.length) 10 "ten"
            }

            test "ten drawn by the day's date are caught" {
                let lines = ResizeArray<string>()
                let chosen = Mutants.all () |> Mutants.draw 10 (DateOnly.FromDateTime DateTime.UtcNow)
                Expect.equal (Mutants.runAll true 1 lines.Add chosen) (10, 0, 0) (String.Join("\n", lines))
            }
        ]
    )
