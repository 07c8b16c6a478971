module LmcDsl.Tests.Core.ActivationMatchingTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Matching
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private options =
    [
        "covariance", ActivationMatchingOptions()
        "correlation", ActivationMatchingOptions(Correlation = true)
    ]

/// cov(x_i, y_j) over the rows of two matrices of samples, by the definition.
let private covariance (x: float[][]) (y: float[][]) i j =
    let mean k (rows: float[][]) = rows |> Array.averageBy (Array.item k)
    let mx, my = mean i x, mean j y
    Array.zip x y |> Array.averageBy (fun (p, q) -> (p[i] - mx) * (q[j] - my))

/// corr(x_i, y_j), 0 where a unit does not vary.
let private correlation (x: float[][]) (y: float[][]) i j =
    let scale = sqrt (covariance x x i i) * sqrt (covariance y y j j)
    if scale > 0.0 then covariance x y i j / scale else 0.0

let private activations (network: Network) (model: ParameterSet) (images: torch.Tensor) node =
    let found = ref [||]

    network.Forward(
        model.Views,
        images,
        Mode.Evaluation,
        (fun name (out: torch.Tensor) ->
            if name = node then
                found.Value <- out.data<float32>().ToArray() |> Array.map float |> Array.chunkBySize (int out.shape[1]))
    )
    |> ignore

    found.Value

