module LmcDsl.Tests.Core.RotatedMatchingTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Permutations
open LmcDsl.Core.Symmetries
open LmcDsl.Tests.Fixtures
open TorchSharp

// Transformers whose weights tell every symmetry apart, and whose gains are all far from 0.
let private draw (network: Network) (seed: int64) =
    let p = randomParameters network seed

    for spec, view in Seq.zip network.Parameters p.Views do
        if spec.Role = ParameterRole.NormWeight then
            view.abs_().add_(0.5f.ToScalar()) |> ignore

    p

// An element of the network's own group, and of its folded form's, applied to a model.
let private planted (network: Network) (p: ParameterSet) seed =
    use _ = torch.NewDisposeScope()
    let own = doubles p
    let folding = Folding.Of(network, own)
    let folded = folding.Fold own
    use element = Transformation.Random(folding.Folded, seed)
    element.ApplyInPlace folded
    use other = draw network (seed + 500L)
    let result = p.Clone()
    let gains = doubles other

    for view, tensor in Seq.zip result.Views (folding.Unfold(folded, gains)) do
        view.copy_ tensor |> ignore

    result

let private distance (a: ParameterSet) (b: ParameterSet) =
    use _ = torch.NewDisposeScope()
    (a.Flat - b.Flat).norm().ToDouble() / a.Flat.norm().ToDouble()

// ⟨a, g b⟩ of the folded and balanced models, for an element g.
let private valueOf (a: ParameterSet) (b: ParameterSet) (element: Transformation) : float =
    use _ = torch.NewDisposeScope()
    let folding = Folding.Of(a.Network, [| for v in a.Views -> v |], [| for v in b.Views -> v |])

    let canonical (p: ParameterSet) =
        let own = folding.Fold(doubles p)
        use balance = Balance.Of(folding.Folded, own)
        balance.ApplyInPlace own
        own

    let reference, moved = canonical a, canonical b
    element.ApplyInPlace moved

    Seq.zip3 folding.Folded.Parameters reference moved
    |> Seq.sumBy (fun (spec, x, y) -> if spec.Role = ParameterRole.Statistic then 0.0 else (x * y).sum().ToDouble())

let private options layers width heads keyHeads positions norm gated =
    TransformerOptions(
        Layers = layers,
        Width = width,
        Heads = heads,
        KeyHeads = keyHeads,
        Hidden = 24,
        Context = 6,
        Positions = positions,
        Norm = norm,
        Gated = gated
    )

let private networks =
    [
        "layer norms", Catalogue.Gpt(23, options 2 16 4 0 PositionEncoding.Learned TransformerNorm.LayerBefore false)
        "sinusoids", Catalogue.Gpt(23, options 2 16 2 0 PositionEncoding.Sinusoidal TransformerNorm.LayerBefore false)
        "RMS norms, gates", Catalogue.Gpt(23, options 2 16 4 0 PositionEncoding.Learned TransformerNorm.RmsBefore true)
        "rotary", Catalogue.Gpt(23, options 2 16 2 0 PositionEncoding.Rotary TransformerNorm.RmsBefore true)
        "grouped queries",
        Catalogue.Gpt(23, options 2 24 6 3 PositionEncoding.Learned TransformerNorm.LayerBefore false)
        "grouped queries, rotary, Llama",
        Catalogue.Llama(23, options 2 24 6 3 PositionEncoding.Rotary TransformerNorm.RmsBefore true)
        "tied, RMS norms: signs",
        Catalogue.Gpt(
            23,
            TransformerOptions(
                Layers = 2,
                Width = 16,
                Heads = 4,
                Hidden = 24,
                Context = 6,
                Tied = true,
                Norm = TransformerNorm.RmsBefore
            )
        )
        "norms after", Catalogue.Bert(23, 3, options 1 16 2 0 PositionEncoding.Learned TransformerNorm.LayerAfter false)
        "tied",
        Catalogue.Gpt(23, TransformerOptions(Layers = 2, Width = 16, Heads = 4, Hidden = 24, Context = 6, Tied = true))
        "images",
        Catalogue.Vit([| 1; 8; 8 |], 4, 3, options 2 16 4 0 PositionEncoding.Learned TransformerNorm.LayerBefore false)
        "no transformer", Catalogue.Mlp([| 1; 4; 4 |], [| 12; 10 |], 3)
    ]

