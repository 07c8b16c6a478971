module LmcDsl.Tests.Core.SinkhornStraightThroughTests

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

let private trained network seed =
    let options = TrainingOptions(Epochs = 20, BatchSize = 30, LearningRate = 1e-2)
    Trainer.Run(TrainingState.Start(network, seed, torch.CPU), task, options, seed).Parameters

let private options = SinkhornStraightThroughOptions(Steps = 60, BatchSize = 100, CheckEvery = 5, CheckOn = 300)

let private midpoint (a: ParameterSet) (b: ParameterSet) (set: PermutationSet) =
    use moved = set.Apply b
    use mean = LmcDsl.Core.Merging.Average.Of [| a; moved |]
    (Evaluator.Evaluate(mean, task)).Loss

let private oneLayer = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 12 |], 3))
let private twoLayers = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 10; 8 |], 3))

let private train (network: Network) data seed =
    let options = TrainingOptions(Epochs = 20, BatchSize = 30, LearningRate = 1e-2)
    Trainer.Run(TrainingState.Start(network, seed, torch.CPU), data, options, seed).Parameters

/// The search by its definition on a multilayer perceptron: the loss as a function of the permutation matrices, by Torch's autograd.
let private byDefinition
    (a: ParameterSet)
    (b: ParameterSet)
    (data: DataSplit)
    (options: SinkhornStraightThroughOptions)
    =
    let sinkhorn =
        SinkhornMatchingOptions(
            Tau = options.Tau,
            Iterations = options.Iterations,
            LearningRate = options.LearningRate,
            Noise = options.Noise,
            Seed = options.Seed
        )

    let groups = List.ofSeq a.Network.Groups
    let logits = [ for k, g in List.indexed groups -> new SinkhornLogits(g.Units, 1, sinkhorn, k, torch.CPU) ]
    use check = data.First(min (int64 options.CheckOn) data.Count)

    [
        for step in 0 .. options.Steps do
            use _ = torch.NewDisposeScope()

            for own in logits do
                own.Matrix(null, true) |> ignore

            let hard = SoftPermutation.Nearest(a.Network, [| for own in logits -> own.Matrix(null, false) |])
            use moved = PermutationSet(a.Network, hard).Apply b

            if step % options.CheckEvery = 0 || step = options.Steps then
                use mean = LmcDsl.Core.Merging.Average.Of [| a; moved |]
                Evaluator.Evaluate(mean, check).Loss

            if step < options.Steps then
                use generator = Seeds.Generator(options.Seed, "examples and lambda", int64 step)

                let share =
                    if options.DrawLambda then
                        torch.rand(1L, generator = generator).ToDouble()
                    else
                        0.5

                let size = [| min (int64 options.BatchSize) data.Count |]
                let chosen = torch.randint (data.Count, size, generator = generator)
                let images, labels = data.Images.index_select (0L, chosen), data.Labels.index_select (0L, chosen)
                let mix (name: string) (own: torch.Tensor) = a[name] * share.ToScalar() + own * (1.0 - share).ToScalar()

                // Layer k is P_k W_k P_{k-1}' for b, with the identity at input and output.
                let loss (matrices: torch.Tensor list) =
                    let layer (x: torch.Tensor) k =
                        let weight = b[$"fc{k}.weight"]
                        let weight = if k = 1 then weight else weight.mm (matrices[k - 2].t())
                        let isLast = k > matrices.Length
                        let weight = if isLast then weight else matrices[k - 1].mm weight
                        let bias = if isLast then b[$"fc{k}.bias"] else matrices[k - 1].mv(b[$"fc{k}.bias"])
                        let out = x.mm ((mix $"fc{k}.weight" weight).t()) + mix $"fc{k}.bias" bias
                        if isLast then out else out.relu ()

                    let out = List.fold layer (images.flatten 1L) [ 1 .. matrices.Length + 1 ]
                    torch.nn.functional.cross_entropy (out, labels)

                let matrices =
                    [
                        for p in hard ->
                            let matrix = torch.zeros (int64 p.Count, int64 p.Count)
                            p.Sources |> Seq.iteri (fun i j -> matrix[int64 i, int64 j] <- torch.tensor 1.0f)
                            matrix
                    ]

                for g, own in List.indexed logits do
                    let along (matrix: torch.Tensor) = loss (List.updateAt g matrix matrices)
                    let struct (_, gradient) = Differentiate.Gradient(along, matrices[g])
                    own.Climb(gradient.neg (), null, step + 1) |> ignore
    ]

