module LmcDsl.Tests.Core.StraightThroughTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
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

let tests =
    testList "StraightThrough" [
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

        test "options out of range are refused" {
            use a = trained 1L

            failsWith [ "straight-through"; "above 0" ] (fun () ->
                StraightThrough.Match(a, a, task, StraightThroughOptions(Steps = 0)) |> ignore)
        }
    ]
