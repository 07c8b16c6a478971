module LmcDsl.Tests.Core.SinkhornMatchingTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private matrices (set: PermutationSet) =
    [|
        for p in set.Permutations ->
            let units = int64 p.Count
            let rows = torch.zeros (units, units)
            p.Sources |> Seq.iteri (fun i j -> rows[int64 i, int64 j] <- torch.tensor 1.0f)
            rows
    |]

/// Matrices for each pair of copies, of groups with an order in each: drawn at random.
let private drawPairs (network: Network) (generator: torch.Generator) =
    [|
        for group in network.Groups ->
            let copies, each = int64 group.Copies, int64 (group.Units / group.Copies)

            if group.Parent < 0 then
                null
            else
                torch.randn (copies * copies, each, each, generator = generator)
    |]

/// The same, with the order of permutations where one copy takes another's place.
let private pairsAt (set: PermutationSet) (pairs: torch.Tensor[]) =
    for group, pairs, permutation in Seq.zip3 set.Network.Groups pairs set.Permutations do
        if group.Parent >= 0 then
            let copies, each = group.Copies, group.Units / group.Copies

            for copy in 0 .. copies - 1 do
                let sources = [ for x in 0 .. each - 1 -> permutation.Sources[copy * each + x] ]
                let block = pairs[int64 (copy * copies + sources[0] / each)]
                block.zero_ () |> ignore
                sources |> List.iteri (fun x source -> block[int64 x, int64 (source % each)] <- torch.tensor 1.0f)

    pairs

