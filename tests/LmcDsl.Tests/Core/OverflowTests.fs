module LmcDsl.Tests.Core.OverflowTests

open System.Collections.Immutable
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Merging
open LmcDsl.Core.Spectra
open LmcDsl.Core.Training
open LmcDsl.Tests.Fixtures
open TorchSharp

let private task = toyTask smallMlp 50 1L

let private scaled (model: ParameterSet) (factors: (string * float) list) =
    let copy = model.Clone()

    for name, factor in factors do
        copy[name].mul_(factor.ToScalar()) |> ignore

    copy

/// Two models of one function whose mean overflows: one has a large first layer and a small second one, the other has it the other way.
let private opposite (network: Network) (first: string) (second: string) =
    let model = randomParameters network 1L
    scaled model [ first, 1e30; second, 1e-30 ], scaled model [ first, 1e-30; second, 1e30 ]

/// A model whose second layer overflows.
let private overflowing () = scaled (randomParameters smallMlp 1L) [ "fc1.weight", 1e30; "fc2.weight", 1e30 ]

let private a, private b = opposite smallMlp "fc1.weight" "fc2.weight"

let private normed =
    Network(
        Architecture.FromJson
            """{"name":"norm","input":[1,2,3],"nodes":[
               {"name":"f","layer":{"kind":"flatten"},"inputs":["input"]},
               {"name":"a","layer":{"kind":"dense","units":9,"bias":true},"inputs":["f"]},
               {"name":"n","layer":{"kind":"batchNorm"},"inputs":["a"]},
               {"name":"o","layer":{"kind":"dense","units":3,"bias":true},"inputs":["n"]}]}"""
    )

let tests =
    testList "Overflow" [
        test "a barrier whose inner points overflow is refused, and names the lambda and the layer" {
            for model in [ a; b ] do
                Expect.isTrue (System.Double.IsFinite (Evaluator.Evaluate(model, task)).Loss) "each has a loss"

            failsWith [ "barrier at lambda = 0.25"; "'fc2'" ] (fun () -> Barrier.Along(a, b, task, 5) |> ignore)
            let network = Network(Catalogue.Vgg11([| 1; 32; 32 |], 0.125, 3, Norm.None))
            use images = toyTask network 4 1L
            let a, b = opposite network "conv2.weight" "conv3.weight"

            failsWith [ "barrier at lambda = 0.5"; "'conv3'" ] (fun () -> Barrier.Along(a, b, images, 3) |> ignore)
        }

        test "a curve with a score that is none has no barrier" {
            let point lambda loss = CurvePoint(lambda, Score(loss, 0.5))
            let points = ImmutableArray.Create(point 0.0 1.0, point 0.5 nan, point 1.0 1.0)
            failsWith [ "lambda = 0.5"; "NaN" ] (fun () -> BarrierCurve points |> ignore)
        }

        test "accuracy on logits that are none is refused, and names what overflowed" {
            use broken = overflowing ()

            failsWith [ "finite logits"; "output of layer 'fc2'" ] (fun () ->
                Evaluator.Evaluate(broken, task) |> ignore)

            broken["fc3.bias"].fill_(nanf) |> ignore
            failsWith [ "NaN"; "'fc3.bias'" ] (fun () -> Evaluator.Evaluate(broken, task) |> ignore)
        }

        test "finite logits have a loss, if their sum is beyond float" {
            use model = randomParameters smallMlp 1L
            let factor = 1e37
            use large = scaled model [ "fc3.weight", factor; "fc3.bias", factor ]
            let score = Evaluator.Evaluate(large, task)
            Expect.isGreaterThan (score.Loss * 50.0) 3.5e38 "their sum"
            Expect.isLessThan score.Loss 1e39 "their mean"
            Expect.equal score.Accuracy (Evaluator.Evaluate(model, task)).Accuracy "the largest logit is the same"
        }

        test "a landscape names the point that overflows" {
            use c = randomParameters smallMlp 3L
            failsWith [ "landscape at ("; "'fc2'" ] (fun () -> Landscape.Over(a, b, c, task, 3) |> ignore)
            use broken = c.Clone()
            broken["fc1.bias"].fill_(nanf) |> ignore

            failsWith [ "landscape"; "third model"; "'fc1.bias'" ] (fun () ->
                Landscape.Over(a, b, broken, task, 3) |> ignore)
        }

        test "straight-through searches do not take NaN for the least loss" {
            failsWith [ "straight-through at step 0"; "lambda = 0.5"; "'fc2'" ] (fun () ->
                StraightThrough.Match(a, b, task, StraightThroughOptions(Steps = 2)) |> ignore)

            failsWith [ "straight-through at step 0"; "lambda = 0.5"; "'fc2'" ] (fun () ->
                SinkhornStraightThrough.Match(a, b, task, SinkhornStraightThroughOptions(Steps = 2)) |> ignore)
        }

        test "derivatives that overflow are refused, and the model is named" {
            failsWith [ "Taylor estimate"; "model" ] (fun () -> TaylorEstimate.AtMidpoint(a, b, task) |> ignore)
        }

        test "a training whose last step overflows is refused" {
            let options = TrainingOptions(Epochs = 1, BatchSize = 50, LearningRate = 1e40, Optimizer = Sgd 0.0)

            failsWith [ "training stopped after epoch 1"; "NaN or infinity"; "fc1.weight" ] (fun () ->
                Trainer.Run(TrainingState.Start(smallMlp, 1L, torch.CPU), task, options, 1L) |> ignore)
        }

        test "statistics that overflow are refused, and the norm is named" {
            use model = scaled (randomParameters normed 1L) [ "a.weight", 1e25 ]
            failsWith [ "statistics reset"; "'n'" ] (fun () -> StatisticsReset.Apply(model, task))
            use other = randomParameters normed 2L

            failsWith [ "barrier at lambda = 0.5"; "statistics reset"; "'n'" ] (fun () ->
                Barrier.Along(model, other, task, 3, null, task) |> ignore)
        }

        test "a correction on outputs that overflow is refused, and the layer is named" {
            use merged = overflowing ()
            failsWith [ "renormalisation"; "'fc2'" ] (fun () -> Renormalisation.Apply(merged, [| a |], task))
        }

        test "distances of what is none, and singular values beyond float, are refused" {
            use broken = a.Clone()
            broken["fc2.bias"].fill_(nanf) |> ignore
            failsWith [ "distance"; "second model"; "'fc2.bias'" ] (fun () -> Distance.L2(a, broken) |> ignore)
            use large = randomParameters smallMlp 1L
            large["fc1.weight"].fill_(3e38f) |> ignore
            failsWith [ "'fc1.weight'"; "singular values" ] (fun () -> Spectrum.Of large |> ignore)
        }

        test "a bound, and a projection, on inputs that overflow or are all zero are refused" {
            use broken = overflowing ()
            failsWith [ "output bound"; "layer" ] (fun () -> LayerBound.Between(broken, a, task, 0.3) |> ignore)
            use dead = randomParameters smallMlp 1L
            dead["fc1.weight"].fill_(1e-3f) |> ignore
            dead["fc1.bias"].fill_(-10f) |> ignore

            failsWith [ "input projection"; "'fc2.weight'"; "zero" ] (fun () ->
                InputProjection.Of(dead, task) |> ignore)
        }
    ]
