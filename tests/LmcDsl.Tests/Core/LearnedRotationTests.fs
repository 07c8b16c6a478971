module LmcDsl.Tests.Core.LearnedRotationTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Core.Training
open LmcDsl.Tests.Fixtures
open TorchSharp

// A language of 8 tokens in which the next is mostly the one after, and two small models that learned it.
let private text =
    lazy
        (let random = System.Random 3
         let mutable at = 0L

         let next () =
             at <- if random.Next 8 = 0 then int64 (random.Next 8) else (at * 3L + 1L) % 8L
             at

         let tokens = Array.init 6000 (fun _ -> next ())
         TextWindows.Of("text", tokens[..5399], tokens[5700..], 8, 8))

let private architecture norm =
    Catalogue.Gpt(8, TransformerOptions(Layers = 2, Width = 16, Heads = 2, Hidden = 24, Context = 8, Norm = norm))

let private trained norm seed =
    let state = TrainingState.Start(Network(architecture norm), seed, torch.CPU)
    let options = TrainingOptions(Epochs = 4, BatchSize = 32, LearningRate = 5e-3)
    (Trainer.Run(state, text.Value.Train, options, seed)).Parameters

let private models = lazy (trained TransformerNorm.LayerBefore 0L, trained TransformerNorm.LayerBefore 1L)

let private middle (a: ParameterSet) (b: ParameterSet) = (Barrier.Along(a, b, text.Value.Test, 3)).MidpointLoss

// Of the mean of two models on the examples that searches look at.
let private mergedLoss (a: ParameterSet) (b: ParameterSet) : float =
    use check = text.Value.Train.First 200
    use merged = LmcDsl.Core.Merging.Average.Of([| a; b |], null)
    Evaluator.Evaluate(merged, check).Loss

let private small =
    LearnedRotationOptions(Steps = 40, CheckEvery = 20, CheckOn = 200, BatchSize = 32, LearningRate = 1e-2)