let tests =
    testList "SinkhornMatching" [
        testPropertyWithConfig
            (config 60)
            "the relaxed objective at permutation matrices is the objective, on any architecture"
        <| fun (seed: int) ->
            use _ = torch.NewDisposeScope()
            let network = Network(randomOfAnyKind (Random seed))
            use a = randomParameters network (int64 seed)
            use b = randomParameters network (int64 seed + 1L)
            let set = PermutationSet.Random(network, int64 seed)
            use moved = set.Apply b
            use objective = new RelaxedObjective(a, b, MatchingScale(a, b))
            use generator = LmcDsl.Core.Runtime.Seeds.Generator(int64 seed, "pairs")
            let struct (value, _, _) = objective.At(matrices set, pairsAt set (drawPairs network generator))
            let wanted = InnerProduct.Of(a.Learned(), moved.Learned())
            Expect.isLessThan (abs (value - wanted)) (float32Rounding * (1.0 + abs wanted)) "value"

        testPropertyWithConfig (config 60) "its gradient is that of finite differences, on any architecture"
        <| fun (seed: int) ->
            use _ = torch.NewDisposeScope()
            let network = Network(randomOfAnyKind (Random seed))
            use a = randomParameters network (int64 seed)
            use b = randomParameters network (int64 seed + 1L)
            use objective = new RelaxedObjective(a, b, MatchingScale(a, b))

            let draw label =
                use generator = LmcDsl.Core.Runtime.Seeds.Generator(int64 seed, label)

                [| for g in network.Groups -> torch.randn (int64 g.Units, int64 g.Units, generator = generator) |],
                drawPairs network generator

            let (at, pairs), (along, alongPairs) = draw "at", draw "along"

            let value (step: float) =
                let there = Array.map2 (fun (x: torch.Tensor) d -> if isNull x then null else x + d * step.ToScalar())

                let struct (value, _, _) = objective.At(there at along, there pairs alongPairs)
                value

            let struct (_, gradients, ofPairs) = objective.At(at, pairs)

            let analytic =
                Seq.zip (Seq.append gradients ofPairs) (Seq.append along alongPairs)
                |> Seq.filter (fun (g, _) -> not (isNull g))
                |> Seq.sumBy (fun (g, d) -> (g * d).sum(torch.ScalarType.Float64).ToDouble())

            // Exact for polynomials of degree four: of a parameter with three matrices the objective is one of degree three.
            let slope step = (value step - value -step) / (2.0 * step)
            let numeric = (4.0 * slope 0.1 - slope 0.2) / 3.0
            let scale = abs (value 1.0) + abs (value -1.0) + abs analytic + 1.0
            Expect.isLessThan (abs (numeric - analytic)) (1e-3 * scale) "directional derivative"

        test "polishing is weight matching from what was found, with the same seed" {
            let network = Network(Catalogue.Mlp([| 1; 4; 4 |], [| 20; 20; 20 |], 5))
            use a = randomParameters network 1L
            use b = randomParameters network 2L

            let polished seed =
                let few polish = SinkhornMatchingOptions(Steps = 3, Noise = 0.0, Seed = seed, Polish = polish)
                let rough = SinkhornMatching.Match(a, b, few false)
                let found = SinkhornMatching.Match(a, b, few true)
                let matched = WeightMatching.Match(a, b, WeightMatchingOptions(Seed = seed), rough.Permutations)
                Expect.sequenceEqual found.Permutations.Permutations matched.Permutations.Permutations $"seed {seed}"

                Expect.sequenceEqual
                    found.Objective
                    (Seq.append rough.Objective (Seq.skip 1 matched.Objective))
                    $"seed {seed}: one after the other"

                List.ofSeq found.Objective

            Expect.isGreaterThan
                ([ for seed in 0L .. 7L -> polished seed ] |> List.distinct).Length
                1
                "the seed matters"
        }

        test "logits begin at the identity with noise from the seed, and take the steps of Torch's own AdamW" {
            let units, group = 6, 2

            let options =
                SinkhornMatchingOptions(
                    Tau = 0.7,
                    Iterations = 25,
                    LearningRate = 0.05,
                    WeightDecay = 0.3,
                    Noise = 0.2,
                    Seed = 11L
                )

            use ours = new SinkhornLogits(units, 1, options, group, torch.CPU)
            use sinkhorn = new LmcDsl.Core.Solvers.Sinkhorn(units, options.Tau, options.Iterations, torch.CPU)
            use noise = LmcDsl.Core.Runtime.Seeds.Generator(11L, "noise", int64 group)
            let size = [| int64 units; int64 units |]
            let start = torch.eye (int64 units) + torch.randn (size, generator = noise) * 0.2.ToScalar()
            let theirs = new Modules.Parameter(start)
            let optimiser = torch.optim.AdamW([| theirs |], 0.05, weight_decay = 0.3)
            use draws = LmcDsl.Core.Runtime.Seeds.Generator(12L, "gradients")

            for step in 1..6 do
                use _ = torch.NewDisposeScope()
                let found, wanted = ours.Matrix(null, true), sinkhorn.Scale(theirs.detach ())
                Expect.isLessThan (difference found wanted) 1e-4 $"before step {step}"
                let gradient = torch.randn (size, generator = draws)
                Expect.isNull (ours.Climb(gradient, null, step)) "there are no copies"
                // Up the objective is down its negative; Adam sees gradients of the matrix times the number of units.
                let down = sinkhorn.Gradient(wanted, gradient) * (-float units).ToScalar()
                optimiser.zero_grad ()
                (theirs * down).sum().backward()
                optimiser.step () |> ignore
        }

        testPropertyWithConfig
            (config 20)
            "matrices are doubly stochastic, units within copies follow the copies', and a slope towards any element leads there"
        <| fun (seed: int) ->
            use _ = torch.NewDisposeScope()
            let network = Network(randomRelaxed (Random seed))
            use relaxed = new SinkhornMatrices(network, SinkhornMatchingOptions(Seed = int64 seed), torch.CPU)
            let wanted = PermutationSet.Random(network, int64 seed)

            for step in 1..60 do
                use _ = torch.NewDisposeScope()
                let found = relaxed.Matrices()

                if step = 30 then
                    for k, group in Seq.indexed network.Groups do
                        for dimension in [ 0L; 1L ] do
                            let sums = found[k].sum(dim = dimension)
                            Expect.isLessThan (difference sums (torch.ones_like sums)) 1e-2 $"{group.Name}: sums"

                        if group.Parent >= 0 then
                            let each = int64 (group.Units / group.Copies)
                            let blocks = found[k].reshape(int64 group.Copies, each, int64 group.Copies, each)
                            let shares = blocks.sum (dim = [| 1L; 3L |])
                            let outer = found[group.Parent] * (float each).ToScalar()
                            Expect.isLessThan (difference shares outer) (1e-2 * float each) $"{group.Name}: copies"

                relaxed.Climb(matrices wanted, [| for _ in network.Groups -> null |], (fun _ -> 1.0), step)

            let found = relaxed.Round()

            for k, group in Seq.indexed network.Groups do
                Expect.isTrue (found.Permutations[k].Equals wanted.Permutations[k]) group.Name

        testPropertyWithConfig (config 10) "what climbs is the slope of the logits, copies' by what lies within them"
        <| fun (seed: int) ->
            use _ = torch.NewDisposeScope()
            let copies, each = 3L, 4L
            let size = [| copies * each; copies * each |]
            use draws = LmcDsl.Core.Runtime.Seeds.Generator(int64 seed, "matrices")
            let outer = torch.rand (copies, copies, generator = draws)
            let gradient = torch.randn (size, generator = draws)

            use own = new SinkhornLogits(int (copies * each), int copies, SinkhornMatchingOptions(), 0, torch.CPU)
            let matrix = own.Matrix(outer, true)
            // Linear in the copies' matrix: the slope along any other is the value there.
            let other = torch.rand (copies, copies, generator = draws)
            let value (matrix: torch.Tensor) = (matrix * gradient).sum().ToDouble()
            let slope = own.Climb(gradient, null, 1)
            Expect.isLessThan (abs ((slope * outer).sum().ToDouble() - value matrix)) 1e-3 "at the matrix itself"
            use again = new SinkhornLogits(int (copies * each), int copies, SinkhornMatchingOptions(), 0, torch.CPU)

            Expect.isLessThan
                (abs ((slope * other).sum().ToDouble() - value (again.Matrix(other, true))))
                1e-3
                "elsewhere"

        testPropertyWithConfig (config 10) "a planted permutation of one hidden layer is found again exactly"
        <| fun (seed: int64) ->
            let network = Network(Catalogue.Mlp([| 1; 2; 4 |], [| 16 |], 5))
            use a = randomParameters network seed
            let planted = PermutationSet.Random(network, seed)
            use b = planted.Apply a
            let found = SinkhornMatching.Match(a, b, SinkhornMatchingOptions(Steps = 100))
            Expect.isTrue (found.Permutations.Permutations[0].Equals(planted.Inverse().Permutations[0])) "the inverse"

        test "heads and the units within them are found again, heads of queries within those of keys too" {
            let heads keyHeads = TransformerOptions(Layers = 1, Width = 12, Heads = 6, KeyHeads = keyHeads, Context = 4)

            for network in
                [
                    Network(Catalogue.Gpt(7, heads 6))
                    Network(Catalogue.Gpt(7, heads 3))
                    Network(Catalogue.Llama(7, heads 2))
                ] do
                use a = randomParameters network 1L
                use b = PermutationSet.Random(network, 2L).Apply a
                let found = SinkhornMatching.Match(a, b, SinkhornMatchingOptions(Steps = 150))
                use back = found.Permutations.Apply b
                Expect.equal (Distance.L2(a, back)) 0.0 network.Architecture.Name
        }

        testPropertyWithConfig
            (config 30)
            "at permutations that were taken the pairs of copies are theirs, on any architecture"
        <| fun (seed: int) ->
            use _ = torch.NewDisposeScope()
            let network = Network(randomOfAnyKind (Random seed))
            use a = randomParameters network (int64 seed)
            use b = randomParameters network (int64 seed + 1L)
            use relaxed = new SinkhornMatrices(network, SinkhornMatchingOptions(Noise = 1.0), torch.CPU)
            relaxed.Matrices() |> ignore
            let set = PermutationSet.Random(network, int64 seed)
            use moved = set.Apply b
            use objective = new RelaxedObjective(a, b, MatchingScale(a, b))
            let struct (value, _, _) = objective.At(matrices set, relaxed.PairsAt set)
            let wanted = InnerProduct.Of(a.Learned(), moved.Learned())
            Expect.isLessThan (abs (value - wanted)) (float32Rounding * (1.0 + abs wanted)) "value"

        test "the slope of pairs of copies climbs by itself, and leaves the copies alone" {
            use _ = torch.NewDisposeScope()
            use draws = LmcDsl.Core.Runtime.Seeds.Generator(1L, "pairs")
            let outer = torch.rand (2L, 2L, generator = draws)
            let ofPairs = torch.randn (4L, 3L, 3L, generator = draws)
            use own = new SinkhornLogits(6, 2, SinkhornMatchingOptions(), 0, torch.CPU)
            own.Matrix(outer, true) |> ignore
            let value () = (own.Pairs * ofPairs).sum().ToDouble()
            let before = value ()
            let slope = own.Climb(torch.zeros (6L, 6L), ofPairs, 1)
            Expect.equal (slope.abs().sum().ToDouble()) 0.0 "copies"
            own.Matrix(outer, true) |> ignore
            Expect.isGreaterThan (value ()) before "up"
        }

        testPropertyWithConfig (config 10) "polished, no single group can do better, and it is no worse than rounded"
        <| fun (seed: int64) ->
            let network = Network(Catalogue.Mlp([| 1; 2; 4 |], [| 12; 10 |], 5))
            use a = randomParameters network seed
            use b = randomParameters network (seed + 1L)
            let plain = SinkhornMatching.Match(a, b, SinkhornMatchingOptions(Steps = 30))
            let polished = SinkhornMatching.Match(a, b, SinkhornMatchingOptions(Steps = 30, Polish = true))
            let last (found: SearchResult) = Seq.last found.Objective
            Expect.isGreaterThanOrEqual (last polished) (last plain - doubleRounding) "no worse"
            let again = WeightMatching.Match(a, b, WeightMatchingOptions(), polished.Permutations)
            Expect.equal again.Sweeps 1 "a local optimum"
            use moved = polished.Permutations.Apply b
            let own = InnerProduct.Of(a.Learned(), moved.Learned())
            Expect.floatClose Accuracy.high (last polished) own "the objective told is that of the answer"

        test "the same seed gives the same answer, a warm start is where it begins" {
            use a = randomParameters smallMlp 1L
            use b = randomParameters smallMlp 2L
            let options = SinkhornMatchingOptions(Steps = 20, Seed = 3L)
            let one, again = SinkhornMatching.Match(a, b, options), SinkhornMatching.Match(a, b, options)
            Expect.sequenceEqual one.Objective again.Objective "same seed"
            let start = PermutationSet.Random(smallMlp, 9L)
            use moved = start.Apply b
            let warm = SinkhornMatching.Match(a, b, options, start)
            let wanted = InnerProduct.Of(a.Learned(), moved.Learned())
            Expect.floatClose Accuracy.high warm.Objective[0] wanted "from there"
        }

        test "several starts are as many searches with seeds of their own, of which the best counts" {
            let network = Network(Catalogue.Mlp([| 1; 2; 4 |], [| 12; 10 |], 5))
            use a = randomParameters network 1L
            use b = randomParameters network 2L

            let last starts seed start =
                SinkhornMatching
                    .Match(a, b, SinkhornMatchingOptions(Steps = 15, Starts = starts, Seed = seed), start)
                    .Objective
                |> Seq.last

            let seeds = [ for k in 1L .. 3L -> LmcDsl.Core.Runtime.Seeds.Derive(7L, "restart", k) ]
            let each = last 1 7L null :: [ for s in seeds -> last 1 s (PermutationSet.Random(network, s)) ]
            Expect.isLessThan (List.min each) (List.max each - 0.01) "they end elsewhere"
            Expect.floatClose Accuracy.high (last 4 7L null) (List.max each) "the best of four"
        }

        test "a warm start and what is found after it are composed" {
            use a = randomParameters smallMlp 1L
            use b = randomParameters smallMlp 2L

            for polish in [ false; true ] do
                let options = SinkhornMatchingOptions(Steps = 20, Polish = polish)
                let start = PermutationSet.Random(smallMlp, 9L)
                let found = SinkhornMatching.Match(a, b, options, start)
                use started = start.Apply b
                let wanted = SinkhornMatching.Match(a, started, options).Permutations.After start
                Expect.sequenceEqual found.Permutations.Permutations wanted.Permutations "as from the model there"
                use moved = found.Permutations.Apply b
                let own = InnerProduct.Of(a.Learned(), moved.Learned())
                Expect.floatClose Accuracy.high (found.Objective |> Seq.last) own "the objective is that of the answer"
        }

        test "options out of range are refused" {
            use a = randomParameters smallMlp 1L

            failsWith [ "Sinkhorn matching"; "tau"; "Tau = 0" ] (fun () ->
                SinkhornMatching.Match(a, a, SinkhornMatchingOptions(Tau = 0.0)) |> ignore)

            failsWith [ "Sinkhorn matching"; "1 or more starts"; "0" ] (fun () ->
                SinkhornMatching.Match(a, a, SinkhornMatchingOptions(Starts = 0)) |> ignore)
        }
    ]
