/// Two models laid out for matching: layouts number by number, and searches that end as they do where models lie as they are.
module LmcDsl.Tests.Core.PackedPairTests

open System
open System.Collections.Immutable
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures
open TorchSharp

/// Two axes of one parameter, on any two of its dimensions, with its shape.
let private drawAxes (random: Random) =
    let dimensions = random.Next(2, 5)
    let places = [| 0 .. dimensions - 1 |]
    random.Shuffle places
    // The first two dimensions half of the time, as in dense layers and convolutions; sizes around those of a register.
    let one, other =
        if random.Next 2 = 0 then
            (if random.Next 2 = 0 then 0, 1 else 1, 0)
        else
            places[0], places[1]

    let shape = [| for _ in places -> random.Next(1, 5) |]

    let axis dimension =
        let block = if random.Next 3 = 0 then random.Next(1, 4) else 1
        let units = random.Next(1, 35)
        shape[dimension] <- units * block
        PermutedAxis(0, dimension, block, 0, 1, units, units * block, ImmutableArray.Empty)

    axis one, axis other, [| for size in shape -> int64 size |]

/// Where the numbers of a unit of each of two axes lie, in their order.
let private placesOf (shape: int64[]) (from: PermutedAxis) (unit: int) (other: PermutedAxis) (theirs: int) =
    [
        let rec walk dimension at =
            seq {
                if dimension = shape.Length then
                    yield at
                else
                    let entries =
                        if dimension = from.Dimension then
                            [ unit * from.Block .. (unit + 1) * from.Block - 1 ]
                        elif dimension = other.Dimension then
                            [ theirs * other.Block .. (theirs + 1) * other.Block - 1 ]
                        else
                            [ 0 .. int shape[dimension] - 1 ]

                    for entry in entries do
                        yield! walk (dimension + 1) (at * int shape[dimension] + entry)
            }

        yield! walk 0 0
    ]

let private identity (network: Network) = [| for group in network.Groups -> [| 0 .. group.Units - 1 |] |]

/// A network that can be laid out: one of those drawn, or one with groups for which products are Torch's.
let private drawNetwork (random: Random) =
    match random.Next 4 with
    | 0 -> Network(Catalogue.Mlp([| 1; 2; 2 |], [| random.Next(60, 75); random.Next(65, 75) |], 3))
    | 1 -> Network(Catalogue.Vgg11([| 3; 32; 32 |], 0.14))
    | _ -> Seq.initInfinite (fun _ -> Network(randomArchitecture random)) |> Seq.find PackedPair.Fits

