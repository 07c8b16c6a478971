module LmcDsl.Tests.Core.TransformationTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private classes (network: Network) = [ for turn in network.Turns -> turn.Class ]

let private drawn = [ for seed in 1..200 -> seed, Network(randomTransformer (Random seed)) ]

let private gpt options = Network(Catalogue.Gpt(11, options))

let private small = TransformerOptions(Layers = 2, Width = 8, Heads = 2, Hidden = 6, Context = 5)

let tests =
    testList "Transformation" [
        test "what keeps the mean and what keeps the axes, but for signs, have permutations in common" {
            let meet one other = SymmetryClasses.Meet(one, other)
            Expect.equal (meet SymmetryClass.Centred SymmetryClass.Signed) SymmetryClass.Permutation "either way"
            Expect.equal (meet SymmetryClass.Signed SymmetryClass.Centred) SymmetryClass.Permutation "round"
            Expect.equal (meet SymmetryClass.Orthogonal SymmetryClass.Signed) SymmetryClass.Signed "signs are rotations"
        }

        test "an element of the derived group leaves a random transformer's function as it is, in double" {
            for seed, network in drawn do
                use _ = torch.NewDisposeScope()
                use p = randomParameters network (int64 seed)
                use element = Transformation.Random(network, int64 seed)
                let moved = doubles p
                element.ApplyInPlace moved
                Expect.isLessThan (outputsApart network (doubles p) moved) 1e-10 $"seed {seed}"
        }

        test "every class is drawn, in copies and by itself" {
            let found = drawn |> List.collect (fun (_, network) -> classes network) |> set

            Expect.equal
                found
                (set [
                    SymmetryClass.Invertible
                    SymmetryClass.Orthogonal
                    SymmetryClass.Centred
                    SymmetryClass.Signed
                    SymmetryClass.Pairs
                ])
                "classes"

            let copies =
                [
                    for _, network in drawn do
                        for turn in network.Turns -> turn.Copies
                ]

            Expect.exists copies (fun c -> c > 1) "a matrix for each head"
            Expect.exists copies ((=) 1) "one matrix"
        }

        test "a matrix of the next larger class changes the function" {
            let larger =
                Map [
                    SymmetryClass.Orthogonal, SymmetryClass.Invertible
                    SymmetryClass.Centred, SymmetryClass.Orthogonal
                    SymmetryClass.Signed, SymmetryClass.Orthogonal
                    SymmetryClass.Pairs, SymmetryClass.Orthogonal
                ]

            // A wrong matrix for one group, or the same matrices for all its copies.
            let changes seed (network: Network) k wrong =
                use _ = torch.NewDisposeScope()
                use p = randomParameters network (int64 seed)
                use generator = LmcDsl.Core.Runtime.Seeds.Generator(int64 seed, "wrong")
                let turn = network.Turns[k]
                let units = int64 turn.Units / int64 turn.Copies
                let draw _ = ClassMatrix.Draw(wrong, units, generator)

                let matrices =
                    [
                        for j in 0 .. network.Turns.Length - 1 ->
                            if j = k then torch.stack (Array.init turn.Copies draw) else null
                    ]

                use element = new Transformation(PermutationSet.Identity network, matrices)
                let moved = doubles p
                element.ApplyInPlace moved
                outputsApart network (doubles p) moved > 1e-6

            let tried =
                [
                    for seed, network in drawn |> List.truncate 80 do
                        for k, turn in Seq.indexed network.Turns do
                            match larger.TryFind turn.Class with
                            | Some wrong -> turn.Class, changes seed network k wrong
                            | None -> ()
                ]

            // Some attention sees one position only, so that its queries and keys do nothing; half of the rotations of two units are turns of the pair.
            for ``class``, cases in List.groupBy fst tried do
                let share = cases |> List.averageBy (fun (_, changed) -> if changed then 1.0 else 0.0)
                Expect.isGreaterThan share 0.6 $"{``class``}"
        }

        test "groups and classes of GPT's blocks, counted by hand" {
            let network = gpt small

            Expect.equal
                [ for g in network.Groups -> g.Name, g.Units, g.Class, g.Copies ]
                [
                    "tokens", 8, SymmetryClass.Permutation, 1
                    for k in 1..2 do
                        $"block{k}.query groups", 2, SymmetryClass.Permutation, 1
                        $"block{k}.query", 8, SymmetryClass.Invertible, 2
                        $"block{k}.value", 8, SymmetryClass.Invertible, 2
                        $"block{k}.up", 6, SymmetryClass.Permutation, 1
                ]
                "stream, heads, units of queries and keys, of values, of the feed-forward part"

            Expect.isEmpty network.Notes "nothing fixed"
        }

        test "grouped queries have heads within heads; rotary positions leave pairs" {
            let network =
                Network(
                    Catalogue.Llama(
                        11,
                        TransformerOptions(Layers = 1, Width = 16, Heads = 4, KeyHeads = 2, Hidden = 6, Context = 5)
                    )
                )

            Expect.equal
                [ for g in network.Groups -> g.Name, g.Units, g.Class, g.Copies ]
                [
                    "tokens", 16, SymmetryClass.Signed, 1
                    "block1.query groups", 2, SymmetryClass.Permutation, 1
                    "block1.query", 4, SymmetryClass.Permutation, 2
                    "block1.value", 8, SymmetryClass.Invertible, 2
                    "block1.up", 6, SymmetryClass.Permutation, 1
                ]
                "heads of keys, heads of queries in each"

            Expect.equal
                [ for g in network.Turns -> g.Class, g.Units, g.Copies ]
                [ SymmetryClass.Signed, 16, 1; SymmetryClass.Pairs, 8, 2; SymmetryClass.Invertible, 8, 2 ]
                "turns"
        }

        test "norms after the parts leave permutations of the stream, and a tied output rotations at most" {
            let network =
                gpt (
                    TransformerOptions(
                        Layers = 2,
                        Width = 8,
                        Heads = 2,
                        Hidden = 6,
                        Context = 5,
                        Norm = TransformerNorm.LayerAfter
                    )
                )

            Expect.equal network.Groups[0].Class SymmetryClass.Permutation "the gain is on the stream itself"

            let tied =
                Network(
                    Architecture.FromJson
                        """{"name":"tied","input":[3],"nodes":[
                           {"name":"t","layer":{"kind":"embedding","tokens":5,"units":4},"inputs":["input"]},
                           {"name":"o","layer":{"kind":"tiedOutput","embedding":"t","tokens":5},"inputs":["t"]}]}"""
                )

            Expect.equal (classes tied) [ SymmetryClass.Orthogonal ] "what is its own inverse transpose"
        }

        test "the nearest matrix of a class is within it, and no drawn one is nearer" {
            for ``class`` in
                [ SymmetryClass.Orthogonal; SymmetryClass.Centred; SymmetryClass.Signed; SymmetryClass.Pairs ] do
                for seed in 1L .. 20L do
                    use _ = torch.NewDisposeScope()
                    use generator = LmcDsl.Core.Runtime.Seeds.Generator(seed, "nearest")
                    let gain = torch.randn ([| 6L; 6L |], dtype = torch.float64, generator = generator)
                    let struct (nearest, value) = ClassMatrix.Nearest(``class``, gain)
                    let product = nearest.matmul (nearest.t ())
                    Expect.isLessThan (difference product (torch.eye (6L, dtype = torch.float64))) 1e-12 "orthogonal"
                    let ones = torch.ones (6L, dtype = torch.float64)

                    if ``class`` = SymmetryClass.Centred then
                        Expect.isLessThan (difference (nearest.mv ones) ones) 1e-12 "keeps ones"

                    for _ in 1..50 do
                        let other = ClassMatrix.Draw(``class``, 6L, generator)
                        // Of pairs the turn alone.
                        let other =
                            if ``class`` = SymmetryClass.Pairs then
                                other / other.norm (0, keepdim = true)
                            else
                                other

                        Expect.isLessThanOrEqual
                            ((other * gain).sum().ToDouble())
                            (value.ToDouble() + 1e-9)
                            $"{``class``}"
        }

        test "a matrix that is planted is what is nearest" {
            for ``class`` in [ SymmetryClass.Orthogonal; SymmetryClass.Centred; SymmetryClass.Signed ] do
                use _ = torch.NewDisposeScope()
                use generator = LmcDsl.Core.Runtime.Seeds.Generator(3L, "planted")
                let planted = ClassMatrix.Draw(``class``, 5L, generator)
                let x = torch.randn ([| 5L; 40L |], dtype = torch.float64, generator = generator)
                let struct (nearest, _) = ClassMatrix.Nearest(``class``, planted.matmul(x).matmul(x.t ()))
                Expect.isLessThan (difference planted nearest) 1e-9 $"{``class``}"
        }
    ]
