/// Starts that are decided from what is fixed outwards: by hand, and on copies whose units were shuffled.
module LmcDsl.Tests.Core.OutwardStartTests

open System
open System.Collections.Immutable
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Core.Solvers
open LmcDsl.Tests.Fixtures
open TorchSharp

let private outward = WeightMatchingOptions(Outward = true)

let private blocks layers width = TransformerOptions(Layers = layers, Width = width, Heads = 4, Context = 8)

/// Networks whose groups are all reached from what is fixed: chains, residual streams of several widths, heads.
let private reached =
    [
        Catalogue.Mlp([| 1; 4; 4 |], [| 30; 20; 30 |], 3)
        Catalogue.Vgg11([| 3; 32; 32 |], 0.1)
        Catalogue.ResNet20([| 3; 32; 32 |], 0.5)
        Catalogue.Gpt(40, blocks 3 32)
        Catalogue.Vit([| 1; 8; 8 |], 4, 10, blocks 4 32)
    ]

/// The best order of the columns' units for the sum of products of rows of units.
let private bestOrder (products: (torch.Tensor * torch.Tensor) list) =
    let costs = products |> List.map (fun (a, b) -> a.mm(b.t ()).neg()) |> List.reduce (fun a b -> a + b)
    use costs = costs.contiguous ()
    let answer = LinearAssignment.Minimize(costs.data<float32>().ToArray(), int costs.shape[0])
    Permutation answer.Columns