let tests =
    testList "LearnedRotation" [
        test "two trained models: rotations lower the barrier, and learned ones lower it more" {
            let a, b = models.Value
            let permuted = (WeightMatching.Match(a, b)).Permutations.Apply b
            let rotated = RotatedMatching.Match(a, b)
            use rotated = RotatedMatching.Apply(a, b, rotated.Transformation)
            let learned = LearnedRotation.Match(a, b, text.Value.Train, small)
            use learnt = RotatedMatching.Apply(a, b, learned.Transformation)
            let barriers = [ middle a b; middle a permuted; middle a rotated; middle a learnt ]
            Expect.isLessThan barriers[2] (barriers[0] - 0.1) $"rotated below naive: {barriers}"

            Expect.isLessThan
                barriers[3]
                (min barriers[1] barriers[2] - 0.05)
                $"learned below rotated and permuted: {barriers}"

            Expect.isLessThan (Seq.min learned.Objective) (Seq.head learned.Objective - 0.01) "the loss at looks falls"
        }

        test "the function stays, and the loss told is that of the merged model" {
            let a, b = models.Value
            let found = LearnedRotation.Match(a, b, text.Value.Train, small)
            use moved = RotatedMatching.Apply(a, b, found.Transformation)
            let x = text.Value.Test.Images.narrow (0, 0, 20)
            let before, after = b.Network.Forward(b.Views, x), b.Network.Forward(moved.Views, x)
            Expect.isLessThan (difference before after) 1e-3 "function"
            Expect.floatClose Accuracy.low (mergedLoss a moved) (Seq.min found.Objective) "the least loss"
        }

        test "where steps lead away the best of all looks is the answer, and not the last" {
            let a, b = models.Value

            let wild =
                LearnedRotationOptions(
                    Steps = 4,
                    CheckEvery = 1,
                    CheckOn = 200,
                    BatchSize = 32,
                    LearningRate = 3.0,
                    WithinHeads = false
                )

            let found = LearnedRotation.Match(a, b, text.Value.Train, wild)
            let least: float = Seq.min found.Objective
            Expect.isGreaterThan (Seq.last found.Objective) (least + 0.01) $"{Seq.toList found.Objective}"
            use moved = RotatedMatching.Apply(a, b, found.Transformation)
            Expect.floatClose Accuracy.low (mergedLoss a moved) least "the best look's"
        }

        test "the same seed gives the same bytes, another one others" {
            let a, b = models.Value

            let bytes seed =
                let found =
                    LearnedRotation.Match(
                        a,
                        b,
                        text.Value.Train,
                        LearnedRotationOptions(Steps = 3, CheckEvery = 1, CheckOn = 50, Seed = seed)
                    )

                found.Transformation.Matrices[0].data<float>().ToArray()

            Expect.equal (bytes 1L) (bytes 1L) "the same"
            Expect.notEqual (bytes 1L) (bytes 2L) "others"
        }

        test
            "each step is one of Adam down a batch's loss on a line between the models, and looks come when they are asked for" {
            let a, b = models.Value
            let data = text.Value.Train

            let options =
                LearnedRotationOptions(
                    Steps = 4,
                    CheckEvery = 3,
                    CheckOn = 60,
                    BatchSize = 8,
                    LearningRate = 0.03,
                    Spread = 0.4,
                    Seed = 7L,
                    BestStart = false
                )

            use _ = torch.NewDisposeScope()
            let matched = RotatedMatching.Match(a, b, options.Matching)
            use learner = new RotationLearner(a, b, matched.Transformation, options.WithinHeads)
            let first, second = torch.zeros_like learner.Angles, torch.zeros_like learner.Angles
            use check = data.First 60L

            let losses =
                [
                    for step in 0..4 do
                        if step = 0 || step = 3 || step = 4 then
                            learner.Loss check

                        if step < 4 then
                            use generator = LmcDsl.Core.Runtime.Seeds.Generator(7L, "learned rotation", int64 step)
                            let drawn = torch.rand([| 1L |], generator = generator).ToDouble()
                            let chosen = torch.randint (data.Count, [| 8L |], generator = generator)
                            let images = data.Images.index_select (0L, chosen)
                            let labels = data.Labels.index_select (0L, chosen)
                            let struct (_, slope) = learner.Gradient(images, labels, 0.5 + 0.4 * (2.0 * drawn - 1.0))
                            // Half a cosine from the first step to the last.
                            let rate = 0.03 * 0.5 * (1.0 + cos (System.Math.PI * float step / 4.0))
                            use _ = torch.no_grad ()
                            FusedStep.ByMoments(learner.Angles, first, second, slope, Adam(), rate, int64 step + 1L)
                ]

            let found = LearnedRotation.Match(a, b, data, options)
            Expect.equal found.Objective.Length losses.Length "at 0, 3 and 4"

            for x, y in Seq.zip found.Objective losses do
                Expect.floatClose Accuracy.high x y $"{List.ofSeq found.Objective} and {losses}"
        }

        test "where nothing can be rotated the answer is weight matching's" {
            let a, b = trained TransformerNorm.LayerAfter 0L, trained TransformerNorm.LayerAfter 1L

            let alone =
                LearnedRotationOptions(
                    Steps = 40,
                    CheckEvery = 20,
                    CheckOn = 200,
                    WithinHeads = false,
                    BestStart = false
                )

            let found = (LearnedRotation.Match(a, b, text.Value.Train, alone)).Transformation
            let matched = (RotatedMatching.Match(a, b)).Transformation

            Expect.equal
                [ for p in found.Permutations.Permutations -> List.ofSeq p.Sources ]
                [ for p in matched.Permutations.Permutations -> List.ofSeq p.Sources ]
                "permutations"

            for one, other in Seq.zip found.Matrices matched.Matrices do
                match one, other with
                | null, null -> ()
                | one, other -> Expect.equal (difference one other) 0.0 "matrices"
        }

        test "what is learned is within each turn's class, and what reads takes the inverse: in double" {
            let options =
                [
                    TransformerOptions(Layers = 1, Width = 8, Heads = 2, Context = 4)
                    TransformerOptions(Layers = 1, Width = 8, Heads = 2, Context = 4, Norm = TransformerNorm.RmsBefore)
                    TransformerOptions(
                        Layers = 1,
                        Width = 16,
                        Heads = 4,
                        KeyHeads = 2,
                        Context = 4,
                        Positions = PositionEncoding.Rotary
                    )
                ]

            use _ = torch.NewDisposeScope()
            let like = torch.zeros (1L, dtype = torch.float64)
            let met = System.Collections.Generic.HashSet<SymmetryClass>()
            let far (one: torch.Tensor) (other: torch.Tensor) = one.sub(other).abs().max().item<float>()

            let fresh o seed = TrainingState.Start(Network(Catalogue.Gpt(8, o)), seed, torch.CPU)

            for o in options do
                // The network that a search sees: norms' gains written elsewhere.
                let found = RotatedMatching.Match((fresh o 0L).Parameters, (fresh o 1L).Parameters)
                let network = found.Transformation.Permutations.Network

                for t in 0 .. network.Turns.Length - 1 do
                    use turn = new LearnedTurn(network, t, like)
                    let symmetry = network.Turns[t].Class
                    met.Add symmetry |> ignore
                    let struct (straight, dual) = turn.Matrices(torch.randn (turn.Count, dtype = torch.float64) * 0.5)
                    let one = torch.eye (straight.shape[2], dtype = torch.float64)

                    Expect.isLessThan
                        (far (straight.transpose(1L, 2L).matmul dual) (one.expand_as straight))
                        1e-10
                        "inverse transpose"

                    let struct (still, _) = turn.Matrices(torch.zeros (turn.Count, dtype = torch.float64))
                    Expect.isLessThan (far still (one.expand_as still)) 1e-12 "the identity at 0"
                    Expect.isGreaterThan (far straight (one.expand_as straight)) 0.1 "and elsewhere not"
                    let image = straight.matmul (torch.ones (straight.shape[2], 1L, dtype = torch.float64))

                    match symmetry with
                    | SymmetryClass.Centred ->
                        Expect.isLessThan (far image (torch.ones_like image)) 1e-10 "ones stay"
                        Expect.isLessThan (far straight dual) 1e-10 "a rotation"
                    | SymmetryClass.Orthogonal -> Expect.isLessThan (far straight dual) 1e-10 "a rotation"
                    | SymmetryClass.Pairs ->
                        let struct (nearest, _) = ClassMatrix.Nearest(SymmetryClass.Pairs, straight)
                        let scale = straight.square().sum(1L, keepdim = true).sqrt()
                        Expect.isLessThan (far (nearest * scale) straight) 1e-10 "pairs, turned and scaled"
                    | _ -> ()

            Expect.equal
                (Seq.sort met |> List.ofSeq)
                [ SymmetryClass.Invertible; SymmetryClass.Orthogonal; SymmetryClass.Centred; SymmetryClass.Pairs ]
                "each class"
        }

        for name, options in
            [
                "learned positions", TransformerOptions(Layers = 2, Width = 16, Heads = 2, Hidden = 24, Context = 8)
                "rotary positions, grouped queries",
                TransformerOptions(
                    Layers = 2,
                    Width = 16,
                    Heads = 4,
                    KeyHeads = 2,
                    Hidden = 24,
                    Context = 8,
                    Positions = PositionEncoding.Rotary,
                    Norm = TransformerNorm.RmsBefore
                )
            ] do
            test
                $"within heads: the function stays, the loss is the merged model's, and lower than by the stream alone: {name}" {
                let train seed =
                    let state = TrainingState.Start(Network(Catalogue.Gpt(8, options)), seed, torch.CPU)
                    let training = TrainingOptions(Epochs = 4, BatchSize = 32, LearningRate = 5e-3)
                    (Trainer.Run(state, text.Value.Train, training, seed)).Parameters

                let a, b = train 0L, train 1L

                let learn withinHeads =
                    LearnedRotation.Match(
                        a,
                        b,
                        text.Value.Train,
                        LearnedRotationOptions(
                            Steps = 40,
                            CheckEvery = 20,
                            CheckOn = 200,
                            BatchSize = 32,
                            LearningRate = 1e-2,
                            WithinHeads = withinHeads
                        )
                    )

                let found = learn true
                use moved = RotatedMatching.Apply(a, b, found.Transformation)
                let x = text.Value.Test.Images.narrow (0, 0, 20)
                let before, after = b.Network.Forward(b.Views, x), b.Network.Forward(moved.Views, x)
                Expect.isLessThan (difference before after) 1e-3 "function"
                let least: float = Seq.min found.Objective
                Expect.floatClose Accuracy.low (mergedLoss a moved) least "the least loss"
                let alone: float = Seq.min (learn false).Objective
                Expect.isLessThan least alone "lower than by the stream alone"
            }

        test "of two starts the one is taken whose merged model has the lower loss" {
            let a, b = models.Value

            let firstLook (raw: bool) (best: bool) =
                let options =
                    LearnedRotationOptions(
                        Steps = 1,
                        CheckEvery = 1,
                        CheckOn = 200,
                        BatchSize = 32,
                        BestStart = best,
                        Matching = RotatedMatchingOptions(Normalised = not raw)
                    )

                Seq.head (LearnedRotation.Match(a, b, text.Value.Train, options)).Objective

            let raw, normalised = firstLook true false, firstLook false false
            Expect.isGreaterThan (abs (raw - normalised)) 1e-4 "the starts differ"

            Expect.equal
                [ firstLook true true; firstLook false true ]
                (List.replicate 2 (min raw normalised))
                "the better"
        }

        test "options out of range are told" {
            let a, b = models.Value

            failsWith [ "spread of 0 to 0.5" ] (fun () ->
                LearnedRotation.Match(a, b, text.Value.Train, LearnedRotationOptions(Spread = 0.7)) |> ignore)
        }

        test "several models: the sum over pairs never falls, the first stays, and planted elements are found again" {
            let a, b = models.Value
            let c = trained TransformerNorm.LayerBefore 2L
            let found = RotatedMergeManyMatching.Match [| a; b; c |]

            for before, after in Seq.pairwise found.Objective do
                Expect.isGreaterThanOrEqual after (before - 1e-9 * abs before) "objective"

            Expect.isTrue
                (found.Transformations[0].Permutations.Permutations |> Seq.forall _.IsIdentity
                 && found.Transformations[0].Matrices |> Seq.forall isNull)
                "the first moves nothing"

            let move (m: ParameterSet) k = RotatedMatching.Apply(a, m, found.Transformations[k], [| c; b |])
            use b' = move b 1
            use c' = move c 2
            Expect.isLessThan (middle a b') (middle a b) "first and second"
            Expect.isLessThan (middle a c') (middle a c - 0.1) "first and third"
            Expect.isLessThan (middle b' c') (middle b c) "second and third"
        }
    ]