let tests =
    testList "SinkhornStraightThrough" [
        test "the losses that it sees are those of its definition, step by step, with drawn lambdas too" {
            for network, draw, seed, rate in
                [ oneLayer, false, 0L, 0.07; oneLayer, true, 5L, 0.07; twoLayers, true, 1L, 0.3 ] do
                let data, a, b = decoy network (train network) 3L

                let options =
                    SinkhornStraightThroughOptions(
                        Steps = 40,
                        BatchSize = 50,
                        CheckEvery = 7,
                        CheckOn = 120,
                        DrawLambda = draw,
                        Tau = 0.8,
                        Iterations = 30,
                        LearningRate = rate,
                        Noise = 0.05,
                        Seed = seed
                    )

                let wanted = byDefinition a b data options
                let found = SinkhornStraightThrough.Match(a, b, data, options).Objective |> List.ofSeq
                Expect.isGreaterThan (wanted |> List.distinct |> List.length) 3 "the permutation moves"
                Expect.equal found.Length wanted.Length "looks"

                for k, (x, y) in List.indexed (List.zip found wanted) do
                    Expect.floatClose Accuracy.medium x y $"look {k}, lambda drawn: {draw}, {network.Architecture.Name}"
        }

        test "it ends below weight matching's loss where the weights mislead" {
            let data, a, b = decoy oneLayer (train oneLayer) 4L

            let loss (set: PermutationSet) =
                use moved = set.Apply b
                use mean = LmcDsl.Core.Merging.Average.Of [| a; moved |]
                Evaluator.Evaluate(mean, data).Loss

            // Looked at before the first step and after the last one alone: no step down by chance is kept.
            let options = SinkhornStraightThroughOptions(Steps = 80, BatchSize = 50, CheckEvery = 80, CheckOn = 200)
            let matched = loss (WeightMatching.Match(a, b).Permutations)
            let found = SinkhornStraightThrough.Match(a, b, data, options)
            Expect.isLessThan (loss found.Permutations) (0.8 * matched) "better"
        }

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

        test
            "heads and the units within them are learned: a shuffled vision transformer comes back towards its own loss" {
            let network =
                Network(Catalogue.Vit([| 1; 4; 4 |], 2, 3, TransformerOptions(Layers = 1, Width = 8, Heads = 2)))

            use data = toyTask network 300 1L
            use a = train network data 1L
            use b = PermutationSet.Random(network, 4L).Apply a

            let loss (set: PermutationSet) =
                use moved = set.Apply b
                use mean = LmcDsl.Core.Merging.Average.Of [| a; moved |]
                Evaluator.Evaluate(mean, data).Loss

            let own = Evaluator.Evaluate(a, data).Loss
            let shuffled = loss (PermutationSet.Identity network)
            // Looked at before the first step and after the last one alone: no step down by chance is kept.
            let options = SinkhornStraightThroughOptions(Steps = 150, BatchSize = 100, CheckEvery = 150, CheckOn = 300)
            let found = SinkhornStraightThrough.Match(a, b, data, options)
            Expect.isLessThan (loss found.Permutations) (own + 0.6 * (shuffled - own)) $"from {shuffled} towards {own}"
        }

        test "it lowers the loss where queries share heads of keys" {
            let parts = TransformerOptions(Layers = 1, Width = 16, Heads = 4, KeyHeads = 2)
            let network = Network(Catalogue.Vit([| 1; 8; 8 |], 4, 3, parts))
            let data = toyTask network 300 1L
            use a = train network data 1L
            use b = PermutationSet.Random(network, 2L).Apply a
            let found = SinkhornStraightThrough.Match(a, b, data, options)
            let first, least = Seq.head found.Objective, Seq.min found.Objective
            Expect.isLessThan least (0.8 * first) $"{List.ofSeq found.Objective}"
            use moved = found.Permutations.Apply b
            let own = (Evaluator.Evaluate(b, data)).Loss
            Expect.floatClose Accuracy.medium (Evaluator.Evaluate(moved, data)).Loss own "the same function"
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

        test "passes of the Sinkhorn operator are as many as are asked for" {
            let a, b = trained smallMlp 1L, trained smallMlp 2L

            let seen iterations =
                let few =
                    SinkhornStraightThroughOptions(
                        Steps = 12,
                        BatchSize = 100,
                        CheckEvery = 1,
                        CheckOn = 300,
                        Iterations = iterations,
                        LearningRate = 1.0
                    )

                (SinkhornStraightThrough.Match(a, b, task, few)).Objective |> List.ofSeq

            Expect.notEqual (seen 1) (seen 20) "one is not twenty"
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

        test "several starts are as many searches with seeds of their own, of which the best counts" {
            use a = randomParameters smallMlp 1L
            use b = randomParameters smallMlp 2L

            let least starts seed start =
                let options =
                    SinkhornStraightThroughOptions(
                        Steps = 3,
                        BatchSize = 20,
                        CheckEvery = 1,
                        Starts = starts,
                        Seed = seed
                    )

                SinkhornStraightThrough.Match(a, b, task, options, start).Objective |> Seq.min

            let seeds = [ for k in 1L .. 3L -> Seeds.Derive(7L, "restart", k) ]
            let each = least 1 7L null :: [ for s in seeds -> least 1 s (PermutationSet.Random(smallMlp, s)) ]
            Expect.isLessThan (List.min each) (List.max each - 0.01) "they end elsewhere"
            Expect.floatClose Accuracy.high (least 4 7L null) (List.min each) "the best of four"
        }

        test "options out of range are refused" {
            use a = randomParameters smallMlp 1L

            failsWith [ "straight-through"; "Tau = 0" ] (fun () ->
                SinkhornStraightThrough.Match(a, a, task, SinkhornStraightThroughOptions(Tau = 0.0)) |> ignore)
        }
    ]