let tests =
    testList "RotatedMatching" [
        test "the objective is the sum of inner products, and of cosines where each weight counts alike" {
            for seed in 1..5 do
                use _ = torch.NewDisposeScope()
                let network = Network(randomTransformer (Random seed))
                let a, b = draw network (int64 seed), draw network (int64 seed + 100L)
                let struct (one, other) = RotatedMatching.CanonicalPair(a, b)

                let counted =
                    [ for p in (RotatedMatching.NetworkOf(a, b)).Parameters -> p.Role <> ParameterRole.Statistic ]

                let sum (value: torch.Tensor -> torch.Tensor -> float) =
                    List.zip3 counted (List.ofArray one) (List.ofArray other)
                    |> List.sumBy (fun (counts, x, y) -> if counts then value x y else 0.0)

                let product (x: torch.Tensor) (y: torch.Tensor) = (x * y).sum().ToDouble()

                let cosine (x: torch.Tensor) (y: torch.Tensor) =
                    let sizes = sqrt (product x x * product y y)
                    if sizes > 0.0 then product x y / sizes else 0.0

                let first options : float = (RotatedMatching.Match(a, b, options)).Objective[0]
                let close x y what = Expect.isLessThan (abs (x - y)) (1e-9 * (1.0 + abs y)) $"seed {seed}, {what}"
                close (first (RotatedMatchingOptions())) (sum product) "products"
                close (first (RotatedMatchingOptions(Normalised = true))) (sum cosine) "cosines"
        }

        for name, architecture in networks do
            test $"an element of the whole group that is planted is found again: {name}" {
                let network = Network architecture

                for seed in 1L .. 3L do
                    use a = draw network seed
                    use b = planted network a (seed + 10L)
                    let x = randomInput network 4 1L
                    let before = difference (network.Forward(a.Views, x)) (network.Forward(b.Views, x))
                    Expect.isLessThan before 1e-3 "b computes what a does"
                    let found = RotatedMatching.Match(a, b)
                    use aligned = RotatedMatching.Apply(a, b, found.Transformation)
                    Expect.isLessThan (distance a aligned) 1e-3 $"seed {seed}"
            }

        test
            "between models that are not the same the objective never falls, the function stays and the answer is the element told" {
            for seed in 1L .. 25L do
                let network = Network(randomTransformer (Random(int seed)))
                use a = draw network seed
                use b = draw network (seed + 100L)
                let found = RotatedMatching.Match(a, b)

                for before, after in Seq.pairwise found.Objective do
                    Expect.isGreaterThanOrEqual after (before - 1e-9 * abs before) $"seed {seed}"

                let last: float = Seq.last found.Objective
                let told = valueOf a b found.Transformation
                Expect.isLessThan (abs (told - last)) (1e-6 * (1.0 + abs last)) $"seed {seed}: the element told"
                use aligned = RotatedMatching.Apply(a, b, found.Transformation)
                let x = randomInput network 4 1L
                let before, after = network.Forward(b.Views, x), network.Forward(aligned.Views, x)
                let error = difference before after / max 1.0 (before.abs().max().ToDouble())
                Expect.isLessThan error 1e-2 $"seed {seed}: function"
        }

        test "no random element of the group does better than what was found" {
            let network = Network(snd networks[0])
            use a = draw network 1L
            use b = draw network 2L
            let found = RotatedMatching.Match(a, b)
            let folded = RotatedMatching.NetworkOf(a, b)
            let value = valueOf a b
            let best = value found.Transformation

            Expect.floatClose
                Accuracy.high
                best
                found.Objective[found.Objective.Length - 1]
                "the objective is that of the element"

            for seed in 1L .. 30L do
                use drawn = Transformation.Random(folded, seed)
                // Rotations only: of invertible maps there is no best.
                let matrices =
                    [
                        for turn, matrix in Seq.zip folded.Turns drawn.Matrices ->
                            if turn.Class = SymmetryClass.Invertible then
                                let struct (nearest, _) = ClassMatrix.Nearest(turn.Class, matrix)
                                nearest
                            else
                                matrix.clone ()
                    ]

                use element = new Transformation(drawn.Permutations, matrices)
                Expect.isLessThan (value element) best $"seed {seed}"
        }

        test "on networks of permutations alone it is weight matching" {
            let network = Network(snd (List.last networks))
            use a = draw network 1L
            use b = draw network 2L
            let rotated = RotatedMatching.Match(a, b)

            let best =
                [
                    for seed in 0L .. 9L ->
                        WeightMatching.Match(a, b, WeightMatchingOptions(Seed = seed)).Objective |> Seq.last
                ]

            Expect.isGreaterThan (Seq.last rotated.Objective) (List.min best - 1e-3) "as deep as some order of groups"
            use aligned = RotatedMatching.Apply(a, b, rotated.Transformation)
            use permuted = rotated.Transformation.Permutations.Apply b
            Expect.isLessThan (distance permuted aligned) 1e-6 "nothing but permutations"
        }

        test "singular values to a power and parameters that count alike find what is planted too" {
            let network = Network(snd networks[0])
            use a = draw network 1L
            use b = planted network a 11L

            for options in
                [
                    RotatedMatchingOptions(Power = 3.0)
                    RotatedMatchingOptions(Normalised = true)
                    RotatedMatchingOptions(Power = 2.0, Normalised = true)
                ] do
                let found = RotatedMatching.Match(a, b, options)
                use aligned = RotatedMatching.Apply(a, b, found.Transformation)
                Expect.isLessThan (distance a aligned) 1e-3 $"{options}"
        }

        test "options out of range and broken models are told" {
            let network = Network(snd (List.last networks))
            use a = draw network 1L
            use b = draw network 2L

            Expect.throwsT<LmcDsl.Core.Runtime.LmcException>
                (fun () -> RotatedMatching.Match(a, b, RotatedMatchingOptions(MaxSweeps = 0)) |> ignore)
                "passes"

            for broken in [ nanf; infinityf ] do
                use other = b.Clone()
                other["fc1.weight"].view(-1L).narrow(0L, 0L, 1L).fill_(broken.ToScalar()) |> ignore
                let what = [ "NaN or infinity"; "fc1.weight" ]
                failsWith ("the model to align" :: what) (fun () -> RotatedMatching.Match(a, other) |> ignore)
                failsWith ("the reference model" :: what) (fun () -> RotatedMatching.Match(other, b) |> ignore)
        }

        test "heads that are hardly written and hardly read can be matched, and the function stays" {
            let network = Network(Catalogue.Gpt(11, TransformerOptions(Layers = 1, Width = 8, Heads = 2, Context = 4)))
            use a = draw network 1L
            use b = draw network 2L
            let x = randomInput network 4 1L

            for share in [ 1e-2; 1e-3; 3e-4; 1e-4; 2e-5; 1e-6; 0.0 ] do
                // One unit of a head's values, in what writes it and in what reads it.
                use hardly = b.Clone()

                for unit in
                    [
                        hardly["block1.value.weight"].select(0L, 0L)
                        hardly["block1.value.bias"].narrow(0L, 0L, 1L)
                        hardly["block1.output.weight"].select(1L, 0L)
                    ] do
                    unit.mul_ (share.ToScalar()) |> ignore

                for reference, other in [ a, hardly; hardly, a ] do
                    let found = RotatedMatching.Match(reference, other, RotatedMatchingOptions(MaxSweeps = 2))
                    Expect.isTrue (found.Objective |> Seq.forall Double.IsFinite) $"{share}"
                    use aligned = RotatedMatching.Apply(reference, other, found.Transformation)
                    let expected = network.Forward(other.Views, x)
                    let apart = difference expected (network.Forward(aligned.Views, x))
                    Expect.isLessThan apart (1e-3 * (1.0 + expected.abs().max().ToDouble())) $"{share}: the function"
        }

        test "what was found of models that are folded otherwise is refused" {
            let network = Network(Catalogue.Gpt(11, TransformerOptions(Layers = 1, Width = 8, Heads = 2, Context = 4)))
            use a = draw network 1L
            use b = draw network 2L
            use c = draw network 3L
            // A norm that is not folded, since this model's gain of it is 0.
            c["block1.norm1.weight"].narrow(0L, 0L, 1L).zero_() |> ignore
            let found = RotatedMergeManyMatching.Match [| a; b; c |]
            let x = randomInput network 4 1L
            use moved = RotatedMatching.Apply(a, b, found.Transformations[1], c)
            let apart = difference (network.Forward(b.Views, x)) (network.Forward(moved.Views, x))
            Expect.isLessThan apart 1e-3 "with all models given the function stays"

            failsWith [ "rotated matching"; "folded otherwise"; "all of them" ] (fun () ->
                RotatedMatching.Apply(a, b, found.Transformations[1]).Dispose())
        }
    ]
