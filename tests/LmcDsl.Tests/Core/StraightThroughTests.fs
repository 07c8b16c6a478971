module LmcDsl.Tests.Core.StraightThroughTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Differentiation
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Core.Runtime
open LmcDsl.Core.Training
open LmcDsl.Tests.Fixtures
open TorchSharp

let private task = toyTask smallMlp 300 1L

let private trained seed =
    let options = TrainingOptions(Epochs = 20, BatchSize = 30, LearningRate = 1e-2)
    Trainer.Run(TrainingState.Start(smallMlp, seed, torch.CPU), task, options, seed).Parameters

let private options =
    StraightThroughOptions(Steps = 40, BatchSize = 100, CheckEvery = 5, CheckOn = 300, LearningRate = 1e-2)

let private midpoint (a: ParameterSet) (b: ParameterSet) (set: PermutationSet) =
    use moved = set.Apply b
    use mean = LmcDsl.Core.Merging.Average.Of [| a; moved |]
    (Evaluator.Evaluate(mean, task)).Loss

let private oneLayer = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 12 |], 3))

let private train (network: Network) data seed =
    let options = TrainingOptions(Epochs = 20, BatchSize = 30, LearningRate = 1e-2)
    Trainer.Run(TrainingState.Start(network, seed, torch.CPU), data, options, seed).Parameters

/// The search by its definition, with Torch's own Adam and autograd, for networks of one group: there a projection is one assignment
/// problem, whatever the order.
let private byDefinition (a: ParameterSet) (b: ParameterSet) (data: DataSplit) (options: StraightThroughOptions) =
    let free = new Modules.Parameter(a.Learned().clone())
    let optimiser = torch.optim.Adam([| free |], options.LearningRate)
    use check = data.First(min (int64 options.CheckOn) data.Count)
    let mutable found = PermutationSet.Identity a.Network

    [
        for step in 0 .. options.Steps do
            use _ = torch.NewDisposeScope()
            use copy = new ParameterSet(a.Network, free.detach().clone())
            found <- WeightMatching.Match(copy, b, WeightMatchingOptions(), found).Permutations
            use moved = found.Apply b

            if step % options.CheckEvery = 0 || step = options.Steps then
                use mean = LmcDsl.Core.Merging.Average.Of [| a; moved |]
                Evaluator.Evaluate(mean, check).Loss

            use generator = Seeds.Generator(options.Seed, "examples and lambda", int64 step)

            let share =
                if options.DrawLambda then
                    torch.rand(1L, generator = generator).ToDouble()
                else
                    0.5

            let size = [| min (int64 options.BatchSize) data.Count |]
            let chosen = torch.randint (data.Count, size, generator = generator)
            let images, labels = data.Images.index_select (0L, chosen), data.Labels.index_select (0L, chosen)
            let loss = LossFunction.Of(a, images, labels)
            // With respect to the permuted model, as a part of the mixture.
            let mixed (own: torch.Tensor) = loss.Invoke(a.Learned() * share.ToScalar() + own * (1.0 - share).ToScalar())

            let struct (_, gradient) = Differentiate.Gradient(mixed, moved.Learned())
            optimiser.zero_grad ()
            (free * gradient.detach ()).sum().backward()
            optimiser.step () |> ignore
    ]

