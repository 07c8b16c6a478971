/// Several models matched over all symmetries: of two, what a pair of models is matched by.
module LmcDsl.Tests.Core.RotatedMergeManyMatchingTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Tests.Fixtures
open TorchSharp

let private mlp = Network(Catalogue.Mlp([| 1; 2; 4 |], [| 8; 8 |], 3))

let private gpt =
    Network(Catalogue.Gpt(11, TransformerOptions(Layers = 1, Width = 8, Heads = 2, Hidden = 6, Context = 4)))

let private times (factor: float) (model: ParameterSet) =
    let copy = model.Clone()
    copy.Flat.mul_ (factor.ToScalar()) |> ignore
    copy

let private first (found: JointResult) : float = Seq.head found.Objective
let private last (found: JointResult) : float = Seq.last found.Objective

let private near (found: float) expected what =
    Expect.isLessThan (abs (found - expected)) (1e-9 * (1.0 + abs expected)) what

let tests =
    testList "RotatedMergeManyMatching" [
        test "of two models it is rotated matching, whatever the options" {
            for name, network in [ "mlp", mlp; "gpt", gpt ] do
                use a = randomParameters network 1L
                use b = randomParameters network 2L

                for options in
                    [
                        RotatedMatchingOptions()
                        RotatedMatchingOptions(Normalised = true)
                        RotatedMatchingOptions(Centred = true)
                        RotatedMatchingOptions(Normalised = true, Centred = true, Power = 2.0)
                    ] do
                    let pair = RotatedMatching.Match(a, b, options)
                    let several = RotatedMergeManyMatching.Match([| a; b |], options)
                    near (first several) (Seq.head pair.Objective) $"{name}, {options}: before"
                    near (last several) (Seq.last pair.Objective) $"{name}, {options}: after"
        }

        test "where each parameter counts alike, neither a model's size nor the order of two says what they are worth" {
            let options = RotatedMatchingOptions(Normalised = true)
            use a = randomParameters mlp 1L
            use b = randomParameters mlp 2L
            use c = randomParameters mlp 3L
            let expected = RotatedMergeManyMatching.Match([| a; b; c |], options)

            // Powers of two, by which nothing is rounded.
            for factor in [ 1.0 / 128.0; 8.0; 8192.0 ] do
                use scaled = times factor b
                let found = RotatedMergeManyMatching.Match([| a; scaled; c |], options)
                near (first found) (first expected) $"{factor}: before"
                near (last found) (last expected) $"{factor}: after"

            let value models = first (RotatedMergeManyMatching.Match(models, options))
            near (value [| b; a |]) (value [| a; b |]) "the order of two"
        }

        test "means that norms do not see are taken away where that is asked for" {
            use a = randomParameters gpt 1L
            use b = a.Clone()

            for name in [ "block1.output.weight"; "block1.down.weight" ] do
                // Of each input the same for all units of the stream.
                b[name].add_(3f.ToScalar()) |> ignore

            let value centred =
                last (
                    RotatedMergeManyMatching.Match(
                        [| a; b |],
                        RotatedMatchingOptions(Centred = centred, Normalised = true)
                    )
                )

            Expect.isGreaterThan (value true) (value false + 0.1) "nearer to one another"
        }
    ]
