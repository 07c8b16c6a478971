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

let tests =
    testList "SinkhornMatching" [
        testPropertyWithConfig
            (config 30)
            "the relaxed objective at permutation matrices is the objective, on any architecture"
        <| fun (seed: int) ->
            use _ = torch.NewDisposeScope()
            let network = Network(randomWithoutCopies (Random seed))
            use a = randomParameters network (int64 seed)
            use b = randomParameters network (int64 seed + 1L)
            let set = PermutationSet.Random(network, int64 seed)
            use moved = set.Apply b
            use objective = new RelaxedObjective(a, b)
            let struct (value, _) = objective.At(matrices set)
            let wanted = InnerProduct.Of(a.Learned(), moved.Learned())
            Expect.isLessThan (abs (value - wanted)) (float32Rounding * (1.0 + abs wanted)) "value"

        testPropertyWithConfig (config 30) "its gradient is that of finite differences, on any architecture"
        <| fun (seed: int) ->
            use _ = torch.NewDisposeScope()
            let network = Network(randomWithoutCopies (Random seed))
            use a = randomParameters network (int64 seed)
            use b = randomParameters network (int64 seed + 1L)
            use objective = new RelaxedObjective(a, b)

            let draw label =
                use generator = LmcDsl.Core.Runtime.Seeds.Generator(int64 seed, label)
                [| for g in network.Groups -> torch.randn (int64 g.Units, int64 g.Units, generator = generator) |]

            let at, along = draw "at", draw "along"

            let value (step: float) =
                let struct (value, _) =
                    objective.At(Array.map2 (fun (x: torch.Tensor) d -> x + d * step.ToScalar()) at along)

                value

            let struct (_, gradients) = objective.At at

            let analytic =
                Seq.zip gradients along |> Seq.sumBy (fun (g, d) -> (g * d).sum(torch.ScalarType.Float64).ToDouble())

            let numeric = (value 0.1 - value -0.1) / 0.2
            let scale = abs (value 1.0) + abs (value -1.0) + abs analytic + 1.0
            // Where a group is on both sides of a weight the objective is quadratic along a line, else bilinear: the
            // central difference is exact for both.
            Expect.isLessThan (abs (numeric - analytic)) (1e-3 * scale) "directional derivative"

        testPropertyWithConfig (config 10) "a planted permutation of one hidden layer is found again exactly"
        <| fun (seed: int64) ->
            let network = Network(Catalogue.Mlp([| 1; 2; 4 |], [| 16 |], 5))
            use a = randomParameters network seed
            let planted = PermutationSet.Random(network, seed)
            use b = planted.Apply a
            let found = SinkhornMatching.Match(a, b, SinkhornMatchingOptions(Steps = 100))
            Expect.isTrue (found.Permutations.Permutations[0].Equals(planted.Inverse().Permutations[0])) "the inverse"

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

        test "options out of range are refused" {
            use a = randomParameters smallMlp 1L

            failsWith [ "Sinkhorn matching"; "tau"; "Tau = 0" ] (fun () ->
                SinkhornMatching.Match(a, a, SinkhornMatchingOptions(Tau = 0.0)) |> ignore)

            failsWith [ "Sinkhorn matching"; "1 or more starts"; "0" ] (fun () ->
                SinkhornMatching.Match(a, a, SinkhornMatchingOptions(Starts = 0)) |> ignore)
        }
    ]