let tests =
    testList "StraightThrough" [
        test "a copy that does not move is matched as weights are, groups in the order that the seed says" {
            let network = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 9; 9; 9 |], 3))
            use a = randomParameters network 1L
            use b = randomParameters network 2L
            let data = toyTask network 40 1L

            let found seed =
                // Too slow to move, and looked at once.
                let still =
                    StraightThroughOptions(
                        Steps = 1,
                        CheckEvery = 5,
                        BatchSize = 10,
                        CheckOn = 40,
                        LearningRate = 1e-12,
                        Seed = seed
                    )

                let found = (StraightThrough.Match(a, b, data, still)).Permutations.Permutations
                let options = WeightMatchingOptions(AsTheyLie = true, Seed = seed)

                Expect.sequenceEqual
                    found
                    (WeightMatching.Match(a, b, options)).Permutations.Permutations
                    $"seed {seed}"

                List.ofSeq found

            Expect.isGreaterThan ([ for seed in 0L .. 7L -> found seed ] |> List.distinct).Length 1 "the order matters"
        }

        test "the losses that it sees are those of its definition, step by step, with drawn lambdas too" {
            let data, a, b = decoy oneLayer (train oneLayer) 3L

            for draw, seed in [ false, 0L; true, 5L ] do
                let options =
                    StraightThroughOptions(
                        Steps = 60,
                        BatchSize = 50,
                        CheckEvery = 7,
                        CheckOn = 120,
                        LearningRate = 0.3,
                        DrawLambda = draw,
                        Seed = seed
                    )

                let wanted = byDefinition a b data options
                let found = StraightThrough.Match(a, b, data, options).Objective |> List.ofSeq
                Expect.isGreaterThan (wanted |> List.distinct |> List.length) 2 "the permutation moves"
                Expect.equal found.Length wanted.Length "looks"

                for k, (x, y) in List.indexed (List.zip found wanted) do
                    Expect.floatClose Accuracy.medium x y $"look {k}, lambda drawn: {draw}"
        }

        test "it ends below weight matching's loss where the weights mislead" {
            let data, a, b = decoy oneLayer (train oneLayer) 3L

            let loss (set: PermutationSet) =
                use moved = set.Apply b
                use mean = LmcDsl.Core.Merging.Average.Of [| a; moved |]
                Evaluator.Evaluate(mean, data).Loss

            // Looked at before the first step and after the last one alone: no step down by chance is kept.
            let options =
                StraightThroughOptions(
                    Steps = 120,
                    BatchSize = 50,
                    CheckEvery = 120,
                    CheckOn = 200,
                    LearningRate = 0.03
                )

            let matched = loss (WeightMatching.Match(a, b).Permutations)
            let found = StraightThrough.Match(a, b, data, options)
            Expect.floatClose Accuracy.medium found.Objective[0] matched "from there"
            Expect.isLessThan (loss found.Permutations) (0.8 * matched) "to a better one"
        }

        test
            "the gradient of the mixture's loss is that of finite differences, and the seed and the step decide the batch" {
            use a = randomParameters oneLayer 1L
            use b = randomParameters oneLayer 2L
            use data = toyTask oneLayer 80 3L
            use mixture = new MixtureLoss(a, data, 80)
            use generator = Seeds.Generator(5L, "direction")
            use along = torch.randn (oneLayer.LearnedCount, generator = generator)

            let gradient draw seed step =
                use _ = torch.NewDisposeScope()
                let parts = mixture.Gradient(b, 40, draw, seed, step)
                let flat = torch.cat [| for g in parts -> g.flatten () |]
                flat.MoveToOuterDisposeScope()

            for draw in [ false; true ] do
                use _ = torch.NewDisposeScope()
                use generator = Seeds.Generator(7L, "examples and lambda", 2L)
                let share = if draw then torch.rand(1L, generator = generator).ToDouble() else 0.5
                let chosen = torch.randint (80L, [| 40L |], generator = generator)
                let images, labels = data.Images.index_select (0L, chosen), data.Labels.index_select (0L, chosen)
                use batch = new DataSplit(images, labels)

                let loss (step: float) =
                    use moved = new ParameterSet(oneLayer, b.Flat + along * step.ToScalar())
                    use mixed = LmcDsl.Core.Merging.Average.Of([| a; moved |], [| share; 1.0 - share |])
                    Evaluator.Evaluate(mixed, batch).Loss

                let slope = (loss 1e-3 - loss -1e-3) / 2e-3
                let found = (gradient draw 7L 2 * along).sum().ToDouble()
                Expect.isLessThan (abs (found - slope)) (0.01 * abs slope + 5e-3) $"drawn: {draw}, share {share}"

            let same x y = difference x y = 0.0
            Expect.isTrue (same (gradient false 7L 2) (gradient false 7L 2)) "the same"
            Expect.isFalse (same (gradient false 7L 2) (gradient false 8L 2)) "another seed"
            Expect.isFalse (same (gradient false 7L 2) (gradient false 7L 3)) "another step"
        }

        test "what it returns has the least training loss it saw, and never more than weight matching's" {
            use a = trained 1L
            use b = trained 2L
            let found = StraightThrough.Match(a, b, task, options)

            let matched =
                WeightMatching.Match(
                    a,
                    b,
                    WeightMatchingOptions(Seed = LmcDsl.Core.Runtime.Seeds.Derive(0L, "matching", 0L))
                )

            Expect.floatClose Accuracy.medium found.Objective[0] (midpoint a b matched.Permutations) "it begins there"

            Expect.floatClose
                Accuracy.medium
                (List.min [ for loss in found.Objective -> loss ])
                (midpoint a b found.Permutations)
                "the best one is kept"

            Expect.equal found.Objective.Length 9 "looked at before the first step and every 5"
        }

        test "on a tiny network it comes close to the best of all permutations" {
            let network = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 4 |], 3))
            let recipe = TrainingOptions(Epochs = 20, BatchSize = 30, LearningRate = 1e-2)
            let train seed = Trainer.Run(TrainingState.Start(network, seed, torch.CPU), task, recipe, seed).Parameters
            use a = train 1L
            use b = train 2L
            let all = [ for p in permutations [ 0..3 ] -> midpoint a b (PermutationSet(network, [ Permutation p ])) ]

            let found =
                StraightThrough.Match(
                    a,
                    b,
                    task,
                    StraightThroughOptions(
                        Steps = 100,
                        BatchSize = 100,
                        CheckEvery = 1,
                        CheckOn = 300,
                        LearningRate = 3e-2
                    )
                )

            let least = List.min [ for loss in found.Objective -> loss ]
            let rank = all |> List.filter (fun loss -> loss < least - 1e-6) |> List.length
            Expect.isLessThan rank 3 $"among the best three of 24: {least} of {List.min all} .. {List.max all}"
        }

        test "the same seed gives the same losses, with drawn lambdas too" {
            use a = trained 1L
            use b = trained 2L

            for draw in [ false; true ] do
                let run seed =
                    let options =
                        StraightThroughOptions(
                            Steps = 20,
                            BatchSize = 50,
                            CheckEvery = 5,
                            CheckOn = 100,
                            LearningRate = 1e-2,
                            DrawLambda = draw,
                            Seed = seed
                        )

                    StraightThrough.Match(a, b, task, options).Objective |> List.ofSeq

                Expect.equal (run 1L) (run 1L) "same"
        }

        test "the gradient is the loss's own: against finite differences" {
            use model = trained 3L
            use images = task.Images.narrow (0L, 0L, 20L)
            use labels = task.Labels.narrow (0L, 0L, 20L)
            let struct (_, gradients) = Gradients.Of(model, images, labels)
            let flat = torch.cat [| for g in gradients -> g.flatten () |]

            let loss (p: ParameterSet) =
                (Evaluator.Evaluate(p, new LmcDsl.Core.Data.DataSplit(images.clone (), labels.clone ()))).Loss

            use generator = LmcDsl.Core.Runtime.Seeds.Generator(5L, "direction")
            use direction = torch.randn (flat.shape, generator = generator)
            let step = 1e-3

            let shifted (sign: float) =
                use p = model.Clone()
                use _ = torch.no_grad ()
                p.Learned().add_(direction, (sign * step).ToScalar()) |> ignore
                loss p

            let slope = (shifted 1.0 - shifted -1.0) / (2.0 * step)
            let expected = (flat * direction).sum().ToDouble()

            Expect.isLessThan
                (abs (slope - expected))
                (0.01 * abs expected + 2e-3)
                $"slope {slope}, gradient {expected}"
        }

        test "a warm start is where the first projection begins, and of several starts the best counts" {
            use a = randomParameters smallMlp 1L
            use b = randomParameters smallMlp 2L
            use task = toyTask smallMlp 60 3L
            let options starts = StraightThroughOptions(Steps = 5, BatchSize = 20, CheckEvery = 1, Starts = starts)
            let matched = WeightMatching.Match(a, b).Permutations
            // The free copy is a at first, so the first projection from a local optimum of weight matching stays there.
            let warm = StraightThrough.Match(a, b, task, options 1, matched)
            use moved = matched.Apply b
            use mean = LmcDsl.Core.Merging.Average.Of([| a; moved |], null)
            let wanted = LmcDsl.Core.Measures.Evaluator.Evaluate(mean, task).Loss
            Expect.floatClose Accuracy.medium warm.Objective[0] wanted "the loss there"
            let least starts = StraightThrough.Match(a, b, task, options starts).Objective |> Seq.min
            Expect.isLessThanOrEqual (least 6) (least 1) "six starts are no worse"
        }

        test "a start is where it begins, and what is found is composed with it" {
            use a = randomParameters oneLayer 1L
            use b = randomParameters oneLayer 2L
            use data = toyTask oneLayer 60 3L
            let start = PermutationSet.Random(oneLayer, 9L)
            let options = StraightThroughOptions(Steps = 4, BatchSize = 20, CheckEvery = 1, LearningRate = 0.3)
            let found = StraightThrough.Match(a, b, data, options, start)

            let loss (set: PermutationSet) =
                use moved = set.Apply b
                use mean = LmcDsl.Core.Merging.Average.Of [| a; moved |]
                Evaluator.Evaluate(mean, data).Loss

            let matched = WeightMatching.Match(a, b, WeightMatchingOptions(), start).Permutations
            Expect.floatClose Accuracy.medium found.Objective[0] (loss matched) "weight matching from there"
            Expect.floatClose Accuracy.medium (found.Objective |> Seq.min) (loss found.Permutations) "its permutations"
        }

        test "several starts are as many searches with seeds of their own, of which the best counts" {
            // Of several layers, so that weight matching ends elsewhere from other starts.
            let network = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 16; 14; 12 |], 3))
            use a = randomParameters network 1L
            use b = randomParameters network 2L
            use data = toyTask network 60 3L

            let least starts seed start =
                let options =
                    StraightThroughOptions(Steps = 3, BatchSize = 20, CheckEvery = 1, Starts = starts, Seed = seed)

                StraightThrough.Match(a, b, data, options, start).Objective |> Seq.min

            let seeds = [ for k in 1L .. 3L -> Seeds.Derive(7L, "restart", k) ]
            let each = least 1 7L null :: [ for s in seeds -> least 1 s (PermutationSet.Random(network, s)) ]
            Expect.isLessThan (List.min each) (List.max each - 0.01) "they end elsewhere"
            Expect.floatClose Accuracy.high (least 4 7L null) (List.min each) "the best of four"
        }

        test "options out of range are refused" {
            use a = trained 1L

            failsWith [ "straight-through"; "above 0" ] (fun () ->
                StraightThrough.Match(a, a, task, StraightThroughOptions(Steps = 0)) |> ignore)
        }

        test "it is the same where the caller has nothing recorded" {
            use a = randomParameters oneLayer 1L
            use b = randomParameters oneLayer 2L
            use data = toyTask oneLayer 60 3L
            let options = StraightThroughOptions(Steps = 3, BatchSize = 20, CheckEvery = 1, LearningRate = 0.3)
            let search () = List.ofSeq (StraightThrough.Match(a, b, data, options)).Objective
            let expected = search ()
            use _ = torch.no_grad ()
            Expect.equal (search ()) expected "step by step"
        }
    ]
