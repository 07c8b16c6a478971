module LmcDsl.Tests.Core.TrainerTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Measures
open LmcDsl.Core.Training
open LmcDsl.Tests.Fixtures
open TorchSharp

let private task = toyTask smallMlp 200 1L

let private withNorm =
    Network(
        Architecture.FromJson
            """{"name":"norm","input":[1,2,3],"nodes":[
               {"name":"f","layer":{"kind":"flatten"},"inputs":["input"]},
               {"name":"a","layer":{"kind":"dense","units":9,"bias":true},"inputs":["f"]},
               {"name":"n","layer":{"kind":"batchNorm"},"inputs":["a"]},
               {"name":"r","layer":{"kind":"activation","function":"Relu"},"inputs":["n"]},
               {"name":"o","layer":{"kind":"dense","units":3,"bias":true},"inputs":["r"]}]}"""
    )

let private start network = TrainingState.Start(network, 3L, torch.CPU)

let private run network (options: TrainingOptions) = Trainer.Run(start network, task, options, 3L)

let private recipes: (string * TrainingOptions) list =
    [
        "Adam", TrainingOptions(Epochs = 4, BatchSize = 30, LearningRate = 1e-2)
        "Adam, weight decay, cosine",
        TrainingOptions(Epochs = 4, BatchSize = 30, LearningRate = 1e-2, WeightDecay = 1e-2, Schedule = Cosine 0.2)
        "SGD, momentum, linear",
        TrainingOptions(
            Epochs = 4,
            BatchSize = 30,
            LearningRate = 0.1,
            Optimizer = Sgd 0.9,
            WeightDecay = 1e-3,
            Schedule = LinearUpDown 0.3
        )
        "AdamW",
        TrainingOptions(
            Epochs = 4,
            BatchSize = 30,
            LearningRate = 1e-2,
            Optimizer = AdamW(0.85, 0.99, 1e-3),
            WeightDecay = 0.5,
            Schedule = Cosine 0.2
        )
        "plain SGD", TrainingOptions(Epochs = 4, BatchSize = 200, LearningRate = 0.1, Optimizer = Sgd 0.0)
    ]

/// TorchSharp's own optimiser on the same batches, as a reference.
let private referenceOn (task: LmcDsl.Core.Data.DataSplit) (network: Network) (options: TrainingOptions) =
    let parameters = (start network).Parameters
    let leaves = [| for v in parameters.Views -> new Modules.Parameter(v.clone ()) |]

    let optimiser: torch.optim.Optimizer =
        match options.Optimizer with
        | :? Adam as adam ->
            torch.optim.Adam(leaves, options.LearningRate, adam.Beta1, adam.Beta2, adam.Epsilon, options.WeightDecay)
        | :? AdamW as adam ->
            torch.optim.AdamW(leaves, options.LearningRate, adam.Beta1, adam.Beta2, adam.Epsilon, options.WeightDecay)
        | :? Sgd as sgd -> torch.optim.SGD(leaves, options.LearningRate, sgd.Momentum, 0.0, options.WeightDecay)
        | other -> failwith $"{other}"

    let steps = (int task.Count + options.BatchSize - 1) / options.BatchSize

    for epoch in 0 .. options.Epochs - 1 do
        use generator = LmcDsl.Core.Runtime.Seeds.Generator(3L, "order of examples", int64 epoch)
        use order = torch.randperm (task.Count, generator = generator)
        use variation = LmcDsl.Core.Runtime.Seeds.Generator(3L, "augmentation", int64 epoch)

        for step in 0 .. steps - 1 do
            use _ = torch.NewDisposeScope()
            let from = int64 (step * options.BatchSize)
            let chosen = order.narrow (0L, from, min (int64 options.BatchSize) (task.Count - from))
            let share = options.Schedule.Share(int64 (epoch * steps + step), int64 (options.Epochs * steps))

            for group in optimiser.ParamGroups do
                group.LearningRate <- options.LearningRate * share

            optimiser.zero_grad ()
            let images = task.Images.index_select (0L, chosen)

            let images =
                match options.Augmentation with
                | Augmentation.FlipCrop -> Augmenter.FlipCrop(images, variation)
                | _ -> images

            let logits = network.Forward([| for l in leaves -> l :> torch.Tensor |], images, Mode.Training)

            torch.nn.functional.cross_entropy(logits, task.Labels.index_select (0L, chosen)).backward()
            optimiser.step () |> ignore

    torch.cat [| for l in leaves -> l.detach().flatten() |]

