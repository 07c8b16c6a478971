module LmcDsl.Tests.Core.SingularAlignmentTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Permutations
open LmcDsl.Core.Spectra
open LmcDsl.Tests.Fixtures
open TorchSharp

let private r gamma (a: ParameterSet) (b: ParameterSet) =
    SingularAlignment.Between(a, b, [| gamma |]) |> Seq.head |> _.R

/// The definition, term by term: sum over layers and pairs of kept vectors, over the number kept.
let private byDefinition gamma (a: ParameterSet) (b: ParameterSet) =
    use _ = torch.NewDisposeScope()

    let parts =
        [
            for (_, left), (_, right) in Seq.zip (ThinSvd.WeightsOf a) (ThinSvd.WeightsOf b) do
                let one, other = ThinSvd.Of("", left), ThinSvd.Of("", right)
                let m, n = one.Kept gamma, other.Kept gamma
                let dot (x: torch.Tensor) i (y: torch.Tensor) j = (x.select (1, i) * y.select (1, j)).sum().ToDouble()

                List.sum [
                    for i in 0L .. int64 m - 1L do
                        for j in 0L .. int64 n - 1L do
                            dot one.U i other.U j * dot one.V i other.V j
                ],
                float (min m n)
        ]

    List.sumBy fst parts / List.sumBy snd parts

let private closeTo (found: float) (expected: float) what = Expect.isLessThan (abs (found - expected)) 1e-5 what

let tests =
    testList "SingularAlignment" [
        test "a decomposition multiplies back to the weight, with orthonormal vectors and descending values" {
            use w = torch.randn (7L, 5L)
            let svd = ThinSvd.Of("w", w)
            use back = svd.U.mm(torch.diag svd.S).mm(svd.V.t ())
            Expect.isLessThan (difference back w) 1e-5 "U S V'"
            Expect.isLessThan (difference (svd.U.t().mm svd.U) (torch.eye 5L)) 1e-5 "U'U"
            Expect.isLessThan (difference (svd.V.t().mm svd.V) (torch.eye 5L)) 1e-5 "V'V"
            let values = svd.S.data<float32>().ToArray()
            Expect.sequenceEqual values (Array.sortDescending values) "descending"
        }

        testPropertyWithConfig (config 20) "R of a model with itself is 1"
        <| fun (seed: int64) ->
            use a = randomParameters smallMlp seed

            for gamma in [ 0.0; 0.3; 1.0 ] do
                Expect.floatClose Accuracy.medium (r gamma a a) 1.0 $"gamma {gamma}"

        testPropertyWithConfig (config 20) "it is the sum of what each pair of vectors gives, over the number kept"
        <| fun (seed: int64) ->
            use a = randomParameters smallMlp seed
            use b = randomParameters smallMlp (seed + 1L)

            for gamma in [ 0.0; 0.3 ] do
                let layer = SingularAlignment.Between(a, b, [| gamma |]) |> Seq.head |> _.Layers |> Seq.head
                use pairs = SingularAlignment.Pairs(layer.Name, a[layer.Name], b[layer.Name], gamma)
                closeTo (pairs.sum().ToDouble()) layer.Agreement $"gamma {gamma}"

        testPropertyWithConfig (config 20) "it is the definition's sum over pairs of vectors"
        <| fun (seed: int64) ->
            use a = randomParameters smallMlp seed
            use b = randomParameters smallMlp (seed + 1L)

            for gamma in [ 0.0; 0.3; 0.7 ] do
                closeTo (r gamma a b) (byDefinition gamma a b) $"gamma {gamma}"

        testPropertyWithConfig
            (config 20)
            "permuting both models alike changes nothing, and R is symmetric and at most 1"
        <| fun (seed: int64) ->
            use a = randomParameters smallMlp seed
            use b = randomParameters smallMlp (seed + 1L)
            let set = PermutationSet.Random(smallMlp, seed)
            use a' = set.Apply a
            use b' = set.Apply b
            closeTo (r 0.3 a' b') (r 0.3 a b) "a common permutation"
            closeTo (r 0.3 b a) (r 0.3 a b) "symmetric"
            Expect.isLessThanOrEqual (abs (r 0.3 a b)) (1.0 + 1e-6) "at most 1"

        test "a model and its negative agree: the signs of u and v cancel only together" {
            use a = randomParameters smallMlp 3L
            use negative = new ParameterSet(smallMlp, a.Flat.neg ())
            Expect.floatClose Accuracy.medium (r 0.0 a negative) -1.0 "W = U S V', -W = -U S V'"
        }

        test "independent wide models have R near 0" {
            let wide = Network(Catalogue.Mlp([| 1; 10; 10 |], [| 100; 100 |], 10))
            use a = ParameterSet.Initialize(wide, 1L)
            use b = ParameterSet.Initialize(wide, 2L)
            Expect.isLessThan (abs (r 0.0 a b)) 0.03 "about 0"
        }

        test "a zero or broken weight is refused and named" {
            use a = randomParameters smallMlp 1L
            use zero = a.Clone()
            zero["fc2.weight"].zero_() |> ignore
            failsWith [ "fc2.weight"; "zeros" ] (fun () -> r 0.0 a zero |> ignore)
            zero["fc2.weight"].fill_(nanf) |> ignore
            failsWith [ "fc2.weight"; "NaN" ] (fun () -> r 0.0 a zero |> ignore)
            failsWith [ "gamma"; "1.5" ] (fun () -> r 1.5 a a |> ignore)
        }

        test "a weight that is a vector is left out" {
            use a = randomParameters scaledMlp 1L
            use b = randomParameters scaledMlp 2L
            let found = Seq.exactlyOne (SingularAlignment.Between(a, b, [| 0.3 |]))
            Expect.equal [ for layer in found.Layers -> layer.Name ] [ "fc1.weight"; "fc2.weight" ] "matrices alone"
            Expect.floatClose Accuracy.medium (r 0.3 a a) 1.0 "itself"
        }

        test "thresholds outside of 0 to 1 are refused wherever they are given" {
            use a = randomParameters smallMlp 1L
            let svd = ThinSvd.Of("w", a["fc1.weight"])

            for gamma in [ -0.1; 1.5; nan ] do
                failsWith [ "gamma"; "0 to 1" ] (fun () -> r gamma a a |> ignore)
                failsWith [ "gamma"; "0 to 1" ] (fun () -> svd.Kept gamma |> ignore)

                failsWith [ "gamma"; "0 to 1" ] (fun () ->
                    SingularAlignment.Pairs("fc1", a["fc1.weight"], a["fc1.weight"], gamma).Dispose())
        }
    ]
