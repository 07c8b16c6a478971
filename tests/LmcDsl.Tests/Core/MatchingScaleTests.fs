module LmcDsl.Tests.Core.MatchingScaleTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Matching
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private scaled (model: ParameterSet) (which: string -> bool) (factor: float) =
    let copy = model.Clone()

    for spec, view in Seq.zip model.Network.Parameters copy.Views do
        if which spec.Name then
            view.mul_ (factor.ToScalar()) |> ignore

    copy

let private all _ = true
let private ofLayer (layer: string) (name: string) = name.StartsWith(layer + ".")
let private permutationsOf (found: SearchResult) = List.ofSeq found.Permutations.Permutations

/// 2^-100 to 2^100: 8e-31 to 1e30.
let private powers = [ -100; -83; -50; 50; 83; 100 ]

let tests =
    testList "MatchingScale" [
        testPropertyWithConfig (config 30) "weight matching does not depend on the scale of a model, to the last bit"
        <| fun (seed: int) ->
            let network = Network(randomArchitecture (Random seed))
            use a = randomParameters network (int64 seed)
            use b = randomParameters network (int64 seed + 1L)
            let expected = WeightMatching.Match(a, b)

            for power in powers do
                let factor = Math.ScaleB(1.0, power)
                use b' = scaled b all factor
                let found = WeightMatching.Match(a, b', WeightMatchingOptions())
                Expect.equal (permutationsOf found) (permutationsOf expected) $"2^{power}"
                use a' = scaled a all factor
                let both = WeightMatching.Match(a', b', WeightMatchingOptions())
                Expect.equal (permutationsOf both) (permutationsOf expected) $"2^{power} in both"

                for k in 0 .. expected.Objective.Length - 1 do
                    Expect.equal found.Objective[k] (expected.Objective[k] * factor) "the objective follows"

        testPropertyWithConfig (config 20) "a planted permutation is found whatever the scale of each layer"
        <| fun (seed: int) ->
            let network = Network(Catalogue.Mlp([| 1; 2; 4 |], [| 24 |], 5))
            use drawn = randomParameters network (int64 seed)
            let planted = PermutationSet.Random(network, int64 seed)

            for first, second in [ 1e-30, 1e-30; 1e-30, 1.0; 1.0, 1e-25; 1e30, 1e30; 1e19, 1e-19; 1e30, 1e-30 ] do
                use one = scaled drawn (ofLayer "fc1") first
                use a = scaled one (ofLayer "fc2") second
                use b = planted.Apply a
                let found = WeightMatching.Match(a, b)
                let isInverse = found.Permutations.Permutations[0].Equals(planted.Inverse().Permutations[0])
                Expect.isTrue isInverse $"{first}, {second}"

        testPropertyWithConfig (config 10) "Sinkhorn's search, and joint ones, do not depend on the scale of the models"
        <| fun (seed: int) ->
            let network = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 7; 6 |], 3))
            let models = [| for k in 0..2 -> randomParameters network (int64 seed + int64 k) |]

            let answers (power: int) =
                let models = [| for model in models -> scaled model all (Math.ScaleB(1.0, power)) |]
                let options = SinkhornMatchingOptions(Steps = 30)
                let joint (found: JointResult) = [ for set in found.Permutations -> List.ofSeq set.Permutations ]

                permutationsOf (SinkhornMatching.Match(models[0], models[1], options)),
                joint (MergeManyMatching.Match models),
                joint (UniverseMatching.Match models)

            let _, merged, universe = answers 0
            let sinkhorn, _, _ = answers -30

            for power in [ -100; -50; 50; 100 ] do
                let found, merged', universe' = answers power
                Expect.equal found sinkhorn $"Sinkhorn, 2^{power}"
                Expect.equal merged' merged $"merge many, 2^{power}"
                Expect.equal universe' universe $"universe, 2^{power}"

        test "Sinkhorn's search of small and of common models ends alike" {
            let network = Network(Catalogue.Mlp([| 1; 2; 4 |], [| 16 |], 5))
            use a = randomParameters network 1L
            let planted = PermutationSet.Random(network, 2L)

            for factor in [ 1e-30; 1e-10; 1e-3; 1.0; 1e10; 1e30 ] do
                use a' = scaled a all factor
                use b = planted.Apply a'
                let found = SinkhornMatching.Match(a', b, SinkhornMatchingOptions(Steps = 100))
                Expect.isTrue (found.Permutations.Permutations[0].Equals(planted.Inverse().Permutations[0])) $"{factor}"
        }

        testPropertyWithConfig (config 10) "activation matching does not depend on the scale of a layer"
        <| fun (seed: int) ->
            let network = Network(Catalogue.Mlp([| 1; 2; 4 |], [| 12 |], 5))
            use a = randomParameters network (int64 seed)
            use b = randomParameters network (int64 seed + 1L)
            use task = toyTask network 60 3L

            for correlation in [ false; true ] do
                let search (a: ParameterSet) (b: ParameterSet) =
                    ActivationMatching.Match(a, b, task, ActivationMatchingOptions(Correlation = correlation))
                    |> permutationsOf

                let expected = search a b

                for power in [ -95; -70; 70; 95 ] do
                    use b' = scaled b (ofLayer "fc1") (Math.ScaleB(1.0, power))
                    Expect.equal (search a b') expected $"2^{power}"
                    use a' = scaled a (ofLayer "fc1") (Math.ScaleB(1.0, power))
                    Expect.equal (search a' b') expected $"2^{power} in both"

        test "activations that overflow name the model and the layer, and constant ones the model" {
            use a = randomParameters smallMlp 1L
            use task = toyTask smallMlp 30 3L
            use large = scaled a (fun name -> name.EndsWith "weight") 1e30

            failsWith [ "activation matching"; "'fc2'"; "the model to align" ] (fun () ->
                ActivationMatching.Match(a, large, task) |> ignore)

            use small = scaled a all 1e-30

            failsWith [ "activation matching"; "'fc2'"; "vary"; "the reference model" ] (fun () ->
                ActivationMatching.Match(small, a, task) |> ignore)
        }

        test "by activations heads, and the units within them, are found whatever their scale" {
            let options = TransformerOptions(Layers = 1, Width = 16, Heads = 4, Context = 4)
            let network = Network(Catalogue.Gpt(11, options))
            use drawn = randomParameters network 1L
            let planted = PermutationSet.Random(network, 7L)
            use data = new DataSplit(randomInput network 100 2L, torch.zeros ([| 100L; 4L |], torch.int64))

            let ofHeads (name: string) =
                Seq.exists (fun (part: string) -> name.Contains part) [ "query"; "key"; "value" ]

            for factor in [ 1e-24; 1e-20; 1.0; 1e15 ] do
                use a = scaled drawn ofHeads factor
                use b = planted.Apply a
                let found = ActivationMatching.Match(a, b, data)
                use back = found.Permutations.Apply b
                Expect.equal (bytes back) (bytes a) $"{factor}"
                Expect.isGreaterThan found.Objective[1] found.Objective[0] $"{factor}"
        }
    ]