let private reference = referenceOn task

let tests =
    testList "Trainer" [
        for name, options in recipes do
            test $"it takes the steps that TorchSharp's own optimiser takes: {name}" {
                use ours = run smallMlp options
                use theirs = reference smallMlp options
                Expect.isLessThan (difference ours.Parameters.Flat theirs) float32Rounding "same parameters"
            }

            test $"one pass over the buffer is the same as Torch's operations: {name}" {
                use one = start smallMlp
                use other = start smallMlp
                use generator = LmcDsl.Core.Runtime.Seeds.Generator(1L, "gradients")

                for step in 1L .. 5L do
                    let gradients = [| for p in smallMlp.Parameters -> torch.randn (p.Shape, generator = generator) |]
                    FusedStep.Apply(one, gradients, options, 0.01, step)
                    FusedStep.OnDevice(other, gradients, options, 0.01, step)

                Expect.isLessThan (difference one.Parameters.Flat other.Parameters.Flat) 1e-6 "parameters"
            }

            for network in [ smallMlp; withNorm ] do
                test
                    $"the same seed gives the same bytes, in one go or resumed after any epoch: {name}, {network.Architecture.Name}" {
                    let saved = ResizeArray<byte[]>()

                    let keep (state: TrainingState) =
                        use stream = new IO.MemoryStream()
                        ModelFile.Write(stream, state)
                        saved.Add(stream.ToArray())

                    use whole = Trainer.Run(start network, task, options, 3L, keep)
                    Expect.equal saved.Count 4 "told after each epoch"

                    for k, content in Seq.indexed saved do
                        let state = ModelFile.ReadState(ReadOnlySpan content, "kept", torch.CPU)
                        Expect.equal state.Epoch (k + 1) "epochs done"
                        use resumed = Trainer.Run(state, task, options, 3L)
                        Expect.equal (bytes resumed.Parameters) (bytes whole.Parameters) $"after epoch {k + 1}"
                }

        test "images are varied where asked for, each epoch anew from the seed" {
            let network = Network(Catalogue.Mlp([| 1; 6; 6 |], [| 5 |], 3))
            use task = toyTask network 90 1L
            let options = TrainingOptions(Epochs = 2, BatchSize = 40, LearningRate = 1e-2)

            let varied =
                TrainingOptions(Epochs = 2, BatchSize = 40, LearningRate = 1e-2, Augmentation = Augmentation.FlipCrop)

            for options in [ options; varied ] do
                use ours = Trainer.Run(start network, task, options, 3L)
                use theirs = referenceOn task network options
                Expect.isLessThan (difference ours.Parameters.Flat theirs) float32Rounding $"{options.Augmentation}"
        }

        test "models of two seeds with a shared start are the same until they part, and then differ" {
            let options epochs shared =
                TrainingOptions(Epochs = epochs, BatchSize = 30, LearningRate = 1e-2, Shared = SharedStart(9L, shared))

            let trained seed (options: TrainingOptions) =
                let start = TrainingState.Start(smallMlp, options.FirstSeed seed, torch.CPU)
                use state = Trainer.Run(start, task, options, seed)
                bytes state.Parameters

            Expect.equal (trained 3L (options 2 2)) (trained 4L (options 2 2)) "together"
            Expect.notEqual (trained 3L (options 3 2)) (trained 4L (options 3 2)) "and apart"
            Expect.notEqual (trained 3L (options 1 0)) (trained 4L (options 1 0)) "the first parameters alone"
            let plain epochs = TrainingOptions(Epochs = epochs, BatchSize = 30, LearningRate = 1e-2)
            Expect.equal (trained 3L (options 2 2)) (trained 9L (plain 2)) "as the shared seed's own model"
            Expect.notEqual (trained 3L (options 1 0)) (trained 9L (plain 1)) "its order is its own"
            Expect.equal ((options 1 0).FirstSeed 3L) 9L "and its first parameters are shared"
        }

        test "mixed precision: gradients near float32's, in float32, and layers that are not linear as they were" {
            let network =
                Network(
                    Architecture.FromJson
                        """{"name":"mixed","input":[2,8,8],"nodes":[
                           {"name":"c","layer":{"kind":"convolution","channels":16},"inputs":["input"]},
                           {"name":"n","layer":{"kind":"batchNorm"},"inputs":["c"]},
                           {"name":"r","layer":{"kind":"activation","function":"Relu"},"inputs":["n"]},
                           {"name":"p","layer":{"kind":"convolution","channels":12,"kernel":1,"padding":0,"bias":true},"inputs":["r"]},
                           {"name":"f","layer":{"kind":"flatten"},"inputs":["p"]},
                           {"name":"o","layer":{"kind":"dense","units":5},"inputs":["f"]}]}"""
                )

            use model = ParameterSet.Initialize(network, 1L)
            use data = toyTask network 40 2L

            let gradients precision =
                use copy = model.Clone()
                let leaves = Gradients.Leaves copy

                let struct (loss, gradients) =
                    Gradients.Of(network, leaves, data.Images, data.Labels, precision = precision)

                loss, [ for g in gradients -> g.clone () ]

            let loss, full = gradients Precision.Float32
            let near, mixed = gradients Precision.Mixed
            Expect.isLessThan (abs (near - loss)) (0.01 * loss) "loss"
            Expect.notEqual near loss "rounded"

            for f, m in List.zip full mixed do
                Expect.equal m.dtype torch.float32 "float32"
                let apart = (f - m).norm().ToDouble() / f.norm().ToDouble()
                Expect.isLessThan apart 0.1 "each near"

            let all gradients = torch.cat [| for g in gradients -> (g: torch.Tensor).flatten() |]
            let f, m = all full, all mixed
            Expect.isLessThan ((f - m).norm().ToDouble() / f.norm().ToDouble()) 0.03 "together nearer"

            let layer = Activation ActivationFunction.Relu
            use x = torch.tensor [| 1.0009765f; -1.0f |]
            let relu = MixedPrecision.Forward(layer, [||], [| x |], Mode.Training)
            Expect.equal (relu[0L].ToSingle()) 1.0009765f "not rounded"
        }

        test "mixed precision trains as well: within a point of float32 on shapes drawn by code, and otherwise" {
            let network = Network(LmcDsl.Networks.mlp [ 64; 64 ] LmcDsl.GlyphsData.Glyphs)
            use data = LmcDsl.DataSet.load (LmcDsl.DataWords.Part(LmcDsl.GlyphsData.Glyphs, 4000, 2000))

            let accuracy precision =
                let options = TrainingOptions(Epochs = 4, Precision = precision)
                use state = Trainer.Run(start network, data.Train, options, 3L)
                100.0 * (Evaluator.Evaluate(state.Parameters, data.Test)).Accuracy, bytes state.Parameters

            let full, one = accuracy Precision.Float32
            let mixed, other = accuracy Precision.Mixed
            Expect.isGreaterThan full 80.0 "it learns"
            Expect.isLessThan (abs (full - mixed)) 1.0 $"{full} and {mixed}"
            Expect.notEqual one other "another model"
            Expect.equal (accuracy Precision.Mixed |> snd) other "the same again"
        }

        test "schedules have these shares at these steps" {
            let shares (schedule: Schedule) steps = [ for k in 0L .. steps - 1L -> schedule.Share(k, steps) ]
            let root = sqrt 0.5

            for schedule, wanted in
                [
                    Constant() :> Schedule, [ 1.0; 1.0; 1.0 ]
                    // (1 + cos(pi k / 4)) / 2.
                    Cosine(), [ 1.0; (1.0 + root) / 2.0; 0.5; (1.0 - root) / 2.0 ]
                    // Half of 8 steps rise by fifths; the other half is the cosine of 4.
                    Cosine 0.5, [ 0.2; 0.4; 0.6; 0.8; 1.0; (1.0 + root) / 2.0; 0.5; (1.0 - root) / 2.0 ]
                    // The peak at the second of 8 steps, then down by sevenths.
                    LinearUpDown 0.25, 0.5 :: [ for k in 7..-1..1 -> float k / 7.0 ]
                    LinearUpDown 0.0, [ 1.0; 0.75; 0.5; 0.25 ]
                ] do
                for k, (x, y) in List.indexed (List.zip (shares schedule (int64 wanted.Length)) wanted) do
                    Expect.floatClose Accuracy.high x y $"{schedule}, step {k}"
        }

        test "a training starts at what the seed draws, and moments are zero" {
            for seed in [ 1L; 2L ] do
                use state = TrainingState.Start(smallMlp, seed, torch.CPU)
                use drawn = ParameterSet.Initialize(smallMlp, seed)
                Expect.equal (bytes state.Parameters) (bytes drawn) $"seed {seed}"
                Expect.equal (state.First.abs().max().ToDouble() + state.Second.abs().max().ToDouble()) 0.0 "moments"
        }

        test "training learns the task" {
            use state = run smallMlp (TrainingOptions(Epochs = 60, BatchSize = 20, LearningRate = 1e-2))
            let before = Evaluator.Evaluate((start smallMlp).Parameters, task)
            let after = Evaluator.Evaluate(state.Parameters, task)
            Expect.isGreaterThan after.Accuracy 0.9 $"from {before.Accuracy}"
        }

        test "batch norm's running statistics move in training and come with the model" {
            use state = run withNorm (recipes |> List.head |> snd)
            Expect.isGreaterThan (state.Parameters["n.running_mean"].abs().max().ToDouble()) 1e-3 "moved"
        }

        testPropertyWithConfig (config 200) "schedules stay within 0 and 1"
        <| fun (FsCheck.PositiveInt steps) (step: uint32) ->
            let step = int64 step % int64 steps

            for schedule in [ Constant() :> Schedule; LinearUpDown 0.3; LinearUpDown 0.0; Cosine 0.2; Cosine() ] do
                let share = schedule.Share(step, int64 steps)
                Expect.isTrue (share >= 0.0 && share <= 1.0) $"{schedule} at {step} of {steps}: {share}"

        test "schedules rise to the peak and fall to nearly nothing" {
            for schedule in [ LinearUpDown 0.25 :> Schedule; Cosine 0.25 ] do
                let shares = [ for step in 0L .. 999L -> schedule.Share(step, 1000L) ]
                Expect.isLessThan shares[0] 0.01 "from nothing"
                Expect.isGreaterThan (List.max shares) 0.99 "to the peak"
                Expect.isLessThan shares[999] 0.01 "to nothing"
        }

        test "a loss that is not finite stops the training and names epoch and step" {
            failsWith [ "finite loss"; "epoch"; "step"; "learning rate" ] (fun () ->
                run smallMlp (TrainingOptions(Epochs = 50, LearningRate = 1e30, Optimizer = Sgd 0.0)) |> ignore)
        }

        test "options out of range are refused by name" {
            for part, options in
                [
                    "epochs", TrainingOptions(Epochs = 0)
                    "batch size", TrainingOptions(BatchSize = 0)
                    "learning rate", TrainingOptions(LearningRate = nan)
                    "weight decay", TrainingOptions(WeightDecay = -1.0)
                    "momentum", TrainingOptions(Optimizer = Sgd 1.0)
                    "adam", TrainingOptions(Optimizer = Adam(1.0))
                    "adamW", TrainingOptions(Optimizer = AdamW(1.0))
                    "shared epochs", TrainingOptions(Shared = SharedStart(1L, -1))
                    "linear schedule", TrainingOptions(Schedule = LinearUpDown 1.0)
                    "cosine schedule", TrainingOptions(Schedule = Cosine -0.1)
                ] do
                failsWith [ part ] (fun () -> run smallMlp options |> ignore)
        }

        test "data of another shape, or with more classes, are refused" {
            let other = Network(Catalogue.Mlp([| 1; 3; 3 |], [| 5 |], 3))
            failsWith [ "[1, 3, 3]"; "[1, 2, 3]" ] (fun () -> run other (TrainingOptions()) |> ignore)
            let narrow = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 5 |], 2))
            failsWith [ "2 classes"; "label 2" ] (fun () -> run narrow (TrainingOptions()) |> ignore)
        }

        test "a cancelled training stops at the next step" {
            use cancel = new Threading.CancellationTokenSource()
            let steps = ref 0

            let tell (p: TrainingProgress) =
                steps.Value <- steps.Value + 1

                if steps.Value = 3 then
                    cancel.Cancel()

            Expect.throwsT<OperationCanceledException>
                (fun () ->
                    Trainer.Run(start smallMlp, task, TrainingOptions(BatchSize = 10), 3L, null, tell, cancel.Token)
                    |> ignore)
                "cancelled"

            Expect.equal steps.Value 3 "no step more"
        }
    ]
