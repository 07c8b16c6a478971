module LmcDsl.Tests.Core.JointMatchingTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures

let private drawn (network: Network) (seed: int) count =
    [| for k in 0 .. count - 1 -> randomParameters network (int64 seed + int64 k) |]

let private isIdentity (set: PermutationSet) = set.Permutations |> Seq.forall _.IsIdentity

/// The sum over pairs, pair by pair.
let private pairs (models: ParameterSet[]) (sets: PermutationSet seq) =
    let moved = Seq.map2 (fun (p: PermutationSet) (m: ParameterSet) -> p.Apply m) sets models |> Array.ofSeq

    Seq.sum (
        seq {
            for i in 0 .. moved.Length - 1 do
                for j in 0 .. i - 1 -> InnerProduct.Of(moved[i].Learned(), moved[j].Learned())
        }
    )

let private searches: (string * (ParameterSet[] -> JointResult)) list =
    [
        "MergeMany", fun models -> MergeManyMatching.Match models
        "UniverseMatching", fun models -> UniverseMatching.Match models
        "UniverseMatching, not polished",
        fun models -> UniverseMatching.Match(models, UniverseMatchingOptions(Polish = false))
    ]

let tests =
    testList "JointMatching" [
        for name, search in searches do
            testPropertyWithConfig
                (config 15)
                $"{name}: maps compose to the identity round any cycle, on any architecture"
            <| fun (seed: int) ->
                let network = Network(randomRelaxed (Random seed))
                let models = drawn network seed 4
                let found = search models
                Expect.isTrue (isIdentity found.Permutations[0]) "the first stays"
                let cycle = [ 0; 2; 1; 3; 0 ]

                let round =
                    List.pairwise cycle
                    |> List.fold
                        (fun (so: PermutationSet) (from, into) -> found.Between(from, into).After so)
                        (PermutationSet.Identity network)

                Expect.isTrue (isIdentity round) "round a cycle of four"
                let wanted = pairs models found.Permutations
                let told = Seq.last found.Objective
                Expect.isLessThan (abs (told - wanted)) (float32Rounding * (1.0 + abs wanted)) "the objective told"

                Expect.isGreaterThanOrEqual
                    told
                    (Seq.head found.Objective - float32Rounding * (1.0 + abs told))
                    "no loss"

        testPropertyWithConfig
            (config 15)
            "MergeMany: the objective never goes down, and no model can be matched better"
        <| fun (seed: int) ->
            let network = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 7; 6 |], 3))
            let models = drawn network seed 3
            let found = MergeManyMatching.Match models

            for earlier, later in Seq.pairwise found.Objective do
                Expect.isGreaterThanOrEqual later (earlier - float32Rounding * (1.0 + abs earlier)) "objective"

            Expect.equal found.Stopped StopReason.NothingChanged "a full pass changed nothing"

        testPropertyWithConfig (config 15) "of two models, MergeMany ends where no single group can do better"
        <| fun (seed: int) ->
            let network = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 7; 6 |], 3))
            let models = drawn network seed 2
            let found = MergeManyMatching.Match models
            let again = WeightMatching.Match(models[0], models[1], WeightMatchingOptions(), found.Permutations[1])
            Expect.equal again.Sweeps 1 "a local optimum of weight matching"

        testPropertyWithConfig
            (config 4)
            "of four models, each ends where no single group can do better against the mean of the others"
        <| fun (seed: int) ->
            let network = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 9; 8; 7 |], 3))
            let models = drawn network seed 4

            let early models = UniverseMatching.Match(models, UniverseMatchingOptions(MaxSteps = 1))

            for name, search in ("UniverseMatching, ended early", early) :: List.take 2 searches do
                let found = (search models).Permutations
                let moved = [| for p, m in Seq.zip found models -> p.Apply m |]

                for p in 0..3 do
                    let others = moved |> Array.indexed |> Array.filter (fun (k, _) -> k <> p) |> Array.map snd
                    use mean = LmcDsl.Core.Merging.Average.Of others
                    let again = WeightMatching.Match(mean, models[p], WeightMatchingOptions(), found[p])
                    Expect.equal again.Sweeps 1 $"{name}, model {p}"

        testPropertyWithConfig (config 10) "models that are permutations of one are brought together exactly"
        <| fun (seed: int) ->
            let network = Network(Catalogue.Mlp([| 1; 2; 4 |], [| 16 |], 5))
            use one = randomParameters network (int64 seed)
            let models = [| for k in 0L .. 2L -> PermutationSet.Random(network, int64 seed + k).Apply one |]

            for name, search in searches do
                let found = search models
                use moved = found.Permutations[2].Apply models[2]
                Expect.equal (Distance.L2(moved, models[0])) 0.0 name

        test "so are shuffled transformers, their heads and the units within them" {
            let options = TransformerOptions(Layers = 1, Width = 12, Heads = 3, Context = 4)
            let network = Network(Catalogue.Gpt(7, options))
            use one = randomParameters network 1L
            let models = [| for seed in 2L .. 4L -> PermutationSet.Random(network, seed).Apply one |]

            for name, search in searches do
                let found = search models
                use moved = found.Permutations[2].Apply models[2]
                Expect.equal (Distance.L2(moved, models[0])) 0.0 name
        }

        testPropertyWithConfig (config 10) "Frank-Wolfe's relaxed objective never goes down"
        <| fun (seed: int) ->
            let network = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 7; 6 |], 3))
            let found = UniverseMatching.Match(drawn network seed 3, UniverseMatchingOptions(Polish = false))
            let relaxed = found.Objective |> Seq.take (found.Objective.Length - 1)

            for earlier, later in Seq.pairwise relaxed do
                Expect.isGreaterThanOrEqual later (earlier - 1e-3 * (1.0 + abs earlier)) "objective"

        test "several models: limits, tolerance, seed and polish are those that were asked for" {
            let network = Network(Catalogue.Mlp([| 1; 4; 4 |], [| 20; 20; 20 |], 5))
            let models = drawn network 3 5
            let many seed sweeps = MergeManyMatching.Match(models, MergeManyOptions(Seed = seed, MaxSweeps = sweeps))
            let one = many 0L 1
            Expect.isGreaterThan (many 0L 100).Sweeps 1 "it takes more than one pass"
            Expect.equal (one.Sweeps, one.Stopped, one.Objective.Length) (1, StopReason.SweepLimit, 2) "one pass"
            let objectives = [ for seed in 0L .. 5L -> List.ofSeq (many seed 1).Objective ]
            Expect.isGreaterThan (List.distinct objectives).Length 1 "orders by the seed"
            Expect.equal (List.ofSeq (many 4L 1).Objective) objectives[4] "the same by the same"

            let universe (options: UniverseMatchingOptions) = UniverseMatching.Match(models, options)
            let rough seed = universe (UniverseMatchingOptions(Polish = false, Seed = seed))
            Expect.isGreaterThan (rough 0L).Sweeps 2 "it takes more than two steps"
            let two = universe (UniverseMatchingOptions(MaxSteps = 2, Polish = false))
            // The start, two steps, and the permutations nearest to where they end.
            Expect.equal (two.Sweeps, two.Stopped, two.Objective.Length) (2, StopReason.SweepLimit, 4) "two steps"
            let lax = universe (UniverseMatchingOptions(Tolerance = 1e9, Polish = false))
            Expect.equal (lax.Sweeps, lax.Stopped) (1, StopReason.NothingChanged) "any gap is small enough"

            for seed in 0L .. 4L do
                let rough, polished = rough seed, universe (UniverseMatchingOptions(Seed = seed))
                let polish = MergeManyMatching.Match(models, MergeManyOptions(Seed = seed), rough.Permutations)
                let expected = Seq.append rough.Objective (Seq.skip 1 polish.Objective) |> List.ofSeq
                Expect.equal polished.Objective.Length expected.Length $"seed {seed}: as many passes"

                for x, y in Seq.zip polished.Objective expected do
                    Expect.floatClose Accuracy.medium x y $"seed {seed}: by MergeMany, from the universe's own"

            // From an early end polishing has far to go, and the order that it goes in tells.
            let ends =
                [
                    for seed in 0L .. 5L ->
                        List.ofSeq (universe (UniverseMatchingOptions(MaxSteps = 1, Seed = seed))).Objective
                ]

            Expect.isGreaterThan (List.distinct ends).Length 1 "polished by the seed"
        }

        test "one model, models of two architectures and numbers that are not finite are refused" {
            use a = randomParameters smallMlp 1L
            use other = randomParameters (Network(Catalogue.Mlp([| 1; 2; 3 |], [| 5; 3 |], 3))) 1L
            use broken = a.Clone()
            broken["fc2.bias"].fill_(nanf) |> ignore

            for _, search in searches do
                failsWith [ "2 or more models"; "found 1" ] (fun () -> search [| a |] |> ignore)
                failsWith [ "one architecture" ] (fun () -> search [| a; other |] |> ignore)
                failsWith [ "model 1"; "NaN"; "fc2.bias" ] (fun () -> search [| a; broken |] |> ignore)
        }

        test "two orders within the same copies of one parameter are refused by a universe, by its name" {
            let options = TransformerOptions(Layers = 1, Width = 16, Heads = 4, KeyHeads = 2, Context = 4)
            let network = Network(Catalogue.Llama(7, options))
            use a = randomParameters network 1L
            use b = randomParameters network 2L
            failsWith [ "'block1.output.weight'"; "MergeMany" ] (fun () -> UniverseMatching.Match [| a; b |] |> ignore)
        }

        test "options out of range are refused" {
            let models = drawn smallMlp 1 2

            for sweeps in [ 0; -3 ] do
                failsWith [ "merge many"; "1 or more"; $"found {sweeps}" ] (fun () ->
                    MergeManyMatching.Match(models, MergeManyOptions(MaxSweeps = sweeps)) |> ignore)

            for options in
                [
                    UniverseMatchingOptions(MaxSteps = 0)
                    UniverseMatchingOptions(MaxSteps = -3)
                    UniverseMatchingOptions(Tolerance = nan)
                    UniverseMatchingOptions(Tolerance = -1.0)
                ] do
                failsWith [ "universe matching"; "1 or more steps"; "tolerance of 0 or more" ] (fun () ->
                    UniverseMatching.Match(models, options) |> ignore)
        }
    ]