let tests =
    testList "ActivationMatching" [
        test "covariances of very large and very small activations are those of common ones, in their units" {
            use _ = torch.NewDisposeScope()
            use generator = LmcDsl.Core.Runtime.Seeds.Generator(1L, "activations")
            let x, y = torch.randn (3L, 50L, generator = generator), torch.randn (3L, 50L, generator = generator)

            let covariance (ofX: float) (ofY: float) =
                let moments = CrossMoments(3, torch.CPU)
                moments.Add(x * TorchSharp.Scalar.op_Implicit ofX, y * TorchSharp.Scalar.op_Implicit ofY)
                moments.Covariance() / TorchSharp.Scalar.op_Implicit (ofX * ofY)

            let expected = covariance 1.0 1.0

            for one in [ -50; 0; 50 ] do
                for other in [ -50; 0; 50 ] do
                    let found = covariance (Math.ScaleB(1.0, one)) (Math.ScaleB(1.0, other))
                    Expect.isLessThan (difference found expected) 1e-6 $"2^{one} and 2^{other}"
        }

        test "a transformer matched to itself stays as it is, queries and keys within heads included" {
            use _ = torch.NewDisposeScope()
            let options = TransformerOptions(Layers = 2, Width = 12, Heads = 3, Context = 5)

            for architecture in
                [
                    Catalogue.Gpt(11, options)
                    Catalogue.Llama(11, options)
                    Catalogue.Bert(11, 4, options)
                    Catalogue.Vit([| 1; 4; 4 |], 2, 4, options)
                ] do
                let network = Network architecture
                use a = randomParameters network 1L
                let labels = if network.Positions.HasValue then [| 64L; 5L |] else [| 64L |]
                use data = new DataSplit(randomInput network 64 2L, torch.zeros (labels, torch.int64))
                let found = (ActivationMatching.Match(a, a, data)).Permutations

                for group, permutation in Seq.zip network.Groups found.Permutations do
                    Expect.isTrue permutation.IsIdentity $"{architecture.Name}: {group.Name}"
        }

        for name, options in options do
            testPropertyWithConfig (config 20) $"a planted permutation is found again, by {name}"
            <| fun (seed: int64) ->
                let network = Network(Catalogue.Mlp([| 1; 2; 4 |], [| 20; 15 |], 5))
                use a = randomParameters network seed
                let planted = PermutationSet.Random(network, seed)
                use b = planted.Apply a
                use task = toyTask network 300 seed
                let found = ActivationMatching.Match(a, b, task, options).Permutations
                use back = found.Apply b
                // Units that never fire are alike; all others must be where they were.
                use x = task.Images
                let left, right = activations network a x "relu2", activations network back x "relu2"

                let worst =
                    Array.map2 (fun p q -> Array.map2 (fun u v -> abs (u - v)) p q |> Array.max) left right |> Array.max

                Expect.isLessThan worst 1e-3 "the same activations, unit by unit"

        for name, similarity, byCorrelation in [ "covariances", covariance, false; "correlations", correlation, true ] do
            test
                $"the objective is the sum of the matched units' {name}, by the definition, over the examples asked for" {
                use a = randomParameters smallMlp 1L
                use b = randomParameters smallMlp 2L
                use task = toyTask smallMlp 77 3L

                for examples in [ 77; 40 ] do
                    let options =
                        ActivationMatchingOptions(Batch = 10, Examples = examples, Correlation = byCorrelation)

                    let found = ActivationMatching.Match(a, b, task, options)
                    use images = task.Images.narrow (0L, 0L, int64 examples)

                    let total (set: PermutationSet) =
                        List.sum [
                            for g, node in [ 0, "relu1"; 1, "relu2" ] do
                                let x, y = activations smallMlp a images node, activations smallMlp b images node

                                for i, j in Seq.indexed set.Permutations[g].Sources do
                                    similarity x y i j
                        ]

                    let before = total (PermutationSet.Identity smallMlp)
                    Expect.isLessThan (abs (found.Objective[0] - before)) 1e-5 "before"
                    Expect.isLessThan (abs (found.Objective[1] - total found.Permutations)) 1e-5 "after"
                    Expect.isGreaterThanOrEqual found.Objective[1] found.Objective[0] "never worse"
            }

        test "by correlation a loud unit does not draw the others to it, by covariance it does" {
            // Units x1 and x2 of the inputs, and of model b 10 x1 + 4 x2 and x1 (in that order), on four inputs (+-1, +-1) shifted to be positive.
            let network = Network(Catalogue.Mlp([| 1; 1; 2 |], [| 2 |], 2))
            use a = randomParameters network 1L
            use b = randomParameters network 1L
            a["fc1.weight"].copy_(torch.tensor([| 1f; 0f; 0f; 1f |]).view(2L, 2L)) |> ignore
            b["fc1.weight"].copy_(torch.tensor([| 10f; 4f; 1f; 0f |]).view(2L, 2L)) |> ignore

            for model in [ a; b ] do
                model["fc1.bias"].fill_(20f) |> ignore

            use task =
                new LmcDsl.Core.Data.DataSplit(
                    torch.tensor([| 1f; 1f; 1f; -1f; -1f; 1f; -1f; -1f |]).view(4L, 1L, 1L, 2L),
                    torch.zeros (4L, torch.int64)
                )

            let answer byCorrelation =
                let options = ActivationMatchingOptions(Correlation = byCorrelation)
                ActivationMatching.Match(a, b, task, options).Permutations.Permutations[0].Sources |> List.ofSeq

            // Covariances [10 1; 4 0]: 10 + 0 against 1 + 4. Correlations [0.93 1; 0.37 0]: 0.93 + 0 against 1 + 0.37.
            Expect.equal (answer false) [ 0; 1 ] "covariance"
            Expect.equal (answer true) [ 1; 0 ] "correlation"
        }

        test "batches do not change the answer" {
            use a = randomParameters smallMlp 1L
            use b = randomParameters smallMlp 2L
            use task = toyTask smallMlp 60 3L

            let answers =
                [
                    for batch in [ 1; 7; 60; 1000 ] ->
                        ActivationMatching
                            .Match(a, b, task, ActivationMatchingOptions(Batch = batch))
                            .Permutations.Permutations
                        |> List.ofSeq
                ]

            for answer in answers do
                Expect.equal answer answers.Head "same"
        }

        test "it works on convolutions, over all positions, and on shared stages" {
            let network = Network(Catalogue.ResNet20([| 3; 8; 8 |], 0.25))
            use a = randomParameters network 1L
            let planted = PermutationSet.Random(network, 2L)
            use b = planted.Apply a
            use task = toyTask network 60 3L
            let found = ActivationMatching.Match(a, b, task)
            use back = found.Permutations.Apply b
            Expect.isLessThan (difference back.Flat a.Flat) 1e-6 "the planted permutation undone"
        }

        test "what cannot be matched is refused" {
            use a = randomParameters smallMlp 1L
            use task = toyTask smallMlp 10 3L
            use other = randomParameters (Network(Catalogue.Mlp([| 1; 2; 3 |], [| 5 |], 3))) 1L
            failsWith [ "one architecture" ] (fun () -> ActivationMatching.Match(a, other, task) |> ignore)

            failsWith [ "1 or more examples"; "found 0" ] (fun () ->
                ActivationMatching.Match(a, a, task, ActivationMatchingOptions(Examples = 0)) |> ignore)

            use constant = a.Clone()
            constant["fc1.weight"].zero_() |> ignore

            failsWith [ "activations in group 'fc1' that vary"; "constant ones in the model to align" ] (fun () ->
                ActivationMatching.Match(a, constant, task) |> ignore)

            failsWith [ "constant ones in the reference model" ] (fun () ->
                ActivationMatching.Match(constant, a, task) |> ignore)

            use broken = a.Clone()
            broken["fc1.bias"].fill_(infinityf) |> ignore

            for _, options in options do
                failsWith [ "finite activations"; "fc1"; "the model to align" ] (fun () ->
                    ActivationMatching.Match(a, broken, task, options) |> ignore)
        }

        test "units that nothing reads stay where they are" {
            use a = randomParameters unreadGroup 1L
            let planted = PermutationSet.Random(unreadGroup, 2L)
            use b = planted.Apply a
            use task = toyTask unreadGroup 100 3L

            for _, options in options do
                let found = (ActivationMatching.Match(a, b, task, options)).Permutations.Permutations
                Expect.equal (List.ofSeq (Seq.map fst (Seq.indexed found))) [ 0; 1 ] "two groups"
                Expect.isTrue found[1].IsIdentity "nothing is known of them"
                Expect.isTrue (found[0].After(planted.Permutations[0])).IsIdentity "the others are found"
        }
    ]
