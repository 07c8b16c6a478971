module LmcDsl.Tests.Core.BarrierTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Measures
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private task = toyTask smallMlp 50 1L

let tests =
    testList "Barrier" [
        test "between a model and itself it is 0 to rounding" {
            use a = randomParameters smallMlp 1L
            let curve = Barrier.Along(a, a, task, 5)
            Expect.isLessThan curve.Loss 1e-6 "loss"
            Expect.equal curve.Accuracy 0.0 "accuracy"
        }

        testPropertyWithConfig
            (config 20)
            "the ends of the curve are the models' own scores, and it runs backwards for the other order"
        <| fun (seed: int64) ->
            use a = randomParameters smallMlp seed
            use b = randomParameters smallMlp (seed + 1L)
            let there, back = Barrier.Along(a, b, task, 7), Barrier.Along(b, a, task, 7)
            Expect.equal there.Points[6].Score (Evaluator.Evaluate(a, task)) "lambda = 1 is a"
            Expect.equal there.Points[0].Score (Evaluator.Evaluate(b, task)) "lambda = 0 is b"
            Expect.isGreaterThanOrEqual there.Loss 0.0 "0 at the ends"

            for k in 0..6 do
                Expect.floatClose Accuracy.medium there.Points[k].Score.Loss back.Points[6 - k].Score.Loss $"point {k}"

        test "it is the largest excess over the line, checked by hand" {
            let at lambda loss accuracy = CurvePoint(lambda, Score(loss, accuracy))

            let curve =
                BarrierCurve(
                    System.Collections.Immutable.ImmutableArray.Create(
                        at 0.0 1.0 0.8,
                        at 0.5 4.0 0.3,
                        at 0.75 2.0 0.7,
                        at 1.0 3.0 0.6
                    )
                )

            Expect.floatClose Accuracy.high curve.Loss 2.0 "4 - (1 + 3)/2"
            Expect.floatClose Accuracy.high curve.MidpointLoss 2.0 "the same point"
            Expect.floatClose Accuracy.high curve.Accuracy 40.0 "(0.8 + 0.6)/2 - 0.3 in points"
        }

        test "between unequal ends it is the excess over the line, not over their mean" {
            let at lambda loss accuracy = CurvePoint(lambda, Score(loss, accuracy))

            // Lines from 1 to 5 and from 0.9 to 0.5: 2 and 0.8 at 1/4, 4 and 0.6 at 3/4. Over the ends' mean, 3, the excess would be 1.5.
            let curve =
                BarrierCurve(
                    System.Collections.Immutable.ImmutableArray.Create(
                        at 0.0 1.0 0.9,
                        at 0.25 3.25 0.5,
                        at 0.5 3.5 0.6,
                        at 0.75 4.5 0.55,
                        at 1.0 5.0 0.5
                    )
                )

            Expect.floatClose Accuracy.high curve.Loss 1.25 "3.25 - 2 at 1/4"
            Expect.floatClose Accuracy.high curve.MidpointLoss 0.5 "3.5 - 3"
            Expect.floatClose Accuracy.high curve.Accuracy 30.0 "80 - 50 at 1/4"
            Expect.floatClose Accuracy.high curve.MidpointAccuracy 10.0 "70 - 60"
        }

        test "a model that is better all along the line has no barrier, and a midpoint below 0" {
            let at lambda loss accuracy = CurvePoint(lambda, Score(loss, accuracy))

            let curve =
                BarrierCurve(
                    System.Collections.Immutable.ImmutableArray.Create(at 0.0 2.0 0.5, at 0.5 1.0 0.9, at 1.0 4.0 0.3)
                )

            Expect.equal (curve.Loss, curve.Accuracy) (0.0, 0.0) "at the ends"
            Expect.floatClose Accuracy.high curve.MidpointLoss -2.0 "1 - 3"
            Expect.floatClose Accuracy.high curve.MidpointAccuracy -50.0 "40 - 90"
        }

        for name, inputs, linear, first, last in
            [
                "that begins with a norm",
                200,
                -1,
                """{"name":"n","layer":{"kind":"batchNorm"},"inputs":["input"]},
                   {"name":"a","layer":{"kind":"dense","units":6,"bias":true},"inputs":["n"]}""",
                "a"
                "with so many inputs that its first layer's outputs are mixed",
                200,
                0,
                """{"name":"a","layer":{"kind":"dense","units":6,"bias":true},"inputs":["input"]},
                   {"name":"r","layer":{"kind":"activation","function":"Relu"},"inputs":["a"]}""",
                "r"
                "with fewer",
                100,
                0,
                """{"name":"a","layer":{"kind":"dense","units":6,"bias":true},"inputs":["input"]},
                   {"name":"r","layer":{"kind":"activation","function":"Relu"},"inputs":["a"]}""",
                "r"
                "whose input is read past its first layer",
                200,
                -1,
                """{"name":"a","layer":{"kind":"dense","units":200,"bias":true},"inputs":["input"]},
                   {"name":"s","layer":{"kind":"sum"},"inputs":["a","input"]}""",
                "s"
            ] do
            test $"every point is what a plain evaluation gives on a network {name}" {
                let network =
                    Network(
                        Architecture.FromJson
                            $$"""{"name":"x","input":[{{inputs}}],"nodes":[{{first}},
                               {"name":"o","layer":{"kind":"dense","units":3,"bias":true},"inputs":["{{last}}"]}]}"""
                    )

                Expect.equal network.FirstLinear linear "the first layer whose outputs may be mixed"
                use a = randomParameters network 1L
                use b = randomParameters network 2L
                use task = toyTask network 40 3L

                for point in Barrier.Along(a, b, task, 5).Points do
                    use plain = LmcDsl.Core.Merging.Average.Of([| a; b |], [| point.Lambda; 1.0 - point.Lambda |])

                    Expect.floatClose
                        Accuracy.medium
                        point.Score.Loss
                        (Evaluator.Evaluate(plain, task)).Loss
                        $"at {point.Lambda}"
            }

        test "with statistics to reset every inner point is reset on so many images, and the ends keep their own" {
            let network = Network(Catalogue.ResNet20([| 3; 8; 8 |], 0.125))
            use a = randomParameters network 1L
            use b = randomParameters network 2L
            use test = toyTask network 30 3L
            use train = toyTask network 60 4L
            let curve = Barrier.Along(a, b, test, 5, resetOn = train, resetExamples = 40)

            for point in curve.Points do
                use mixed = LmcDsl.Core.Merging.Average.Of([| a; b |], [| point.Lambda; 1.0 - point.Lambda |])

                if point.Lambda > 0.0 && point.Lambda < 1.0 then
                    LmcDsl.Core.Merging.StatisticsReset.Apply(mixed, train, 40)

                let wanted = Evaluator.Evaluate(mixed, test).Loss

                Expect.isLessThan
                    (abs (point.Score.Loss - wanted))
                    (1e-3 * (1.0 + abs wanted))
                    $"loss at {point.Lambda}"
        }

        test "the accuracy is the share of examples whose largest logit is the label's, by hand" {
            use a = randomParameters smallMlp 4L
            use logits = smallMlp.Forward(a.Views, task.Images)

            let largest =
                logits.data<float32>().ToArray()
                |> Array.chunkBySize 3
                |> Array.map (fun z -> Array.IndexOf(z, Array.max z))

            let labels = task.Labels.data<int64>().ToArray() |> Array.map int
            let right = Array.zip largest labels |> Array.filter (fun (x, y) -> x = y) |> Array.length
            Expect.equal (Evaluator.Evaluate(a, task)).Accuracy (float right / 50.0) "counted"
            Expect.isTrue (right > 0 && right < 50) "some right, some wrong"
        }

        test "a middle point is the score of the mean of the parameters" {
            use a = randomParameters smallMlp 1L
            use b = randomParameters smallMlp 2L
            use middle = LmcDsl.Core.Merging.Average.Of [| a; b |]
            let curve = Barrier.Along(a, b, task, 3)

            Expect.floatClose
                Accuracy.medium
                curve.Midpoint.Score.Loss
                (Evaluator.Evaluate(middle, task)).Loss
                "lambda = 1/2"
        }

        test "batches do not change a score" {
            use a = randomParameters smallMlp 1L
            let whole = Evaluator.Evaluate(a, task, 50)

            for batch in [ 1; 7; 49 ] do
                let score = Evaluator.Evaluate(a, task, batch)
                Expect.floatClose Accuracy.medium score.Loss whole.Loss $"loss, batch {batch}"
                Expect.equal score.Accuracy whole.Accuracy $"accuracy, batch {batch}"
        }

        test "the loss is the mean cross-entropy, computed by hand" {
            use a = randomParameters smallMlp 4L
            use logits = smallMlp.Forward(a.Views, task.Images)
            let z = logits.data<float32>().ToArray() |> Array.map float |> Array.chunkBySize 3
            let labels = task.Labels.data<int64>().ToArray()
            let loss k = log (Array.sumBy exp z[k]) - z[k][int labels[k]]

            Expect.floatClose
                Accuracy.medium
                (Evaluator.Evaluate(a, task)).Loss
                (Array.averageBy loss [| 0..49 |])
                "log-sum-exp"
        }

        testPropertyWithConfig
            (config 20)
            "the distance is the root of the sum of squares, and a common permutation keeps it"
        <| fun (seed: int64) ->
            use a = randomParameters smallMlp seed
            use b = randomParameters smallMlp (seed + 1L)
            let x, y = a.Flat.data<float32>().ToArray(), b.Flat.data<float32>().ToArray()
            let byHand = sqrt (Array.fold2 (fun s p q -> s + (float p - float q) ** 2.0) 0.0 x y)
            Expect.floatClose Accuracy.veryHigh (Distance.L2(a, b)) byHand "by hand"
            let set = PermutationSet.Random(smallMlp, seed)
            use a' = set.Apply a
            use b' = set.Apply b
            Expect.floatClose Accuracy.veryHigh (Distance.L2(a', b')) byHand "permuted alike"

        testPropertyWithConfig
            (config 20)
            "every point is what a plain evaluation of the mixed parameters gives, for any architecture"
        <| fun (seed: int) ->
            let network = Network(randomArchitecture (Random seed))
            use a = randomParameters network (int64 seed)
            use b = randomParameters network (int64 seed + 1L)
            use task = toyTask network 30 (int64 seed)

            for point in Barrier.Along(a, b, task, 4).Points do
                use _ = torch.NewDisposeScope()
                let mixed = b.Flat.mul((1.0 - point.Lambda).ToScalar()).add(a.Flat.mul (point.Lambda.ToScalar()))
                use plain = new ParameterSet(network, mixed)
                let score = Evaluator.Evaluate(plain, task)

                Expect.isLessThan
                    (abs (score.Loss - point.Score.Loss))
                    (1e-3 * max 1.0 (abs score.Loss))
                    $"loss at {point.Lambda}"

        test "fewer than 3 points are refused" {
            use a = randomParameters smallMlp 1L
            failsWith [ "3 or more points"; "2" ] (fun () -> Barrier.Along(a, a, task, 2) |> ignore)
        }
    ]
