module LmcDsl.Tests.Dsl.EngineTests

open System
open System.IO
open System.Threading
open Expecto
open FsCheck
open LmcDsl
open LmcDsl.Tests.Fixtures

let private plan =
    { Setup.standard with Threads = 1 } |> (train >> align STE >> mergeN 4 >> measureAll [ Barrier; L2; R ])

let private steps = Plan.steps [ Plan.node plan ]

let private inStore (work: Store -> unit) = inFolder (fun folder -> work (Store.Open folder))
let private give (store: Store) (node: Node) = store.Write(node.Key, "value.json", "1\n"B, [])

let private onDevice device =
    (train >> measureAll [ L2; Accuracy ]) { Setup.standard with Device = device; Threads = 1 }
    |> Plan.node
    |> List.singleton
    |> Plan.steps

let tests =
    testList "Engine" [
        testPropertyWithConfig
            (config 100)
            "tasks of an array hold each step once, and are never more than the cluster takes"
        <| fun (PositiveInt most) (PositiveInt copies) ->
            // A plan is as long as one likes: what counts is how many steps are long.
            let nodes = List.replicate (1 + copies % 40) steps |> List.concat
            let tasks = SlurmTasks.tasksOf (2 + most) nodes

            Expect.equal
                (List.concat tasks |> List.map _.Key |> List.sort)
                (nodes |> List.map _.Key |> List.sort)
                "each"

            Expect.isLessThanOrEqual tasks.Length (2 + most) "not more"
            Expect.all tasks (List.isEmpty >> not) "none for nothing"

        test "with room, a long step has a task of its own and short ones share" {
            let tasks = SlurmTasks.tasksOf 1000 steps

            for task in tasks do
                if List.exists Steps.isLong task then
                    Expect.equal task.Length 1 "a long one is alone"

            Expect.isLessThan tasks.Length steps.Length "short ones share"
        }

        test "short steps lie in the array before the long ones that follow as many" {
            let step name seconds inputs : Node =
                let made: Plan<Model> =
                    Plan.make (Op.make name 1 seconds (fun _ -> Document Json.Null)) name Args.none inputs

                Plan.node made

            let first = step "short at the beginning" 0.1 []
            let long = step "long" 100.0 [ first ]
            let after = step "short after it" 0.1 [ long ]
            let second = step "long after it" 100.0 [ after ]
            let numbers = SlurmTasks.arrayNumbers [ second ]
            Expect.equal [ for node in [ first; long; after; second ] -> numbers[node.Key] ] [ -1; 0; 1; 2 ] "in order"
        }

        test "a task has as many cores as a step of it has threads" {
            let threads n =
                { Setup.standard with Threads = n }
                |> (train >> measureAll [ L2 ])
                |> Plan.node
                |> List.singleton
                |> Plan.steps

            Expect.equal (SlurmTasks.coresOf 1 [ threads 1; threads 3 ]) 3 "the most"
            Expect.equal (SlurmTasks.coresOf 8 []) 1 "one for nothing"
        }

        test "a GPU is asked for where a step computes on one, unless the user asks in their own way" {
            Expect.isEmpty (SlurmTasks.needs [] (onDevice "cpu")) "none"
            Expect.equal (SlurmTasks.needs [] (onDevice "cuda")) [ "--gres=gpu:1" ] "one"
            Expect.isEmpty (SlurmTasks.needs [ "--gres=gpu:a100:2" ] (onDevice "cuda")) "theirs"
            Expect.isEmpty (SlurmTasks.needs [ "--gpus=1" ] (onDevice "cuda:0")) "theirs"
        }

        test "missing is what a plan needs and the store lacks; what only stored steps need is not" {
            inStore (fun store ->
                let missing () = Steps.missing store [ Plan.node plan ]
                Expect.equal (missing ()).Length steps.Length "all"
                let last = steps |> List.filter (fun node -> node.Op.Name = "barrier") |> List.last
                give store last
                Expect.isFalse (missing () |> List.exists (fun node -> node.Key = last.Key)) "stored"

                for node in steps do
                    give store node

                Expect.isEmpty (missing ()) "nothing")
        }

        test "what needs a failed step is found, near and far" {
            let first = steps |> List.find (fun node -> node.Op.Name = "train")
            let needs = Steps.needing (Collections.Generic.HashSet [ first.Key ])
            Expect.isTrue (needs first) "itself"
            Expect.isTrue (needs (Plan.node plan)) "the report"
            let other = steps |> List.filter (fun node -> node.Op.Name = "train") |> List.last
            Expect.isFalse (needs other) "another training"
        }

        testPropertyWithConfig (config 200) "what a worker says is read, and anything else is passed over"
        <| fun (text: string) ->
            let known = dict [ for node in steps -> node.Key, node ] |> Collections.Generic.Dictionary
            WorkerProtocol.read known (string text) |> ignore
            WorkerProtocol.read known ("{" + string text) |> ignore
            let line = $"""{{"is":"finished","seconds":1.5,"step":"{steps.Head.Key}"}}"""
            Expect.equal (WorkerProtocol.read known line) (Some(Said(Finished(steps.Head, 1.5)))) "an event"
            let other = """{"is":"started","step":"of another plan"}"""
            Expect.equal (WorkerProtocol.read known other) None "no step of this plan"

        test
            "a temporary file that somebody holds stays, one that nobody holds is swept, other files are nobody's business" {
            inFolder (fun folder ->
                let name file = Path.Combine(folder, file)
                let held = name $"value.json.{Guid.NewGuid():N}.tmp"
                let left = name $"value.json.{Guid.NewGuid():N}.tmp"
                File.WriteAllText(left, "half")
                File.WriteAllText(name "notes.tmp", "mine")
                use _ = new FileStream(held, FileMode.CreateNew, FileAccess.Write, FileShare.Read)
                Expect.equal (AtomicFile.sweep folder "") 1 "one"
                Expect.isTrue (File.Exists held) "held"
                Expect.isFalse (File.Exists left) "left over"
                Expect.isTrue (File.Exists(name "notes.tmp")) "not ours")
        }

        test "eight writers and a sweeper: the file is always one of what was written, and nothing is left" {
            inFolder (fun folder ->
                let path = Path.Combine(folder, "value.txt")
                use finished = new CancellationTokenSource()

                let sweeper =
                    Tasks.Task.Run(fun () ->
                        while not finished.IsCancellationRequested do
                            AtomicFile.sweep folder "" |> ignore)

                Tasks.Task.WaitAll [|
                    for writer in 0..7 ->
                        Tasks.Task.Run(fun () ->
                            for _ in 1..25 do
                                AtomicFile.writeText path (String(char (int 'a' + writer), 5000))
                                let found = File.ReadAllText path
                                Expect.equal found (String(found[0], 5000)) "whole")
                |]

                finished.Cancel()
                sweeper.Wait()
                Expect.equal (Directory.GetFiles folder) [| path |] "nothing is left")
        }

        test "a figure of a sweep shows as many lines as can be told apart, and says so" {
            let report =
                {
                    Rows =
                        [
                            for seed in 1..60 do
                                {
                                    Measure = "barrier"
                                    Models = [ "0"; string seed ]
                                    Aligned = true
                                    Labels = [ "search", "WM" ]
                                    Value =
                                        Json.parse
                                            """{"loss":0,"accuracy":0,"midpointLoss":0,"midpointAccuracy":0,"curve":[{"lambda":0,"loss":1,"accuracy":0.5},{"lambda":1,"loss":1,"accuracy":0.5}]}"""
                                }
                        ]
                }

            for figure in (Results.standard [ Barrier ] report).Figures do
                Expect.stringContains figure.Caption "the first 48 of 60 lines" "the caption"
        }
    ]
