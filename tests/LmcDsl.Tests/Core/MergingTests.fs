/// Merges beside the mean, on numbers that can be followed by hand.
module LmcDsl.Tests.Core.MergingTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Merging
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

/// One dense layer of 3 inputs, 2 outputs and no bias: six numbers.
let private six =
    Network(
        Architecture.FromJson
            """{"name":"six","input":[3],"nodes":[{"name":"a","layer":{"kind":"dense","units":2,"bias":false},"inputs":["input"]}]}"""
    )

let private model (numbers: float list) =
    new ParameterSet(six, torch.tensor (numbers |> List.map float32 |> List.toArray))

let private merged (method: MergeMethod) (models: float list list) : float list =
    let models = models |> List.map model |> List.toArray
    use result = method.Merge models
    result.Flat.data<float32>().ToArray() |> Array.map float |> List.ofArray

let private near (expected: float list) (found: float list) what =
    Expect.equal found.Length expected.Length what

    for x, y in List.zip expected found do
        Expect.isLessThan (abs (x - y)) 1e-6 $"{what}: expected {expected}, found {found}"

let private zero = [ 0.0; 0.0; 0.0; 0.0; 0.0; 0.0 ]
let private nan' = Nullable<float>()

/// A network with running statistics.
let private normed =
    Network(
        Architecture.FromJson
            """{"name":"normed","input":[3],"nodes":[
               {"name":"a","layer":{"kind":"dense","units":2},"inputs":["input"]},
               {"name":"n","layer":{"kind":"batchNorm"},"inputs":["a"]},
               {"name":"b","layer":{"kind":"dense","units":2},"inputs":["n"]}]}"""
    )

let private methods: MergeMethod list =
    [
        WeightedMerge [| 0.25; 0.75 |]
        SphericalMerge 0.25
        TaskArithmeticMerge(Nullable 2.0)
        TiesMerge(0.5, 2.0)
        DareMerge(0.5)
        DareMerge(0.5, Elect = true)
        LayerMerge [| WeightsOfLayer("a", [| 1.0; 0.0 |]) |]
    ]

