module LmcDsl.Tests.Core.SinkhornStraightThroughTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Core.Training
open LmcDsl.Tests.Fixtures
open TorchSharp

let private task = toyTask smallMlp 300 1L

let private trained network seed =
    let options = TrainingOptions(Epochs = 20, BatchSize = 30, LearningRate = 1e-2)
    Trainer.Run(TrainingState.Start(network, seed, torch.CPU), task, options, seed).Parameters

let private options = SinkhornStraightThroughOptions(Steps = 60, BatchSize = 100, CheckEvery = 5, CheckOn = 300)

let private midpoint (a: ParameterSet) (b: ParameterSet) (set: PermutationSet) =
    use moved = set.Apply b
    use mean = LmcDsl.Core.Merging.Average.Of [| a; moved |]
    (Evaluator.Evaluate(mean, task)).Loss

let tests =
    testList "SinkhornStraightThrough" [
        test "what it returns has the least training loss it saw" {
            use a = trained smallMlp 1L
            use b = trained smallMlp 2L
            let found = SinkhornStraightThrough.Match(a, b, task, options)

            Expect.floatClose
                Accuracy.medium
                (List.min [ for loss in found.Objective -> loss ])
                (midpoint a b found.Permutations)
                "the best"

            Expect.equal found.Objective.Length 13 "looked at before the first step and every 5"
        }

        test "on a tiny network it comes close to the best of all permutations" {
            let network = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 4 |], 3))
            use a = trained network 1L
            use b = trained network 2L
            let all = [ for p in permutations [ 0..3 ] -> midpoint a b (PermutationSet(network, [ Permutation p ])) ]
            let found = SinkhornStraightThrough.Match(a, b, task, options)
            let reached = midpoint a b found.Permutations
            let median = all |> List.sort |> List.item 12
            Expect.isLessThanOrEqual reached (List.min all + 0.25 * (median - List.min all)) "near the least"
        }

        test "from the planted permutation it finds nothing worse, and the start is composed with what is found" {
            use a = trained smallMlp 1L
            let planted = PermutationSet.Random(smallMlp, 3L)
            use b = planted.Apply a
            let still = SinkhornStraightThroughOptions(Steps = 1, BatchSize = 10, CheckOn = 300, Noise = 0.0)
            let found = SinkhornStraightThrough.Match(a, b, task, still, planted.Inverse())

            Expect.floatClose
                Accuracy.medium
                (midpoint a b found.Permutations)
                (Evaluator.Evaluate(a, task).Loss)
                "a itself"
        }

        test "the same seed gives the same permutations" {
            use a = trained smallMlp 1L
            use b = trained smallMlp 2L
            let one = SinkhornStraightThrough.Match(a, b, task, options).Permutations
            let other = SinkhornStraightThrough.Match(a, b, task, options).Permutations

            Expect.isTrue
                (Seq.forall2 (fun (p: Permutation) q -> p.Equals q) one.Permutations other.Permutations)
                "same"
        }

        test "options out of range are refused" {
            use a = randomParameters smallMlp 1L

            failsWith [ "straight-through"; "Tau = 0" ] (fun () ->
                SinkhornStraightThrough.Match(a, a, task, SinkhornStraightThroughOptions(Tau = 0.0)) |> ignore)
        }
    ]
