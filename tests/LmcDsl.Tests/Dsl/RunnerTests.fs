module LmcDsl.Tests.Dsl.RunnerTests

open System
open System.IO
open System.Threading
open Expecto
open LmcDsl
open LmcDsl.Core.Matching
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures

// A script's own operations: numbers that are added up, and one that fails.
let private runs = ref 0

let private add =
    Op.make "add" 1 0.1 (fun context ->
        runs.Value <- runs.Value + 1

        Document(
            Json.float (context.Args["plus"].Float + List.sum [ for json in Value.documents context -> json.Float ])
        ))

let private asReport =
    Op.make "asReport" 1 0.1 (fun context ->
        let row =
            {
                Measure = "sum"
                Models = []
                Aligned = false
                Labels = []
                Value = List.head (Value.documents context)
            }

        Document(Report.toJson { Rows = [ row ] }))

// What results would differ by if it were left from the step before.
let private threads = Op.make "threads" 1 0.1 (fun _ -> Document(Json.int (int64 TorchRuntime.Threads)))

let private failing = Op.make "fail" 1 0.1 (fun _ -> raise (LmcException "no luck"))

let private plus (value: float) = Args.ofFields [ "plus", Json.float value ]

let private number value inputs : Plan<Alignment> =
    Plan.make add $"add {value}" (plus value) (inputs |> List.map Plan.node)