let tests =
    testList "OutwardStart" [
        test "the start itself undoes a planted permutation wherever all groups are reached, without any descent" {
            for architecture in reached do
                let network = Network architecture
                use a = randomParameters network 1L
                use b = PermutationSet.Random(network, 2L).Apply a
                use back = OutwardStart.Find(a, b).Apply b
                Expect.equal (Distance.L2(a, back)) 0.0 architecture.Name
        }

        test
            "from it weight matching ends far nearer than from the identity, on noisy shuffled copies of residual networks" {
            for architecture, noise, least in
                [
                    Catalogue.ResNet20([| 3; 32; 32 |], 0.5), 5.0, 0.04
                    Catalogue.Vit([| 1; 8; 8 |], 4, 10, blocks 6 32), 3.0, 0.1
                ] do
                let network = Network architecture

                let gains =
                    [
                        for seed in 1L .. int64 (cases 3) do
                            use a = randomParameters network (3L * seed)
                            use other = randomParameters network (3L * seed + 1L)
                            use shuffled = PermutationSet.Random(network, 3L * seed + 2L).Apply a
                            use b = new ParameterSet(network, shuffled.Flat + noise * other.Flat)
                            let value options : float = Seq.last (WeightMatching.Match(a, b, options)).Objective
                            value outward / value (WeightMatchingOptions()) - 1.0
                    ]

                Expect.isGreaterThan (List.average gains) least $"{architecture.Name}: {gains}"
        }

        test "it is never farther than the models are as they stand: near ones stay" {
            for seed in 1..60 do
                let network = Network(randomArchitecture (Random seed))
                use a = randomParameters network (int64 seed)
                use noise = randomParameters network (int64 seed + 100L)
                use b = a.Clone()
                b.Flat.add_ (noise.Flat * (torch.tensor 0.7f)) |> ignore
                let own = InnerProduct.Of(a.Learned(), b.Learned())

                let starts =
                    [
                        OutwardStart.Find(a, b)
                        if PackedPair.Fits network then
                            use packed = new PackedPair(a, b)
                            OutwardStart.Find packed
                    ]

                for start in starts do
                    use moved = start.Apply b
                    let found = InnerProduct.Of(a.Learned(), moved.Learned())
                    Expect.isGreaterThanOrEqual found (own - 1e-5 * abs own) $"seed {seed}"
        }

        test "each group is matched on what is decided, and nothing else: an MLP by hand" {
            let network = Network(Catalogue.Mlp([| 1; 4; 4 |], [| 9; 9 |], 2))
            use a = randomParameters network 1L
            use b = randomParameters network 2L

            let view (model: ParameterSet) name =
                model.Views[network.Parameters |> Seq.findIndex (fun p -> p.Name = name)]

            let column (t: torch.Tensor) = t.unsqueeze (1L)

            // The first layer reads 16 fixed inputs of its 26 numbers a unit, the second is read by 2 fixed outputs.
            let first =
                bestOrder [
                    view a "fc1.weight", view b "fc1.weight"
                    column (view a "fc1.bias"), column (view b "fc1.bias")
                ]

            let order = torch.tensor ([| for source in first.Sources -> int64 source |])

            let second =
                bestOrder [
                    view a "fc2.weight", (view b "fc2.weight").index_select(1L, order)
                    column (view a "fc2.bias"), column (view b "fc2.bias")
                    (view a "fc3.weight").t(), (view b "fc3.weight").t()
                ]

            let found = OutwardStart.Find(a, b)

            for wanted, found in List.zip [ first; second ] (List.ofSeq found.Permutations) do
                Expect.equal (List.ofSeq found.Sources) (List.ofSeq wanted.Sources) "by hand"
        }

        testPropertyWithConfig (config 60) "on any architecture it is a symmetry, and leaves model b as it is"
        <| fun (seed: int) ->
            let network = Network(randomArchitecture (Random seed))
            use a = randomParameters network (int64 seed)
            use b = randomParameters network (int64 seed + 1L)
            use before = b.Clone()
            use moved = OutwardStart.Find(a, b).Apply b
            Expect.equal (Distance.L2(b, before)) 0.0 "b"
            use x = randomInput network 3 (int64 seed)
            let was, is = network.Forward(b.Views, x), network.Forward(moved.Views, x)

            Expect.isLessThan
                (difference was is)
                (float32Rounding * max 1.0 (was.abs().max().ToDouble()))
                "the same outputs"

        test "weight matching begins there, in place too, unless it is told where to begin" {
            let network = Network(Catalogue.ResNet20([| 3; 32; 32 |], 0.25))
            use a = randomParameters network 1L
            use b = randomParameters network 2L
            let from = OutwardStart.Find(a, b)
            let told (found: SearchResult) = List.ofSeq found.Objective
            let found = WeightMatching.Match(a, b, outward)
            Expect.equal (told found) (told (WeightMatching.Match(a, b, start = from))) "begins there"
            let identity = PermutationSet.Identity network

            Expect.equal
                (told (WeightMatching.Match(a, b, outward, identity)))
                (told (WeightMatching.Match(a, b)))
                "told to begin at the identity"

            use changed = b.Clone()
            Expect.equal (told (WeightMatching.MatchInPlace(a, changed, outward))) (told found) "in place"
            use moved = found.Permutations.Apply b
            Expect.equal (Distance.L2(changed, moved)) 0.0 "and b is the aligned model"
        }

        test "what finding a start takes counts among a search's seconds, and is not done where a start is told" {
            let network = Network(Catalogue.Mlp([| 1; 2; 2 |], [| 3 |], 2))
            let identity = PermutationSet.Identity network
            let mutable asked = 0

            let search (start: PermutationSet | null) =
                Restarts.Best(
                    "search",
                    1,
                    0L,
                    network,
                    start,
                    (fun from _ -> SearchResult(from, 1, [| 0.0 |].ToImmutableArray(), StopReason.NothingChanged, 0.5)),
                    (fun _ -> 0.0),
                    (fun () ->
                        asked <- asked + 1
                        Threading.Thread.Sleep 50
                        identity)
                )

            Expect.isGreaterThanOrEqual (search null).Seconds 0.54 "both"
            Expect.isLessThan (search identity).Seconds 0.54 "the search alone"
            Expect.equal asked 1 "once"
        }
    ]
