/// Matching by weights and activations at once: between the two that it is made of, and what its objective says.
module LmcDsl.Tests.Core.DualSpaceMatchingTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private search share (a: ParameterSet) (b: ParameterSet) (data: DataSplit) =
    DualSpaceMatching.Match(a, b, data, DualSpaceMatchingOptions(Share = share))

let private byCorrelation = ActivationMatchingOptions(Correlation = true)

/// The sum of correlations of units as they are.
let private correlations (a: ParameterSet) (b: ParameterSet) (data: DataSplit) =
    ActivationMatching.Match(a, b, data, byCorrelation).Objective[0]

/// The objective by its definition, of a network of one group, which moves the parameters named.
let private objective names share (a: ParameterSet) (b: ParameterSet) (data: DataSplit) (set: PermutationSet) =
    use moved = set.Apply b

    let norm (model: ParameterSet) = names |> List.sumBy (fun name -> model[name].square().sum().ToDouble()) |> sqrt

    let units = float a.Network.Groups[0].Units

    InnerProduct.Of(a.Learned(), moved.Learned()) + share * norm a * norm b / units * correlations a moved data

let private transformer = Catalogue.Gpt(11, TransformerOptions(Layers = 1, Width = 12, Heads = 3, Context = 5))

let private grouped =
    let chain = Chain()
    chain.Add("first", Convolution 12) |> ignore
    chain.Add("relu1", Activation ActivationFunction.Relu) |> ignore
    chain.Add("within", Convolution(12, groups = 3)) |> ignore
    chain.Add("relu2", Activation ActivationFunction.Relu) |> ignore
    chain.Add("pool", Pooling(PoolingFunction.Average, 0)) |> ignore
    chain.Add("flatten", Flatten()) |> ignore
    chain.Add("out", Dense 4) |> ignore
    Network(chain.Build("grouped", [| 3; 6; 6 |]))

let private networks =
    [
        "a chain", Network(Catalogue.Mlp([| 1; 2; 4 |], [| 12; 9 |], 5))
        "a residual network", Network(Catalogue.ResNet20([| 3; 8; 8 |], 0.25))
        "units within copies", Network transformer
        "channels of a grouped convolution", grouped
    ]

let private dataOf (network: Network) count =
    let labels =
        if network.Positions.HasValue then
            [| int64 count; int64 network.Positions.Value |]
        else
            [| int64 count |]

    new DataSplit(randomInput network count 2L, torch.zeros (labels, torch.int64))