let tests =
    testList "PackedPair" [
        testPropertyWithConfig
            (config 200)
            "a layout has a parameter's numbers by the units of one axis, then of the other, whatever its shape"
        <| fun (seed: int) ->
            let random = Random seed
            let from, other, shape = drawAxes random
            use _ = torch.NewDisposeScope()
            let values = torch.arange((Array.reduce (*) shape).ToScalar(), dtype = torch.float32).reshape shape
            let depth = values.numel () / int64 (from.Units * other.Units)
            let result = torch.empty (int64 from.Units, depth * int64 other.Units)
            UnitLayout.Write(values, from, other, result)

            let expected =
                [
                    for u in 0 .. from.Units - 1 do
                        let byUnit = [ for t in 0 .. other.Units - 1 -> placesOf shape from u other t |> Array.ofList ]

                        for d in 0 .. int depth - 1 do
                            for places in byUnit -> float32 places[d]
                ]

            Expect.sequenceEqual (result.data<float32>()) expected $"{shape}, {from}, {other}"

        testPropertyWithConfig
            (config 200)
            "the product of a parameter and a permuted one is that of a permuted copy, whatever its shape"
        <| fun (seed: int) ->
            let random = Random seed
            let one, other, shape = drawAxes random
            use _ = torch.NewDisposeScope()
            use generator = Seeds.Generator(int64 seed, "test")
            let a, b = torch.randn (shape, generator = generator), torch.randn (shape, generator = generator)
            let axes = [ one; other ] |> List.take (random.Next 3)

            let orders =
                [|
                    for axis in axes -> struct (axis, Array.ofSeq (Permutation.Random(axis.Units, random).Sources))
                |]

            let mutable moved = b

            for struct (axis, order) in orders do
                moved <- (Permutation order).Apply(moved, axis.Dimension, axis.Block)

            let expected = InnerProduct.Of(a, moved.contiguous ())
            let found = PermutedProduct.Of(a, b, ReadOnlySpan orders)
            Expect.isLessThan (abs (found - expected)) (doubleRounding * (1.0 + float (a.numel ()))) $"{shape}, {axes}"

        testPropertyWithConfig
            (config 60)
            "a descent ends where that of models as they lie does, with the objective after each pass, and so does the outward start"
        <| fun (seed: int) ->
            let network = drawNetwork (Random seed)
            use a = randomParameters network (int64 seed)
            use b = randomParameters network (int64 seed + 1L)
            use packed = new PackedPair(a, b)
            use moved = b.Clone()

            let run (descent: IDescent) =
                let objective = Collections.Generic.List [ descent.Objective ]
                let told _ = objective.Add descent.Objective
                let struct (sweeps, stopped) = descent.Run(Random seed, 1000, told)
                descent.Found.Permutations, sweeps, stopped, List.ofSeq objective

            use asTheyLie = new CoordinateDescent(a, moved, PermutationSet.Identity network)
            use laidOut = new PackedDescent(packed, identity network)
            let expected, sweeps, stopped, objective = run asTheyLie
            let found, passes, why, told = run laidOut
            Expect.sequenceEqual found expected network.Architecture.Name
            Expect.equal (passes, why) (sweeps, stopped) "passes"

            for one, other in List.zip told objective do
                Expect.isLessThan (abs (one - other)) (doubleRounding * (1.0 + abs other)) "objective"

            let outwards = OutwardStart.Find(a, b)
            Expect.sequenceEqual (OutwardStart.Find packed).Permutations outwards.Permutations "outwards"

        test "costs that were updated much on the way are computed whole before a descent ends" {
            let network = Network(Catalogue.Mlp([| 1; 4; 4 |], [| 30; 30; 30 |], 3))
            let most = 0.2

            for seed in 1L .. 4L do
                use a = randomParameters network (2L * seed)
                use b = randomParameters network (2L * seed + 1L)
                use packed = new PackedPair(a, b)
                use moved = b.Clone()

                for descent in
                    [
                        new CoordinateDescent(a, moved, PermutationSet.Identity network, MostUpdated = most) :> IDescent
                        new PackedDescent(packed, identity network, MostUpdated = most)
                    ] do
                    use descent = descent
                    let mutable greatest = 0.0
                    let told _ = greatest <- max greatest descent.Updated
                    let struct (_, stopped) = descent.Run(Random(int seed), 1000, told)
                    Expect.equal stopped StopReason.NothingChanged "at rest"
                    Expect.isGreaterThan greatest most "on the way"
                    Expect.isLessThanOrEqual descent.Updated most "at the end"
        }

        test "an outward start that noise in the first layer leads astray is not taken" {
            let network = Network(Catalogue.Mlp([| 1; 4; 4 |], [| 12; 12 |], 3))
            use a = randomParameters network 1L
            use other = randomParameters network 2L
            use b = a.Clone()

            for name in [ "fc1.weight"; "fc1.bias" ] do
                b[name].copy_(other[name]).mul_((0.01).ToScalar()) |> ignore

            use packed = new PackedPair(a, b)
            Expect.all (OutwardStart.Find packed).Permutations _.IsIdentity "as they are"
        }

        test "models whose units have an order in each copy are not laid out" {
            let grouped = Network(Catalogue.Gpt(20, TransformerOptions(Layers = 1, Width = 8, Heads = 2, Context = 4)))
            use model = randomParameters grouped 1L
            Expect.isFalse (PackedPair.Suits model) "heads"
            use small = randomParameters (Network(Catalogue.Mlp([| 1; 4; 4 |], [| 5 |], 3))) 1L
            Expect.isTrue (PackedPair.Suits small) "a small one"
        }
    ]