let tests =
    testList "Merges" [
        test "weights: each number is the weighted sum, and none given is the mean" {
            let a, b = [ 1.0; 2.0; 3.0; 4.0; 5.0; 6.0 ], [ 5.0; 6.0; 7.0; 8.0; 9.0; 10.0 ]
            near [ 2.0; 3.0; 4.0; 5.0; 6.0; 7.0 ] (merged (WeightedMerge [| 0.75; 0.25 |]) [ a; b ]) "three quarters"
            near [ 3.0; 4.0; 5.0; 6.0; 7.0; 8.0 ] (merged (WeightedMerge [||]) [ a; b ]) "the mean"

            for weights in [ [| 0.5; 0.6 |]; [| 1.0 |]; [| 1.5; -0.5 |] ] do
                failsWith [ "2 weights"; "sum to 1" ] (fun () -> merged (WeightedMerge weights) [ a; b ] |> ignore)
        }

        test "spherical: a quarter circle is walked at even pace, and what is parallel is interpolated straight" {
            let x, y = [ 2.0; 0.0; 0.0; 0.0; 0.0; 0.0 ], [ 0.0; 2.0; 0.0; 0.0; 0.0; 0.0 ]
            let half = sqrt 2.0
            near [ half; half; 0.0; 0.0; 0.0; 0.0 ] (merged (SphericalMerge 0.5) [ x; y ]) "halfway, as long as both"
            let third = Math.PI / 6.0

            near
                [ 2.0 * cos third; 2.0 * sin third; 0.0; 0.0; 0.0; 0.0 ]
                (merged (SphericalMerge(1.0 / 3.0)) [ x; y ])
                "a third of the way"

            // Two vectors of length 2, 60 degrees apart: the middle is as long, at 30 degrees.
            near
                [ 2.0 * cos third; 2.0 * sin third; 0.0; 0.0; 0.0; 0.0 ]
                (merged (SphericalMerge 0.5) [ x; [ 1.0; sqrt 3.0; 0.0; 0.0; 0.0; 0.0 ] ])
                "an angle that is not right"

            near
                [ 5.0; 0.0; 0.0; 0.0; 0.0; 0.0 ]
                (merged (SphericalMerge 0.5) [ x; [ 8.0; 0.0; 0.0; 0.0; 0.0; 0.0 ] ])
                "parallel"

            near [ 0.0; 0.0; 0.0; 0.0; 0.0; 0.0 ] (merged (SphericalMerge 0.5) [ zero; zero ]) "of nothing nothing"
            near x (merged (SphericalMerge 0.0) [ x; y ]) "none of the second"
            failsWith [ "spherical"; "2 models"; "found 3" ] (fun () -> merged (SphericalMerge()) [ x; y; x ] |> ignore)
            failsWith [ "0 to 1"; "1.5" ] (fun () -> merged (SphericalMerge 1.5) [ x; y ] |> ignore)
        }

        test "task arithmetic: the base and what the others differ from it by, scaled" {
            let b = [ 1.0; 1.0; 1.0; 1.0; 1.0; 1.0 ]
            let one, two = [ 2.0; 1.0; 1.0; 1.0; 1.0; 1.0 ], [ 1.0; 4.0; 1.0; 1.0; 1.0; 1.0 ]
            let scaled (scale: float) = TaskArithmeticMerge(Nullable scale)
            near [ 1.4; 2.2; 1.0; 1.0; 1.0; 1.0 ] (merged (scaled 0.4) [ b; one; two ]) "0.4 of both"
            near [ 1.5; 2.5; 1.0; 1.0; 1.0; 1.0 ] (merged (TaskArithmeticMerge nan') [ b; one; two ]) "their mean"
            near [ 0.0; 1.0; 1.0; 1.0; 1.0; 1.0 ] (merged (scaled -1.0) [ b; one ]) "a task taken away"
            failsWith [ "a base and 1 or more" ] (fun () -> merged (scaled 1.0) [ b ] |> ignore)
            failsWith [ "finite scale" ] (fun () -> merged (scaled nan) [ b; one ] |> ignore)
        }

        test "TIES: trimmed to the largest, a sign elected, and those averaged that have it" {
            let one, two = [ 4.0; 3.0; -1.0; 0.5; 0.0; 2.0 ], [ 6.0; -4.0; -3.0; 0.25; 0.0; -1.0 ]
            // Of each the largest half: 4, 3, 2 and 6, -4, -3. Signs of the sums: +, -, -, , , +.
            near [ 5.0; -4.0; -3.0; 0.0; 0.0; 2.0 ] (merged (TiesMerge(0.5, 1.0)) [ zero; one; two ]) "by hand"
            near [ 2.5; -2.0; -1.5; 0.0; 0.0; 1.0 ] (merged (TiesMerge(0.5, 0.5)) [ zero; one; two ]) "scaled"
            // All of them: signs +, -, -, +, , +.
            near [ 5.0; -4.0; -2.0; 0.375; 0.0; 2.0 ] (merged (TiesMerge(1.0, 1.0)) [ zero; one; two ]) "untrimmed"
            let moved = List.map (fun x -> x + 10.0)

            near
                [ 15.0; 6.0; 7.0; 10.0; 10.0; 12.0 ]
                (merged (TiesMerge(0.5, 1.0)) [ moved zero; moved one; moved two ])
                "wherever the base is"

            near
                [ 0.0; 0.0; 0.0; 0.0; 0.0; 0.0 ]
                (merged (TiesMerge(1.0, 1.0)) [ zero; one; List.map (~-) one ])
                "no sign wins"

            near [ 4.0; 0.0; 0.0; 0.0; 0.0; 0.0 ] (merged (TiesMerge(0.01, 1.0)) [ zero; one ]) "one number at least"
            failsWith [ "density above 0"; "1.5" ] (fun () -> merged (TiesMerge(1.5, 1.0)) [ zero; one ] |> ignore)
            failsWith [ "density above 0" ] (fun () -> merged (TiesMerge(0.0, 1.0)) [ zero; one ] |> ignore)
        }

        test "DARE: what is kept is as much larger as is dropped, the seed says what, and all kept is task arithmetic" {
            let network = Network(Catalogue.Mlp([| 1; 4; 5 |], [| 40; 30 |], 10))
            use b = randomParameters network 1L
            use one = randomParameters network 2L
            use two = randomParameters network 3L

            let of' (method: DareMerge) =
                use result = method.Merge [| b; one |]
                (result.Flat - b.Flat).data<float32>().ToArray()

            let full = (one.Flat - b.Flat).data<float32>().ToArray()
            let quarter = of' (DareMerge(0.25, Seed = 5L))
            let kept = quarter |> Array.filter (fun x -> abs x > 1e-5f) |> Array.length
            let share = float kept / float full.Length
            Expect.isLessThan (abs (share - 0.25)) 0.03 "a quarter is kept"

            for k in 0 .. full.Length - 1 do
                if abs quarter[k] > 1e-5f then
                    Expect.isLessThan (abs (quarter[k] - 4.0f * full[k])) 1e-4f "four times as large"

            Expect.equal (of' (DareMerge(0.25, Seed = 5L))) quarter "the same seed"
            Expect.notEqual (of' (DareMerge(0.25, Seed = 6L))) quarter "another one"

            use all = DareMerge(1.0).Merge [| b; one; two |]
            use tasks = TaskArithmeticMerge(nan').Merge [| b; one; two |]
            Expect.isLessThan (difference all.Flat tasks.Flat) 1e-6 "nothing dropped"
            use scaled = DareMerge(1.0, Nullable 2.0).Merge [| b; one |]
            use doubled = TaskArithmeticMerge(Nullable 2.0).Merge [| b; one |]
            Expect.isLessThan (difference scaled.Flat doubled.Flat) 1e-6 "its scale"
            use elected = DareMerge(1.0, Elect = true).Merge [| b; one; two |]
            use ties = TiesMerge(1.0, 1.0).Merge [| b; one; two |]
            Expect.isLessThan (difference elected.Flat ties.Flat) 1e-6 "elected, it is TIES"

            // So do parameters: two layers of one shape do not drop the same.
            let square = Network(Catalogue.Mlp([| 1; 4; 5 |], [| 20; 20 |], 10))
            use nothing = ParameterSet.Zeros(square, torch.CPU)
            use everything = ParameterSet.Zeros(square, torch.CPU)
            everything.Flat.fill_ (TorchSharp.Scalar.op_Implicit 1.0) |> ignore
            use half = DareMerge(0.5).Merge [| nothing; everything |]
            let pattern name = half[name].data<float32>().ToArray()
            Expect.notEqual (pattern "fc2.weight") (pattern "fc1.weight") "each its own"

            // Models drop by themselves: two equal ones do not drop the same.
            use twice = DareMerge(0.5, Nullable 1.0).Merge [| b; one; one |]
            let sums = (twice.Flat - b.Flat).data<float32>().ToArray()
            let only = Array.zip sums full |> Array.filter (fun (s, f) -> abs (s - 2.0f * f) < 1e-4f && abs f > 1e-3f)
            Expect.isGreaterThan only.Length (full.Length / 4) "kept by one of the two"
        }

        test "by layer: those named have their weights, the others are averaged" {
            let network = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 5; 4 |], 3))
            use a = randomParameters network 1L
            use b = randomParameters network 2L

            let method = LayerMerge [| WeightsOfLayer("fc1", [| 1.0; 0.0 |]); WeightsOfLayer("fc*", [| 0.25; 0.75 |]) |]

            use found = method.Merge [| a; b |]

            for k in 0 .. network.Parameters.Length - 1 do
                let weight = if network.Parameters[k].Layer = "fc1" then 1.0 else 0.25
                let expected = a.Views[k].mul(weight.ToScalar()) + b.Views[k].mul((1.0 - weight).ToScalar())
                Expect.isLessThan (difference found.Views[k] expected) 1e-6 network.Parameters[k].Name

            use even = LayerMerge([| WeightsOfLayer("fc1", [| 1.0; 0.0 |]) |]).Merge [| a; b |]
            let mean = (a.Views[2] + b.Views[2]) / 2.0.ToScalar()
            Expect.isLessThan (difference even.Views[2] mean) 1e-6 "a layer that none names"

            failsWith [ "'fc9'"; "nearest: fc" ] (fun () ->
                LayerMerge([| WeightsOfLayer("fc9", [| 1.0; 0.0 |]) |]).Merge [| a; b |] |> ignore)

            failsWith [ "'fc1'"; "2 weights" ] (fun () ->
                LayerMerge([| WeightsOfLayer("fc1", [| 1.0 |]) |]).Merge [| a; b |] |> ignore)
        }

        test "running statistics are averaged, whatever the method, each model's by its weight: a variance is no weight" {
            use a = randomParameters normed 1L
            use b = randomParameters normed 2L

            let first: (MergeMethod * float) list =
                [
                    WeightedMerge [| 0.25; 0.75 |], 0.25
                    WeightedMerge [||], 0.5
                    SphericalMerge 0.25, 0.75
                    TaskArithmeticMerge(Nullable 2.0), 0.5
                    TiesMerge(0.5, 2.0), 0.5
                    DareMerge(0.5), 0.5
                    LayerMerge [| WeightsOfLayer("n", [| 1.0; 0.0 |]) |], 1.0
                    LayerMerge [| WeightsOfLayer("a", [| 1.0; 0.0 |]) |], 0.5
                ]

            for method, share in first do
                use found = method.Merge [| a; b |]

                for k in 0 .. normed.Parameters.Length - 1 do
                    if not normed.Parameters[k].Learned then
                        let mean = a.Views[k].mul(share.ToScalar()) + b.Views[k].mul((1.0 - share).ToScalar())
                        Expect.isLessThan (difference found.Views[k] mean) 1e-6 $"{method}: {normed.Parameters[k].Name}"
        }

        test "what is merged stays as it was, and two architectures are refused" {
            use a = randomParameters normed 1L
            use b = randomParameters normed 2L
            use other = randomParameters smallMlp 1L
            let before = bytes a, bytes b

            for method in methods do
                use _ = method.Merge [| a; b |]
                failsWith [ "one architecture" ] (fun () -> method.Merge [| a; other |] |> ignore)
                failsWith [ "1 or more models" ] (fun () -> method.Merge [||] |> ignore)

            Expect.equal (bytes a, bytes b) before "as they were"
        }

        test "the first groups only: they move as found, the others stay, and the function is the same" {
            let network = Network(Catalogue.Mlp([| 1; 2; 3 |], [| 7; 6; 5 |], 3))
            let all = PermutationSet.Random(network, 3L)
            use model = randomParameters network 1L
            let input = torch.randn ([| 4L; 1L; 2L; 3L |])

            for k in 0..3 do
                let first = PartialAlignment.First(all, k)

                for g in 0..2 do
                    let expected =
                        if g < k then
                            all.Permutations[g]
                        else
                            Permutation.Identity network.Groups[g].Units

                    Expect.equal first.Permutations[g] expected $"first {k}, group {g}"

                use moved = first.Apply model

                Expect.isLessThan
                    (difference
                        (network.Forward(moved.Views, input, Mode.Evaluation))
                        (network.Forward(model.Views, input, Mode.Evaluation)))
                    1e-5
                    "computes the same"

            for k in [ -1; 4 ] do
                failsWith [ "0 to 3"; $"found {k}" ] (fun () -> PartialAlignment.First(all, k) |> ignore)
        }

        test "units within copies go with their copies" {
            // Two dense layers around a grouped convolution: channels in groups have an order of their own.
            let network =
                Network(
                    Architecture.FromJson
                        """{"name":"grouped","input":[4,4,4],"nodes":[
                       {"name":"a","layer":{"kind":"convolution","channels":6,"kernel":1,"padding":0},"inputs":["input"]},
                       {"name":"b","layer":{"kind":"convolution","channels":6,"groups":2},"inputs":["a"]},
                       {"name":"p","layer":{"kind":"pooling","function":"Average","kernel":4},"inputs":["b"]},
                       {"name":"f","layer":{"kind":"flatten"},"inputs":["p"]},
                       {"name":"c","layer":{"kind":"dense","units":3},"inputs":["f"]}]}"""
                )

            let outer = network.Groups |> Seq.filter (fun g -> g.Parent < 0) |> Seq.length
            Expect.isLessThan outer network.Groups.Length "some groups are within copies"
            let all = PermutationSet.Random(network, 5L)

            for k in 0..outer do
                let first = PartialAlignment.First(all, k)
                let moved = first.Permutations |> Seq.filter (fun p -> not p.IsIdentity) |> Seq.length
                Expect.isLessThanOrEqual moved network.Groups.Length $"first {k}"

            Expect.sequenceEqual (PartialAlignment.First(all, outer)).Permutations all.Permutations "all of them"
        }
    ]