let tests =
    testList "DualSpaceMatching" [
        testPropertyWithConfig
            (config 20)
            "of one layer it finds the best of all permutations, by the objective's definition"
        <| fun (seed: int) ->
            let network = Network(Catalogue.Mlp([| 1; 2; 2 |], [| 4 |], 3))
            use a = randomParameters network (int64 seed)
            use b = randomParameters network (int64 seed + 1L)
            use data = toyTask network 40 3L

            let objective = objective [ "fc1.weight"; "fc1.bias"; "fc2.weight" ]

            for share in [ 0.0; 0.2; 1.0; 20.0 ] do
                let found = search share a b data
                let own = objective share a b data found.Permutations
                let all = [ for p in permutations [ 0..3 ] -> PermutationSet(network, [ Permutation p ]) ]
                let best = all |> List.map (objective share a b data) |> List.max
                Expect.isLessThan (abs (own - best)) 1e-5 $"share {share}"
                Expect.isLessThan (abs (Seq.last found.Objective - own)) 1e-5 "the objective told is its own"

        test "a weight with the same units on both sides counts once in the scale of activations" {
            let chain = Chain()
            chain.Add("flatten", Flatten()) |> ignore
            chain.Add("stem", Dense 5) |> ignore
            chain.Add("relu", Activation ActivationFunction.Relu) |> ignore
            chain.Add("inside", Dense 5) |> ignore
            chain.Add("sum", Sum(), [| "inside"; "relu" |]) |> ignore
            chain.Add("out", Dense 3) |> ignore
            let network = Network(chain.Build("residual", [| 1; 2; 2 |]))
            Expect.equal network.Groups.Length 1 "one order of units"
            use a = randomParameters network 1L
            use b = randomParameters network 2L
            use data = dataOf network 40
            let found = search 3.0 a b data
            let names = [ "stem.weight"; "stem.bias"; "inside.weight"; "inside.bias"; "out.weight" ]

            Expect.isLessThan
                (abs (Seq.last found.Objective - objective names 3.0 a b data found.Permutations))
                1e-4
                "its own"
        }

        test "without a share of activations it is annealing, and with a great one activation matching" {
            for name, network in networks do
                use a = randomParameters network 1L
                use b = randomParameters network 2L
                use data = dataOf network 50
                let annealed = AnnealedMatching.Match(a, b)

                for one, other in
                    Seq.zip annealed.Permutations.Permutations (search 0.0 a b data).Permutations.Permutations do
                    Expect.equal one other $"{name}: as by weights"

                use moved = (search 1e5 a b data).Permutations.Apply b
                let best = ActivationMatching.Match(a, b, data, byCorrelation).Objective[1]
                let own = correlations a moved data
                Expect.isLessThan (abs (own - best)) (1e-3 * best) $"{name}: as by activations"
                use between = (search 0.5 a b data).Permutations.Apply b
                let middle = correlations a between data
                use plain = annealed.Permutations.Apply b
                Expect.isGreaterThan middle (correlations a plain data) $"{name}: more alike than by weights"
        }

        test "a planted permutation is found again" {
            for name, network in networks do
                use a = randomParameters network 1L
                let planted = PermutationSet.Random(network, 3L)
                use b = planted.Apply a
                use data = dataOf network 50
                use back = DualSpaceMatching.Match(a, b, data).Permutations.Apply b
                Expect.isLessThan (difference back.Flat a.Flat) 1e-6 name
        }

        test "how examples are divided changes nothing, and only the examples asked for are read" {
            let network = snd networks[0]
            use a = randomParameters network 1L
            use b = randomParameters network 2L
            use data = dataOf network 60
            let answer options = List.ofSeq (DualSpaceMatching.Match(a, b, data, options)).Permutations.Permutations
            let own = answer (DualSpaceMatchingOptions(Share = 1.0))
            Expect.equal (answer (DualSpaceMatchingOptions(Share = 1.0, Batch = 7))) own "batches"
            use first = dataOf network 60
            first.Images.narrow(0L, 30L, 30L).zero_() |> ignore
            let part = DualSpaceMatchingOptions(Share = 1.0, Examples = 30)
            let seen = List.ofSeq (DualSpaceMatching.Match(a, b, first, part)).Permutations.Permutations
            Expect.equal seen (answer part) "examples"
        }

        test "where weights mislead, activations lead to the function itself" {
            let network = Network(Catalogue.Mlp([| 1; 2; 4 |], [| 12 |], 3))
            let data, a, b = decoy network (fun _ seed -> randomParameters network seed) 3L
            use task = data

            let off (found: SearchResult) =
                use moved = found.Permutations.Apply b
                use _ = torch.NewDisposeScope()
                let middle = new ParameterSet(network, (a.Flat + moved.Flat) / (2.0).ToScalar())
                difference (network.Forward(middle.Views, task.Images)) (network.Forward(a.Views, task.Images))

            Expect.isGreaterThan (off (AnnealedMatching.Match(a, b))) 0.01 "by weights"
            Expect.isLessThan (off (search 50.0 a b task)) 1e-5 "by both"
        }

        test "its options are those of the annealing" {
            let network = Network(Catalogue.Mlp([| 1; 4; 4 |], [| 30; 30; 30 |], 10))
            use data = dataOf network 20
            let told (found: SearchResult) = List.ofSeq found.Objective, found.Sweeps

            let answers reheats sweeps seed starts =
                [
                    for models in 1L .. 6L do
                        use a = randomParameters network models
                        use b = randomParameters network (models + 100L)

                        let dual =
                            DualSpaceMatchingOptions(
                                Share = 0.0,
                                Reheats = reheats,
                                MaxSweeps = sweeps,
                                Seed = seed,
                                Starts = starts
                            )

                        let annealed =
                            AnnealedMatchingOptions(Reheats = reheats, MaxSweeps = sweeps, Seed = seed, Starts = starts)

                        let found = told (DualSpaceMatching.Match(a, b, data, dual))
                        Expect.equal found (told (AnnealedMatching.Match(a, b, annealed))) "as annealing alone"
                        found
                ]

            let usual = answers 1 1000 0L 1

            for option, other in
                [
                    "reheats", answers 6 1000 0L 1
                    "passes", answers 1 1 0L 1
                    "seed", answers 1 1000 3L 1
                    "starts", answers 1 1000 0L 4
                ] do
                Expect.notEqual other usual $"{option} matter"
        }

        test "it begins where it is told to, and what cannot be matched is refused" {
            use a = randomParameters smallMlp 1L
            use b = randomParameters smallMlp 2L
            use task = toyTask smallMlp 20 3L
            let start = PermutationSet.Random(smallMlp, 5L)
            let from = DualSpaceMatching.Match(a, b, task, DualSpaceMatchingOptions(Share = 0.0), start)
            let plain = AnnealedMatching.Match(a, b, AnnealedMatchingOptions(), start)
            Expect.equal (List.ofSeq from.Objective) (List.ofSeq plain.Objective) "the same way"

            failsWith [ "dual-space matching"; "share"; "-1" ] (fun () -> search -1.0 a b task |> ignore)

            failsWith [ "dual-space matching"; "1 or more examples"; "found 0" ] (fun () ->
                DualSpaceMatching.Match(a, b, task, DualSpaceMatchingOptions(Examples = 0)) |> ignore)

            use broken = a.Clone()
            broken["fc1.bias"].fill_(infinityf) |> ignore

            failsWith [ "dual-space matching"; "finite activations"; "fc1" ] (fun () ->
                search 0.2 a broken task |> ignore)
        }
    ]
