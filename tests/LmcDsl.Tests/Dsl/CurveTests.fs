/// Curves of trainings: what they hold, and where they are kept.
module LmcDsl.Tests.Dsl.CurveTests

open System.IO
open System.Threading
open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Measures
open LmcDsl.Core.Training
open LmcDsl.Tests.Fixtures
open TorchSharp

let private setup =
    { Setup.standard with
        Data = Part(Glyphs, 300, 100)
        Network = mlp [ 8 ]
        Epochs = 3
        BatchSize = 50
        Schedule = LinearUpDown 0.5
        Threads = 1
    }

let private plan = (train >> measureAll [ L2; Curves ]) setup

let private running folder work =
    use runner = new Runner({ Store = Store.Open folder; Tell = ignore; Cancel = CancellationToken.None })
    work runner

let private close what (x: float) (y: float) = Expect.isLessThan (abs (x - y)) 1e-6 $"{what}: {x} and {y}"

let tests =
    testList "Curves" [
        test "an epoch's numbers are those of its batches before each was learned from" {
            use data = DataSet.load setup.Data
            let network = Network(setup.Network setup.Data)
            let options = Setup.training { setup with Epochs = 1; BatchSize = 300; Schedule = Constant() }
            use start = TrainingState.Start(network, 3L, torch.CPU)
            // One batch of all examples: the start's own scores.
            let score = Evaluator.Evaluate(start.Parameters, data.Train)
            use first = Trainer.Run(TrainingState.Start(network, 3L, torch.CPU), data.Train, options, 3L)
            Expect.equal first.Curve.Length 1 "one epoch"
            close "loss" first.Curve[0].Loss score.Loss
            close "accuracy" first.Curve[0].Accuracy score.Accuracy
            close "rate" first.Curve[0].LearningRate options.LearningRate

            let told = ResizeArray<float>()

            use all =
                Trainer.Run(
                    TrainingState.Start(network, 3L, torch.CPU),
                    data.Train,
                    Setup.training setup,
                    3L,
                    progress =
                        (fun p ->
                            if p.Step = p.Steps then
                                told.Add p.Loss)
                )

            Expect.equal [ for e in all.Curve -> e.Loss ] (List.ofSeq told) "the losses that were told"
            Expect.isGreaterThan all.Curve[2].Accuracy all.Curve[0].Accuracy "it learns"
            Expect.isLessThan all.Curve[2].LearningRate all.Curve[1].LearningRate "on its way down"
        }

        test "an epoch's loss and accuracy are means over all its batches" {
            use data = DataSet.load setup.Data
            let network = Network(setup.Network setup.Data)
            // So slow that nothing is learned: each batch is seen by the model of the start.
            let still =
                { setup with
                    Epochs = 1
                    LearningRate = 1e-12
                    Optimizer = Sgd 0.0
                    Schedule = Constant()
                }

            use start = TrainingState.Start(network, 3L, torch.CPU)
            let score = Evaluator.Evaluate(start.Parameters, data.Train)

            use one = Trainer.Run(TrainingState.Start(network, 3L, torch.CPU), data.Train, Setup.training still, 3L)
            close "loss" one.Curve[0].Loss score.Loss
            close "accuracy" one.Curve[0].Accuracy score.Accuracy
        }

        test "a training that goes on from before curves were kept keeps none, since epochs would lack" {
            use data = DataSet.load setup.Data
            let network = Network(setup.Network setup.Data)
            let node = Plan.steps [ Plan.node plan ] |> List.find isTraining
            let first = Setup.training { setup with Epochs = 1 }
            use state = Trainer.Run(TrainingState.Start(network, 0L, torch.CPU), data.Train, first, 0L)

            let ops (curve: bool) =
                use stream = new MemoryStream()

                let kept =
                    if curve then
                        state
                    else
                        new TrainingState(state.Parameters, state.First, state.Second, state.Epoch)

                ModelFile.Write(stream, kept)
                let names = ResizeArray<string>()

                node.Op.Run
                    {
                        Args = node.Args
                        Inputs = []
                        OwnsInputs = true
                        Data = fun () -> data
                        Progress = ignore
                        SavePartial = ignore
                        LoadPartial = fun () -> Some(stream.ToArray())
                        Note = ignore
                        Keep = fun op _ -> names.Add op.Name
                        Cancel = CancellationToken.None
                    }
                |> ignore

                List.ofSeq names

            Expect.equal (ops true) [ "trainingCurve" ] "from where it is whole"
            Expect.equal (ops false) [] "from where there was none"
        }

        test "a training that goes on has the curve of one that went through" {
            use data = DataSet.load setup.Data
            let network = Network(setup.Network setup.Data)
            let options = Setup.training setup
            let start () = TrainingState.Start(network, 3L, torch.CPU)
            use through = Trainer.Run(start (), data.Train, options, 3L)
            let mutable kept = [||]

            use _ =
                Trainer.Run(
                    start (),
                    data.Train,
                    options,
                    3L,
                    epochDone =
                        fun state ->
                            if state.Epoch = 2 then
                                use stream = new MemoryStream()
                                ModelFile.Write(stream, state)
                                kept <- stream.ToArray()
                )

            let read = ModelFile.ReadState(System.ReadOnlySpan kept, "kept", torch.CPU)
            Expect.equal read.Curve.Length 2 "two epochs"
            use resumed = Trainer.Run(read, data.Train, options, 3L)
            Expect.equal (List.ofSeq resumed.Curve) (List.ofSeq through.Curve) "the same"
            Expect.equal (bytes resumed.Parameters) (bytes through.Parameters) "and the same model"
        }

        test "it lies in the store beside its model, is a row where it is asked for, and drawn where it is not" {
            inFolder (fun folder ->
                let report = running folder (fun runner -> runner.Run [ plan ] |> List.exactlyOne)
                let store = Store.Open folder
                let trained = Plan.steps [ Plan.node plan ] |> List.filter isTraining

                for node in trained do
                    Expect.isTrue (store.Contains (curveOf node).Key) "kept"

                let curves = Results.curves store [ plan ]
                Expect.equal (List.map (fst >> _.Key) curves) (List.map _.Key trained) "each training's"

                for _, curve in curves do
                    Expect.equal curve.Epochs.Length 3 "an epoch after another"

                let rows = report.Rows |> List.filter (fun row -> row.Measure = "trainingCurve")
                Expect.equal [ for row in rows -> row.Models ] [ [ "0" ]; [ "1" ] ] "rows of the members"
                let ids = (Results.ofOps [ Curves.Op ] report).Figures |> List.map _.Id
                Expect.equal ids [ "training-loss"; "training-accuracy" ] "figures"
                let provenance = Results.provenance "command" [ plan ]
                let exhibits = Results.ofOps [ L2.Op ] report
                let target = Path.Combine(folder, "results")
                Results.write target false "x" "X" provenance [ Quantity.l2 ] curves exhibits report |> ignore

                Expect.stringContains
                    (File.ReadAllText(Path.Combine(target, "index.html")))
                    "training-loss"
                    "on the page"

                let csv = File.ReadAllLines(Path.Combine(target, "training.csv"))
                Expect.equal csv.Length 7 "a line an epoch and one of headings"
                Expect.stringContains csv[0] "training loss (nats)" "with units"

                let line epoch (e: TrainingCurveValue.Epoch) =
                    let model = (fst curves.Head).Title.Substring "train ".Length
                    let numbers = [ e.Loss; 100.0 * e.Accuracy; e.LearningRate ] |> List.map Number.shortest
                    TableText.csv { Title = ""; Columns = []; Rows = [ model :: string epoch :: numbers ] }

                for k, epoch in List.indexed (snd curves.Head).Epochs do
                    Expect.stringContains (line (k + 1) epoch) csv[k + 1] "epochs from 1, accuracy in per cent"

                Expect.equal provenance["models"].Items.Length 1 "one recipe"
                Expect.equal provenance["models"].Items[0].["seeds"] (Json.ints [ 0; 1 ]) "of two seeds"
                let json = Json.parse (File.ReadAllText(Path.Combine(target, "report.json")))
                Expect.equal json["trainings"].Items.Length 2 "in the report"
                Expect.equal json["trainings"].Items[0].["epochs"].Items.Length 3 "epochs"
                let measured = json["measured"].Items |> List.find (fun s -> s["models"] = Json.texts [ "0"; "1" ])

                close
                    "by the tables' name"
                    measured["L2"].Float
                    (Option.get (Quantity.l2.Of(Subject.ofReport report |> List.find (fun s -> s.Models.Length = 2)))))
        }

        test "of a model that was trained without, there is none, told in a line where it is asked for" {
            inFolder (fun folder ->
                running folder (fun runner -> runner.Run [ plan ] |> ignore)
                let node = Plan.steps [ Plan.node plan ] |> List.find isTraining
                let key = (curveOf node).Key

                for path in Directory.GetDirectories(folder, key, SearchOption.AllDirectories) do
                    Directory.Delete(path, true)

                let store = Store.Open folder
                Expect.isFalse (store.Contains key) "taken away"
                Expect.equal (Results.curves store [ plan ]).Length 1 "the other's is left"
                let again = (train >> measureAll [ Curves; Accuracy ]) setup

                let failed =
                    running folder (fun runner -> runner.Run [ again ] |> List.exactlyOne)
                    |> _.Rows
                    |> List.choose _.Failure

                Expect.equal failed.Length 1 "one row"
                Expect.stringContains failed.Head "is of an earlier version" "why")
        }

        test "what is watched: curves of steps under way, what is done, and no word to the network" {
            inFolder (fun folder ->
                let mutable now = 0.0
                let path = Path.Combine(folder, "watch.html")
                let page = WatchPage(path, "A <title>", (fun () -> now))
                let node = Plan.steps [ Plan.node plan ] |> List.find isTraining
                page.Note(Planned([ node ], 2))
                page.Note(Started node)

                for k in 1..900 do
                    now <- float k
                    page.Note(Advanced(node, { Share = float k / 900.0; Text = ""; Value = Some(900.0 / float k) }))

                let html = File.ReadAllText path
                Expect.stringContains html "http-equiv=\"refresh\"" "loads itself anew"
                Expect.stringContains html "A &lt;title&gt;" "escaped"
                Expect.stringContains html "<polyline" "a curve"
                Expect.stringContains html "0 of 1 steps done, 2 were done before" "how far"

                Expect.isFalse
                    (html.Contains "http:" || html.Contains "https:" || html.Contains "<script")
                    "nothing from outside"

                let points = (html.Split("points=\"")[1]).Split('"').[0].Split ' '
                Expect.isLessThan points.Length 402 "not every point of a long step"
                let heights = [ for point in points -> Number.parse (point.Split(',')[1]) ]
                Expect.equal heights.Head (List.min heights) "it begins above, at its largest"
                Expect.equal (List.last heights) (List.max heights) "and falls"
                page.Note(Finished(node, 900.0))
                page.End "Done"
                let ended = File.ReadAllText path
                Expect.stringContains ended "Done: 1 of 1 steps done" "how it ended"
                Expect.isFalse (ended.Contains "http-equiv") "and stays")
        }
    ]
