module LmcDsl.Tests.Core.TaylorEstimateTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Measures
open LmcDsl.Tests.Fixtures
open TorchSharp

/// Smooth, so that differences have a limit.
let private smooth =
    Network(
        Architecture.FromJson
            """{"name":"smooth","input":[6],"nodes":[
               {"name":"a","layer":{"kind":"dense","units":5,"bias":true},"inputs":["input"]},
               {"name":"t","layer":{"kind":"activation","function":"Tanh"},"inputs":["a"]},
               {"name":"o","layer":{"kind":"dense","units":3,"bias":true},"inputs":["t"]}]}"""
    )

let private lossAlong (a: ParameterSet) (b: ParameterSet) data (t: float) =
    use _ = torch.NewDisposeScope()
    use there = new ParameterSet(a.Network, a.Flat + (b.Flat - a.Flat) * t.ToScalar())
    Evaluator.Evaluate(there, data).Loss

let tests =
    testList "TaylorEstimate" [
        testPropertyWithConfig (config 10) "both orders are those of finite differences of the loss along the line"
        <| fun (seed: int64) ->
            use a = randomParameters smooth seed
            use b = randomParameters smooth (seed + 1L)
            use task = toyTask smooth 50 3L
            let found = TaylorEstimate.AtMidpoint(a, b, task, 17)
            let loss = lossAlong a b task
            let h = 0.02
            let slope t = (loss (t + h) - loss (t - h)) / (2.0 * h)
            let curvature t = (loss (t + h) - 2.0 * loss t + loss (t - h)) / (h * h)
            let scale = 1.0 + abs (slope 0.0) + abs (slope 1.0)
            Expect.isLessThan (abs (found.FirstOrder - (slope 0.0 - slope 1.0) / 4.0)) (5e-3 * scale) "first order"
            let wanted = (curvature 0.0 + curvature 1.0) / 16.0
            Expect.isLessThan (abs (found.SecondOrder - wanted)) (2e-2 * (scale + abs wanted)) "second order"

        testPropertyWithConfig (config 10) "for models near each other it is the barrier at the midpoint"
        <| fun (seed: int64) ->
            use a = randomParameters smooth seed
            use step = randomParameters smooth (seed + 1L)
            use b = new ParameterSet(smooth, a.Flat + step.Flat * 0.3f.ToScalar())
            use task = toyTask smooth 50 3L
            let barrier = lossAlong a b task 0.5 - (lossAlong a b task 0.0 + lossAlong a b task 1.0) / 2.0
            let found = TaylorEstimate.AtMidpoint(a, b, task)
            Expect.isLessThan (abs (found.Estimate - barrier)) (0.2 * abs barrier + 2e-3) "the same"

        test "it does not depend on the batch, and of a model with itself it is 0" {
            use a = randomParameters smallMlp 1L
            use b = randomParameters smallMlp 2L
            use task = toyTask smallMlp 40 3L
            let one, other = TaylorEstimate.AtMidpoint(a, b, task, 40), TaylorEstimate.AtMidpoint(a, b, task, 7)
            Expect.floatClose Accuracy.low one.Estimate other.Estimate "batches"
            Expect.equal (TaylorEstimate.AtMidpoint(a, a, task).Estimate) 0.0 "itself"
        }

        test "it can be taken through convolutions, pooling and batch norm" {
            let network = Network(Catalogue.Vgg11([| 3; 32; 32 |], 0.03, 10, Norm.Batch))
            use a = randomParameters network 1L
            use b = randomParameters network 2L
            use task = toyTask network 8 3L
            Expect.isTrue (System.Double.IsFinite(TaylorEstimate.AtMidpoint(a, b, task).Estimate)) "finite"
        }

        test "it is the same where the caller has nothing recorded" {
            use a = randomParameters smooth 1L
            use b = randomParameters smooth 2L
            use task = toyTask smooth 40 3L
            let expected = TaylorEstimate.AtMidpoint(a, b, task)
            use _ = torch.no_grad ()
            Expect.equal (TaylorEstimate.AtMidpoint(a, b, task)) expected "the same"
        }
    ]
