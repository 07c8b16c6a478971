module LmcDsl.Tests.Core.AnnealedMatchingTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures
open TorchSharp

let private objective (a: ParameterSet) (b: ParameterSet) (set: PermutationSet) =
    use moved = set.Apply b
    InnerProduct.Of(a.Learned(), moved.Learned())

let private search (a: ParameterSet) (b: ParameterSet) (seed: int64) =
    AnnealedMatching.Match(a, b, AnnealedMatchingOptions(Seed = seed, Reheats = 1))

let private pair (network: Network) (seed: int) =
    randomParameters network (int64 seed), randomParameters network (int64 seed + 1L)

let private wide = Network(Catalogue.Mlp([| 1; 4; 4 |], [| 30; 30; 30 |], 10))

let tests =
    testList "AnnealedMatching" [
        testPropertyWithConfig
            (config 60)
            "it is never worse than weight matching from the same start, its objective never goes down, on any architecture"
        <| fun (seed: int) ->
            let network = Network(randomArchitecture (Random seed))
            let a, b = pair network seed
            let start = PermutationSet.Random(network, int64 seed + 2L)
            let options = AnnealedMatchingOptions(Seed = int64 seed, Reheats = 2)
            let found = AnnealedMatching.Match(a, b, options, start)
            let matched = WeightMatching.Match(a, b, WeightMatchingOptions(Seed = int64 seed), start)
            let told: float = Seq.last found.Objective
            let rounding = doubleRounding * (1.0 + abs told)
            Expect.isGreaterThanOrEqual told (Seq.last matched.Objective - rounding) "weight matching"
            Expect.isLessThan (abs (found.Objective[0] - objective a b start)) rounding "it begins at the start"
            Expect.isLessThan (abs (told - objective a b found.Permutations)) rounding "the objective told is its own"

            for earlier, later in Seq.pairwise found.Objective do
                Expect.isGreaterThanOrEqual later earlier "never down"

            Expect.equal found.Stopped StopReason.NothingChanged "a full pass changed nothing"

        testPropertyWithConfig (config 30) "no single group can do better, checked over all permutations"
        <| fun (seed: int) ->
            let network = Network(Catalogue.Mlp([| 1; 1; 3 |], [| 4; 3 |], 2))
            let a, b = pair network seed
            let found = (search a b 0L).Permutations
            let best = objective a b found

            for g in 0 .. network.Groups.Length - 1 do
                for candidate in permutations [ 0 .. network.Groups[g].Units - 1 ] do
                    let changed = found.Permutations |> Seq.mapi (fun k p -> if k = g then Permutation candidate else p)

                    Expect.isLessThanOrEqual
                        (objective a b (PermutationSet(network, changed)))
                        (best + 1e-6)
                        $"group {g}"

        test "where it ends a descent of weight matching finds nothing to do, on wide layers too" {
            for seed in 1..12 do
                let a, b = pair wide (50 * seed)
                let found = search a b (int64 seed)
                let on = WeightMatching.Match(a, b, WeightMatchingOptions(Seed = int64 seed), found.Permutations)
                let told, after: float * float = Seq.last found.Objective, Seq.last on.Objective
                Expect.isLessThanOrEqual after (told + doubleRounding * (1.0 + abs told)) $"seed {seed}"
        }

        test "on tiny networks its starts reach the best of all permutations" {
            let network = Network(Catalogue.Mlp([| 1; 1; 3 |], [| 4; 4 |], 2))
            let orders = permutations [ 0..3 ] |> List.map Permutation
            let one = ResizeArray<bool>()

            for seed in 1 .. cases 25 do
                let a, b = pair network (100 * seed)

                let best =
                    List.max [
                        for p in orders do
                            for q in orders -> objective a b (PermutationSet(network, [ p; q ]))
                    ]

                let reached starts =
                    let found = AnnealedMatching.Match(a, b, AnnealedMatchingOptions(Starts = starts))
                    Seq.last found.Objective > best - 1e-6

                Expect.isTrue (reached 10) $"ten starts, seed {seed}"
                one.Add(reached 1)

            let share = float (Seq.length (Seq.filter id one)) / float one.Count
            Expect.isGreaterThan share 0.7 "one start alone, mostly"
        }

        test "planted permutations of several layers, and of residual stages, are found again exactly" {
            for network in [ wide; Network(Catalogue.ResNet20([| 3; 8; 8 |], 0.25, 10, Norm.Layer)) ] do
                for seed in 1L .. 3L do
                    use a = randomParameters network seed
                    let planted = PermutationSet.Random(network, seed)
                    use b = planted.Apply a
                    use back = (search a b 0L).Permutations.Apply b
                    Expect.equal (Distance.L2(a, back)) 0.0 network.Architecture.Name
        }

        test "it ends nearer than ten starts of weight matching, on drawn networks" {
            let gains =
                [
                    for seed in 1 .. cases 5 do
                        let a, b = pair wide (10 * seed)
                        let ten = WeightMatching.Match(a, b, WeightMatchingOptions(Starts = 10))
                        let value (found: SearchResult) : float = Seq.last found.Objective
                        value (search a b 0L) - value ten
                ]

            Expect.isGreaterThan (List.average gains) 0.0 $"{gains}"
        }

        test "levels of falling temperature bring the hardened answer nearer than none" {
            let gains =
                [
                    for seed in 1 .. cases 8 do
                        let a, b = pair wide (10 * seed)
                        use packed = new PackedPair(a, b)
                        let order = [ 0 .. packed.Units.Length - 1 ]

                        let hardened temperatures : float =
                            use field = new MeanField(packed)

                            for temperature: float in temperatures do
                                field.Level(temperature, 20, order)

                            let struct (found, _) = field.Harden order
                            packed.Objective found

                        hardened [ 0.3; 0.1 ] - hardened []
                ]

            Expect.isTrue (gains |> List.forall (fun gain -> gain > 0.0)) $"{gains}"
        }

        test "temperatures fall from the highest to the lowest, and a search is heated anew as often as is asked for" {
            let objectives (options: AnnealedMatchingOptions) =
                [
                    for seed in 1..6 do
                        let a, b = pair wide (10 * seed)
                        List.ofSeq (AnnealedMatching.Match(a, b, options)).Objective
                ]

            let falling highest lowest = AnnealedMatchingOptions(Highest = highest, Lowest = lowest, Reheats = 0)
            // The start, what a descent makes of it, and what a descent makes of the hardened mean field.
            Expect.all (objectives (falling 0.3 0.1)) (fun told -> told.Length = 3) "three values"
            Expect.notEqual (objectives (falling 0.3 0.1)) (objectives (falling 0.3 0.3)) "the last level is the lowest"
            Expect.notEqual (objectives (falling 0.3 0.1)) (objectives (falling 0.1 0.1)) "the first is the highest"
            let again = objectives (AnnealedMatchingOptions(Reheats = 3))
            Expect.exists again (fun told -> told.Length > 3) "heated anew, where that changes something"
            Expect.all again (fun told -> told.Length <= 6) "and three times at the most"
        }

        test "networks with orders in copies are matched outwards, with as many starts" {
            let network =
                Network(
                    Catalogue.Gpt(7, TransformerOptions(Layers = 2, Width = 8, Heads = 4, KeyHeads = 2, Context = 3))
                )

            let best =
                [
                    for seed in 1..4 do
                        let a, b = pair network seed
                        let annealed = AnnealedMatchingOptions(Seed = int64 seed, Starts = 5)
                        let matched starts = WeightMatchingOptions(Seed = int64 seed, Starts = starts, Outward = true)
                        let found: float = Seq.last (AnnealedMatching.Match(a, b, annealed)).Objective
                        let several: float = Seq.last (WeightMatching.Match(a, b, matched 5)).Objective
                        let one: float = Seq.last (WeightMatching.Match(a, b, matched 1)).Objective
                        Expect.equal found several $"seed {seed}"
                        several > one
                ]

            Expect.contains best true "which matters"
        }

        test "the same seed gives the same bytes, and of several starts the best counts" {
            let a, b = pair wide 1
            let one, again = search a b 5L, search a b 5L
            Expect.sequenceEqual one.Objective again.Objective "same seed"
            Expect.sequenceEqual one.Permutations.Permutations again.Permutations.Permutations "same answer"

            let best starts : float =
                Seq.last (AnnealedMatching.Match(a, b, AnnealedMatchingOptions(Seed = 5L, Starts = starts))).Objective

            let bests = [ 1; 2; 4 ] |> List.map best
            Expect.equal bests (List.sort bests) "more starts are no worse"
        }

        testPropertyWithConfig (config 20) "it does not depend on the scale of a model, to the last bit"
        <| fun (seed: int) ->
            let network = Network(randomArchitecture (Random seed))
            let a, b = pair network seed
            let expected = search a b 0L

            for power in [ -100; -40; 40; 100 ] do
                use scaled = b.Clone()
                scaled.Learned().mul_((Math.ScaleB(1.0, power)).ToScalar()) |> ignore
                let found = search a scaled 0L
                Expect.sequenceEqual found.Permutations.Permutations expected.Permutations.Permutations $"2^{power}"

        testPropertyWithConfig
            (config 200)
            "the doubly stochastic matrix sums to 1 along rows and columns, and sharpens as it cools"
        <| fun (seed: int) ->
            let random = Random seed
            let n = random.Next(1, 40)
            let costs = [| for _ in 1 .. n * n -> float32 (random.NextDouble() * 10.0 - 3.0) |]

            let matrix temperature =
                let values = Array.copy costs
                SoftAssign.Apply(values.AsSpan(), n, temperature, 500) |> ignore
                values

            let entropy (values: float32[]) =
                -(values |> Array.sumBy (fun p -> if p > 0f then float p * log (float p) else 0.0))

            let warm = matrix 1.0

            for i in 0 .. n - 1 do
                Expect.isLessThan
                    (abs (Seq.sum (seq { for j in 0 .. n - 1 -> float warm[i * n + j] }) - 1.0))
                    1e-3
                    "row"

                Expect.isLessThan
                    (abs (Seq.sum (seq { for j in 0 .. n - 1 -> float warm[j * n + i] }) - 1.0))
                    1e-3
                    "column"

            Expect.isLessThanOrEqual (entropy (matrix 0.5)) (entropy warm + 1e-3) "cooler is sharper"

        testPropertyWithConfig
            (config 100)
            "costs of a packed pair are products over all that units share, small or not, updated or whole"
        <| fun (seed: int) ->
            let random = Random seed

            let network =
                if random.Next 3 = 0 then
                    Network(Catalogue.Mlp([| 1; 2; 2 |], [| random.Next(60, 75); random.Next(60, 75) |], 3))
                else
                    Seq.initInfinite (fun _ -> Network(randomArchitecture random)) |> Seq.find PackedPair.Fits

            let a, b = pair network seed
            use packed = new PackedPair(a, b)

            let draw seed =
                [| for p in PermutationSet.Random(network, int64 seed).Permutations -> Array.ofSeq p.Sources |]

            let before, now = draw seed, draw (seed + 1)

            for g in 0 .. network.Groups.Length - 1 do
                if not (packed.IsOnBothSides g) then
                    let changed = before |> Array.mapi (fun k order -> if k = g then order else now[k])
                    use cost = packed.Cost(g, before)
                    use whole = packed.Cost(g, changed)

                    for link in packed.Links[g] do
                        let struct (places, was, is) = PackedPair.Changes(before[link.From], now[link.From])
                        link.Update(cost, places, was, is)

                    Expect.isLessThan (difference cost whole) 1e-3 "updated"
                    // The sum over the group's units of what its costs say is the objective's part that the group has to do with.
                    let n = network.Groups[g].Units
                    let values = UnitLayout.Numbers(whole).ToArray()
                    let next = draw (seed + 2)
                    let told order = -(Seq.sum (seq { for i in 0 .. n - 1 -> float values[i * n + Array.get order i] }))
                    let moved = changed |> Array.mapi (fun k order -> if k = g then next[g] else order)
                    let gain = packed.Objective moved - packed.Objective changed
                    Expect.isLessThan (abs (told next[g] - told changed[g] - gain)) (1e-3 * (1.0 + abs gain)) "its gain"
                    Expect.isLessThan (abs (packed.Gain(g, changed, next[g]) - gain)) 1e-6 "summed in double"

        test "leaving out what is next to nothing changes products by little" {
            use _ = torch.NewDisposeScope()
            use generator = new torch.Generator(1UL, torch.CPU)
            let cost = torch.randn (60L, 60L, generator = generator)
            SoftAssign.Apply(UnitLayout.Numbers cost, 60, 0.1, 50) |> ignore
            let rows = torch.randn (60L, 17L, generator = generator)
            Expect.isLessThan (difference (SoftAssign.Mix(cost, rows)) (cost.mm rows)) 0.1 "a product"
        }

        test "each further start anneals with as many levels again" {
            let a, b = pair wide 7
            let told = ResizeArray<int>()
            let options = AnnealedMatchingOptions(Levels = 20, Reheats = 0, Starts = 3)
            AnnealedMatching.Match(a, b, options, null, (fun passes _ -> told.Add passes)) |> ignore
            Expect.hasLength told 6 "of each start, after its descent and after its annealing"
            // Annealing's levels and rounding, and then a few passes of the descent that follows.
            for start in 0..2 do
                let made = told[2 * start + 1] - told[2 * start] - 1
                let levels = 20 * (start + 1)
                Expect.isTrue (made > levels && made < levels + 20) $"start {start}: {made} passes for {levels} levels"
        }

        test "each further start is a search of its own that begins twice as hot, eight times as hot at the most" {
            let a, b = pair wide 7

            let told (options: AnnealedMatchingOptions) start =
                let seen = ResizeArray<int * float>()
                AnnealedMatching.Match(a, b, options, start, (fun passes value -> seen.Add(passes, value))) |> ignore
                List.ofSeq seen

            let each =
                [
                    for k, times in List.indexed [ 1.0; 2.0; 4.0; 8.0; 8.0; 8.0; 8.0 ] do
                        let seed, start =
                            if k = 0 then
                                0L, null
                            else
                                let own = Seeds.Derive(0L, "restart", int64 k)
                                own, PermutationSet.Random(wide, own)

                        let options =
                            AnnealedMatchingOptions(
                                Highest = 0.3 * times,
                                Levels = 2 * (k + 1),
                                Reheats = 0,
                                Seed = seed
                            )

                        yield! told options start
                ]

            Expect.equal (told (AnnealedMatchingOptions(Reheats = 0, Starts = 7)) null) each "one after the other"
        }

        test "options out of range, two architectures and numbers that are not finite are refused" {
            use a = randomParameters smallMlp 1L
            use other = randomParameters (Network(Catalogue.Mlp([| 1; 2; 3 |], [| 5; 3 |], 3))) 1L
            failsWith [ "one architecture" ] (fun () -> search a other 0L |> ignore)
            use broken = a.Clone()
            broken["fc2.bias"].fill_(nanf) |> ignore
            failsWith [ "the model to align"; "NaN"; "fc2.bias" ] (fun () -> search a broken 0L |> ignore)

            for options in
                [
                    AnnealedMatchingOptions(Levels = 0)
                    AnnealedMatchingOptions(Lowest = 0.0)
                    AnnealedMatchingOptions(Lowest = 0.5)
                    AnnealedMatchingOptions(Highest = nan)
                    AnnealedMatchingOptions(Iterations = 0)
                    AnnealedMatchingOptions(Reheats = -1)
                ] do
                failsWith [ "annealed matching"; "expected" ] (fun () ->
                    AnnealedMatching.Match(a, a, options) |> ignore)

            failsWith [ "annealed matching"; "1 or more starts" ] (fun () ->
                AnnealedMatching.Match(a, a, AnnealedMatchingOptions(Starts = 0)) |> ignore)
        }
    ]
