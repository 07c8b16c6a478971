module LmcDsl.Tests.Core.WeightMatchingTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private searchAs asTheyLie (a: ParameterSet) (b: ParameterSet) (seed: int64) =
    WeightMatching.Match(a, b, WeightMatchingOptions(AsTheyLie = asTheyLie, Seed = seed))

let private l2After (a: ParameterSet) (b: ParameterSet) (set: PermutationSet) =
    use moved = set.Apply b
    Distance.L2(a, moved)

let private testsOf asTheyLie =
    let search = searchAs asTheyLie

    [
        testPropertyWithConfig (config 60) "it never raises L2, and the objective never goes down"
        <| fun (seed: int) ->
            let network = Network(randomArchitecture (Random seed))
            use a = randomParameters network (int64 seed)
            use b = randomParameters network (int64 seed + 1L)
            let found = search a b (int64 seed)
            let before, after = Distance.L2(a, b), l2After a b found.Permutations
            Expect.isLessThanOrEqual after (before + doubleRounding) "L2"

            for earlier, later in Seq.pairwise found.Objective do
                Expect.isGreaterThanOrEqual later (earlier - doubleRounding * (1.0 + abs earlier)) "objective"

            Expect.equal found.Stopped StopReason.NothingChanged "a full pass changed nothing"
            // ||a - b||^2 - ||a - pi b||^2 = 2 (objective after - before): norms do not change under permutation.
            let gain = 2.0 * (Seq.last found.Objective - Seq.head found.Objective)
            Expect.floatClose Accuracy.medium (before * before - after * after) gain "the objective is half the gain"

        testPropertyWithConfig
            (config 30)
            "the answer cannot be bettered by changing one group, checked over all permutations"
        <| fun (seed: int) ->
            let network = Network(Catalogue.Mlp([| 1; 1; 3 |], [| 4; 3 |], 2))
            use a = randomParameters network (int64 seed)
            use b = randomParameters network (int64 seed + 7L)
            let found = (search a b 0L).Permutations
            let best = l2After a b found

            for g in 0 .. network.Groups.Length - 1 do
                for candidate in permutations [ 0 .. network.Groups[g].Units - 1 ] do
                    let changed = found.Permutations |> Seq.mapi (fun k p -> if k = g then Permutation candidate else p)

                    Expect.isGreaterThanOrEqual
                        (l2After a b (PermutationSet(network, changed)))
                        (best - 1e-6)
                        $"group {g}"

        testPropertyWithConfig (config 30) "a planted permutation of one hidden layer is found again exactly"
        <| fun (seed: int64) ->
            let network = Network(Catalogue.Mlp([| 1; 2; 4 |], [| 24 |], 5))
            use a = randomParameters network seed
            let planted = PermutationSet.Random(network, seed)
            use b = planted.Apply a
            let found = search a b 0L
            Expect.isTrue (found.Permutations.Permutations[0].Equals(planted.Inverse().Permutations[0])) "the inverse"
            Expect.equal (l2After a b found.Permutations) 0.0 "distance 0"

        test "the seed decides the order of groups and so the answer; the same seed gives the same" {
            let network = Network(Catalogue.Mlp([| 1; 4; 4 |], [| 30; 30; 30 |], 10))
            use a = randomParameters network 1L
            use b = randomParameters network 2L
            let one, again = search a b 5L, search a b 5L
            Expect.sequenceEqual one.Objective again.Objective "same seed"
            let others = [ for seed in 6L .. 12L -> Seq.last (search a b seed).Objective ]
            Expect.isTrue (others |> List.exists ((<>) (Seq.last one.Objective))) "some other seed ends elsewhere"
        }

        test "a warm start at the answer changes nothing" {
            use a = randomParameters smallMlp 1L
            use b = randomParameters smallMlp 2L
            let found = search a b 0L
            let again = WeightMatching.Match(a, b, WeightMatchingOptions(AsTheyLie = asTheyLie), found.Permutations)
            Expect.equal again.Sweeps 1 "one pass, no change"

            Expect.isTrue
                (Seq.forall2
                    (fun (p: Permutation) q -> p.Equals q)
                    again.Permutations.Permutations
                    found.Permutations.Permutations)
                "same"
        }

        test "of several starts the best counts, and the first is the one without restarts" {
            let network = Network(Catalogue.Mlp([| 1; 4; 4 |], [| 30; 30; 30 |], 10))
            use a = randomParameters network 1L
            use b = randomParameters network 2L

            let best starts =
                let found =
                    WeightMatching.Match(a, b, WeightMatchingOptions(AsTheyLie = asTheyLie, Seed = 5L, Starts = starts))

                use moved = found.Permutations.Apply b
                let told: float = Seq.last found.Objective
                Expect.floatClose Accuracy.high told (InnerProduct.Of(a.Learned(), moved.Learned())) "its own"
                told

            let bests = [ 1; 2; 4; 8 ] |> List.map best
            Expect.equal bests (List.sort bests) "more starts are no worse"
            Expect.isGreaterThan (List.last bests) bests.Head "and here better"
            Expect.equal bests.Head (Seq.last (search a b 5L).Objective) "one start is the plain search"
            failsWith [ "weight matching"; "1 or more starts"; "found 0" ] (fun () -> best 0 |> ignore)
        }

        test "biases and norm weights count, running statistics do not" {
            let network =
                Network(
                    Architecture.FromJson
                        """{"name":"norm","input":[2],"nodes":[
                           {"name":"a","layer":{"kind":"dense","units":3,"bias":true},"inputs":["input"]},
                           {"name":"n","layer":{"kind":"batchNorm"},"inputs":["a"]},
                           {"name":"o","layer":{"kind":"dense","units":2,"bias":true},"inputs":["n"]}]}"""
                )

            use a = randomParameters network 1L
            use zero = new ParameterSet(network, torch.zeros (network.TotalCount))

            for name, decides in [ "a.bias", true; "n.weight", true; "n.bias", true; "n.running_mean", false ] do
                use left = zero.Clone()
                use right = zero.Clone()
                left[name].copy_(torch.tensor [| 1f; 2f; 3f |]) |> ignore
                right[name].copy_(torch.tensor [| 3f; 1f; 2f |]) |> ignore
                let found = (search left right 0L).Permutations.Permutations[0]
                Expect.equal (found.Equals(Permutation [ 1; 2; 0 ])) decides name
        }

        testPropertyWithConfig (config 40) "in place it finds the same, and the model is the aligned one"
        <| fun (seed: int) ->
            let network = Network(randomArchitecture (Random seed))
            use a = randomParameters network (int64 seed)
            use b = randomParameters network (int64 seed + 1L)
            // Some begin outwards, where no start is given, and some end after a pass.
            let outward = seed % 3 = 0

            let start: PermutationSet | null = if outward then null else PermutationSet.Random(network, int64 seed + 2L)

            let options =
                WeightMatchingOptions(
                    AsTheyLie = asTheyLie,
                    Seed = int64 seed,
                    Outward = outward,
                    MaxSweeps = (if seed % 2 = 0 then 1 else 1000)
                )

            let expected = WeightMatching.Match(a, b, options, start)
            use aligned = expected.Permutations.Apply b
            let before = bytes a
            let found = WeightMatching.MatchInPlace(a, b, options, start)
            Expect.sequenceEqual found.Permutations.Permutations expected.Permutations.Permutations "permutations"
            Expect.sequenceEqual found.Objective expected.Objective "objective"
            Expect.equal (bytes b) (bytes aligned) "running statistics too"
            Expect.equal (bytes a) before "the reference is left as it is"

        test "in place one start and two models are needed" {
            use a = randomParameters smallMlp 1L
            use b = randomParameters smallMlp 2L

            failsWith [ "in place"; "1 start"; "found 2" ] (fun () ->
                WeightMatching.MatchInPlace(a, b, WeightMatchingOptions(AsTheyLie = asTheyLie, Starts = 2)) |> ignore)

            failsWith [ "in place"; "two models" ] (fun () -> WeightMatching.MatchInPlace(a, a) |> ignore)
        }

        test "units that are all alike stay where they are" {
            let network = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 20; 17 |], 3))
            use a = new ParameterSet(network, torch.ones network.TotalCount)
            use b = a.Clone()
            let found = search a b 1L
            Expect.equal found.Sweeps 1 "one pass"
            Expect.isTrue (found.Permutations.Permutations |> Seq.forall _.IsIdentity) "no gain, no move"
        }

        test "a gain below a thousandth of the costs is a gain" {
            // Two units that are nearly alike, exchanged: the right order is better by 4 e^2 in 4.
            let network = Network(Catalogue.Mlp([| 1; 1; 2 |], [| 2 |], 2))
            let e = 0.01f
            use a = new ParameterSet(network, torch.zeros network.TotalCount)
            a["fc1.weight"].copy_(torch.tensor([| 1f; e; 1f; -e |]).view(2L, 2L)) |> ignore
            use b = PermutationSet(network, [ Permutation [ 1; 0 ] ]).Apply a
            let found = search a b 0L
            Expect.equal (List.ofSeq found.Permutations.Permutations[0].Sources) [ 1; 0 ] "exchanged back"
            Expect.equal (l2After a b found.Permutations) 0.0 "exactly"
        }

        test "a limit on passes is told as the reason" {
            use a = randomParameters smallMlp 1L
            use b = randomParameters smallMlp 2L
            let found = WeightMatching.Match(a, b, WeightMatchingOptions(AsTheyLie = asTheyLie, MaxSweeps = 1))
            Expect.equal (found.Sweeps, found.Stopped) (1, StopReason.SweepLimit) "one pass"
        }

        test "no passes are refused" {
            use a = randomParameters smallMlp 1L
            use b = randomParameters smallMlp 2L

            for sweeps in [ 0; -3 ] do
                let options = WeightMatchingOptions(AsTheyLie = asTheyLie, MaxSweeps = sweeps)
                let parts = [ "weight matching"; "1 or more"; $"found {sweeps}" ]
                failsWith parts (fun () -> WeightMatching.Match(a, b, options) |> ignore)
                failsWith parts (fun () -> WeightMatching.MatchInPlace(a, b, options) |> ignore)
        }

        test "models of two architectures, and numbers that are not finite, are refused" {
            use a = randomParameters smallMlp 1L
            use other = randomParameters (Network(Catalogue.Mlp([| 1; 2; 3 |], [| 5; 3 |], 3))) 1L
            failsWith [ "one architecture"; "mlp 5-4"; "mlp 5-3" ] (fun () -> search a other 0L |> ignore)
            use broken = a.Clone()
            broken["fc2.bias"].fill_(nanf) |> ignore
            failsWith [ "NaN"; "fc2.bias"; "the model to align" ] (fun () -> search a broken 0L |> ignore)
            failsWith [ "NaN"; "fc2.bias"; "the reference model" ] (fun () -> search broken a 0L |> ignore)
        }
    ]

let tests =
    testList "WeightMatching" [
        testList "of models laid out for it" (testsOf false)
        testList "of models as they lie" (testsOf true)
    ]