let private report (plan: Plan<'a>) : Plan<Report> = Plan.make asReport "report" Args.none [ Plan.node plan ]

let private one = number 1.0 []
let private sum = report (number 10.0 [ one; number 2.0 [ one ] ])

let private run (store: Store) (tell: RunEvent -> unit) plans =
    use runner = new Runner({ Store = store; Tell = tell; Cancel = CancellationToken.None })
    runner.Run plans

let private runLibrary plans =
    inFolder (fun folder ->
        let options = { Store = Store.Open folder; Tell = ignore; Cancel = CancellationToken.None }

        use runner = new Runner(options)
        runner.Run plans)

let private total (reports: Report list) = reports |> List.map (fun r -> r.Rows.Head.Value.Float)

let private inStore work =
    inFolder (fun folder ->
        runs.Value <- 0
        work folder (Store.Open folder))

let tests =
    testList "Runner" [
        test "a plan's value is computed, each step once, and the second time nothing runs" {
            inStore (fun _ store ->
                Expect.equal (run store ignore [ sum ] |> total) [ 14.0 ] "10 + 1 + (2 + 1)"
                Expect.equal runs.Value 3 "the shared step once"
                Expect.equal (run store ignore [ sum ] |> total) [ 14.0 ] "again"
                Expect.equal runs.Value 3 "from the store")
        }

        test "a measurement that fails is a row that says why; the others are made, and run again it is tried again" {
            inStore (fun _ store ->
                let about name =
                    Json.Object [
                        "measure", Json.Text name
                        "models", Json.texts []
                        "aligned", Json.Bool false
                        "labels", Json.Object []
                    ]

                let broken: Plan<Alignment> = Plan.make failing "break" Args.none [ Plan.node one ]
                let needs: Plan<Alignment> = Plan.make add "add to it" (plus 1.0) [ Plan.node broken ]

                let plan =
                    ReportStep.plan "some" [
                        about "good", Plan.node (number 5.0 [ one ])
                        about "bad", Plan.node broken
                        about "needs the bad", Plan.node needs
                    ]

                let runAll () =
                    use runner = new Runner({ Store = store; Tell = ignore; Cancel = CancellationToken.None })

                    runner.Run [ plan ] |> List.exactlyOne |> _.Rows

                let rows = runAll ()

                Expect.equal
                    (rows |> List.map _.Failure)
                    [ None; Some "break: no luck"; Some "break: no luck" ]
                    "which failed"

                Expect.equal rows.Head.Value.Float 6.0 "the other was made"
                Expect.isFalse (store.Contains (Plan.node plan).Key) "and nothing wrong is stored"
                Expect.equal (runAll ()) rows "again"
                let all = ReportStep.plan "all" [ about "bad", Plan.node broken ]

                failsWith [ "break: no luck" ] (fun () ->
                    use runner = new Runner({ Store = store; Tell = ignore; Cancel = CancellationToken.None })

                    runner.Run [ all ] |> ignore))
        }

        test "a damaged artifact is told and made again, and what depends on it is not" {
            inStore (fun folder store ->
                run store ignore [ sum ] |> ignore

                let value =
                    Path.Combine(
                        folder,
                        "objects",
                        (Plan.node one).Key.Substring(0, 2),
                        (Plan.node one).Key,
                        "value.json"
                    )

                File.WriteAllText(value, "99\n")
                let other = report (number 5.0 [ one ])
                let warnings = ResizeArray()

                let tell event =
                    match event with
                    | Warned line -> warnings.Add line
                    | _ -> ()

                Expect.equal (run store tell [ other ] |> total) [ 6.0 ] "5 + 1, not 5 + 99"
                Expect.equal warnings.Count 1 "told"
                Expect.equal runs.Value 5 "three before, the damaged one, and the new one")
        }

        test "each step has the threads of its training, whatever ran before; without one, those of the run" {
            let before = TorchRuntime.Threads
            TorchRuntime.UseThreads 2

            try
                let step inputs args : Plan<Alignment> =
                    Plan.make threads "threads" (Args.ofFields args) (List.map Plan.node inputs)

                let training n = step [] [ "threads", Json.int n ]
                let none = step [] []
                let named n = [ "name", Json.Text n ]

                let cases =
                    [
                        training 1, 1.0
                        training 3, 3.0
                        none, 2.0
                        step [ training 1 ] (named "measure"), 1.0
                        step [ none; step [ training 3 ] (named "merge") ] (named "measure"), 3.0
                        step [ training 3; training 1 ] (named "of two"), 3.0
                        step [ none ] (named "of none"), 2.0
                    ]

                for order in [ cases; List.rev cases ] do
                    inStore (fun _ store ->
                        let found = order |> List.map (fst >> report) |> run store ignore |> total
                        Expect.equal found (List.map snd order) "threads")
            finally
                TorchRuntime.UseThreads before
        }

        test "a plan with two operations of one name and different code is refused before anything runs" {
            inStore (fun _ store ->
                let twin = Op.make "add" 1 0.1 (fun _ -> Document(Json.float 0.0))
                let other: Plan<Alignment> = Plan.make twin "twin" (plus 7.0) [ Plan.node one ]
                failsWith [ "'add'"; "different code" ] (fun () -> run store ignore [ report other ] |> ignore)
                Expect.equal runs.Value 0 "nothing ran"
                let measured f = (Measure.make "mine" 1 f).Op
                let one = measured (fun _ -> {| X = 1.0 |})
                Expect.notEqual one.Code (measured (fun _ -> {| X = 2.0 |})).Code "told apart by what computes them")
        }

        test "a step that fails leaves no value, and what was done before it stays" {
            inStore (fun _ store ->
                let bad: Plan<Alignment> = Plan.make failing "fail" Args.none [ Plan.node one ]
                failsWith [ "no luck" ] (fun () -> run store ignore [ report bad ] |> ignore)
                Expect.isFalse (store.Contains (Plan.node bad).Key) "no value"
                Expect.isTrue (store.Contains (Plan.node one).Key) "its input is kept"
                failsWith [ "no luck" ] (fun () -> run store ignore [ report bad ] |> ignore))
        }

        test "events tell the plan, each step's beginning and its end" {
            inStore (fun _ store ->
                let events = ResizeArray()
                run store events.Add [ sum ] |> ignore

                let planned =
                    events
                    |> Seq.pick (function
                        | Planned(toDo, before) -> Some(toDo.Length, before)
                        | _ -> None)

                Expect.equal planned (4, 0) "four steps"

                let begun =
                    [
                        for e in events do
                            match e with
                            | Started node -> node.Title
                            | _ -> ()
                    ]

                let ended =
                    [
                        for e in events do
                            match e with
                            | Finished(node, _) -> node.Title
                            | _ -> ()
                    ]

                Expect.equal begun [ "add 1"; "add 2"; "add 10"; "report" ] "in order"
                Expect.equal ended begun "all ended")
        }

        test "a record says how a value came about" {
            inStore (fun _ store ->
                run store ignore [ sum ] |> ignore
                let record = store.Record (Plan.node one).Key |> Option.get
                Expect.equal record["op"].String "add" "op"
                Expect.equal record["args"].["plus"].Float 1.0 "arguments"
                Expect.isGreaterThanOrEqual record["seconds"].Float 0.0 "seconds"
                Expect.stringContains record["provenance"].["packages"].["TorchSharp"].String "0.107" "packages"
                Expect.isNotEmpty record["provenance"].["machine"].["processor"].String "machine")
        }

        test "a real plan on real tensors, trained by the library, is the same whatever the store held before" {
            let setup =
                { Setup.standard with
                    Data = Glyphs
                    Network = mlp [ 16 ]
                    Epochs = 2
                    Threads = 2
                }

            let plan = (train >> align WM >> mergeN 2 >> measureAll [ R; L2; Accuracy; BarrierOnTest 5; Taylor ]) setup

            let value () = runLibrary [ plan ] |> List.map (Report.toJson >> Json.text)
            Expect.equal (value ()) (value ()) "same bytes"
        }

        test "every search, alone and from another, brings two trained networks nearer, and several models at once" {
            let setup = { Setup.standard with Data = Glyphs; Network = mlp [ 16; 12 ]; Epochs = 1 }

            let ste = straightThrough (StraightThroughOptions(Steps = 3, CheckOn = 200))
            let sinkhorn = sinkhornMatching (SinkhornMatchingOptions(Steps = 60))
            let searches = [ WM; sinkhorn; AM; ste; ste |> startingFrom AM; WM |> startingFrom sinkhorn ]
            let by stage = train >> stage >> mergeN 3 >> measureAll [ L2; Accuracy ]

            let report =
                [ for search in searches -> by (align search) ]
                @ [ for joint in [ MergeMany; Universe ] -> by (alignAll 3 joint) ]
                |> List.map (fun pipeline -> pipeline setup)
                |> runLibrary
                |> Report.concat

            let l2 models search =
                report.Rows
                |> List.find (fun row -> row.Measure = "distance" && row.Models = models && row.Labels = search)
                |> fun row -> row.Value["l2"].Float

            let names = [ for search in searches -> Search.title search ] @ [ "MergeMany"; "Universe" ]
            Expect.equal names[4..5] [ "STE from AM"; "WM from Sinkhorn" ] "names"

            for name in names do
                Expect.isLessThan
                    (l2 [ "0"; "1" ] [ "search", name ])
                    (l2 [ "0"; "1" ] [])
                    $"{name}: nearer to the reference"

            let sum name =
                [ [ "0"; "1" ]; [ "0"; "2" ]; [ "1"; "2" ] ] |> List.sumBy (fun models -> l2 models name ** 2.0)

            for name in [ "MergeMany"; "Universe" ] do
                Expect.isLessThan
                    (sum [ "search", name ])
                    (sum [ "search", "WM" ])
                    $"{name}: all three nearer than pairwise"
        }

        test "renormalisation betters the mean of two networks" {
            let setup = { Setup.standard with Data = Glyphs; Network = mlp [ 16; 12 ]; Epochs = 1 }

            let accuracy stage =
                let report =
                    runLibrary [ (train >> align WM >> stage >> mergeN 2 >> measure Accuracy) setup ] |> List.head

                (report.Rows |> List.find (fun row -> row.Models = [ "mean" ] && row.Aligned)).Value["accuracy"].Float

            Expect.isGreaterThan (accuracy renormalise) (accuracy id) "REPAIR helps"
        }
    ]
