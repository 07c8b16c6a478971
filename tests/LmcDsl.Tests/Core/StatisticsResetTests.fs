module LmcDsl.Tests.Core.StatisticsResetTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Merging
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private network = Network(Catalogue.ResNet20([| 3; 8; 8 |], 0.25))

let tests =
    testList "StatisticsReset" [
        test "on one batch, evaluation is then what training mode computes, up to the unbiased variance" {
            use model = randomParameters network 1L
            use task = toyTask network 400 2L
            StatisticsReset.Apply(model, task, 400, 400)
            use _ = torch.no_grad ()
            use scratch = model.Clone()
            use training = network.Forward(scratch.Views, task.Images, Mode.Training)
            use evaluation = network.Forward(model.Views, task.Images, Mode.Evaluation)
            Expect.isLessThan (difference training evaluation / training.abs().max().ToDouble()) 1e-2 "same outputs"
        }

        test "learned parameters stay, and what the statistics were before does not matter" {
            use model = randomParameters network 1L
            use other = model.Clone()

            for spec, view in Seq.zip network.Parameters other.Views do
                if not spec.Learned then
                    view.fill_ (5f) |> ignore

            use task = toyTask network 100 2L
            use before = model.Learned().clone()
            StatisticsReset.Apply(model, task, 100, 30)
            StatisticsReset.Apply(other, task, 100, 30)
            Expect.equal (difference before (model.Learned())) 0.0 "learned"
            Expect.equal (bytes model) (bytes other) "statistics"
        }

        test "it commutes with permutations" {
            use model = randomParameters network 1L
            use task = toyTask network 60 2L
            let set = PermutationSet.Random(network, 3L)
            use first = set.Apply model
            StatisticsReset.Apply(first, task)
            StatisticsReset.Apply(model, task)
            use then' = set.Apply model
            Expect.isLessThan (difference first.Flat then'.Flat) 1e-2 "either way"
        }

        test "a network without statistics is left as it is" {
            use model = randomParameters smallMlp 1L
            let before = bytes model
            StatisticsReset.Apply(model, toyTask smallMlp 10 1L)
            Expect.equal (bytes model) before "nothing to do"
            Expect.isFalse (StatisticsReset.Concerns smallMlp) "says so"
            Expect.isTrue (StatisticsReset.Concerns network) "and here it has"
        }

        test "too few examples are refused" {
            use model = randomParameters network 1L
            use task = toyTask network 10 1L
            failsWith [ "statistics reset"; "found 0" ] (fun () -> StatisticsReset.Apply(model, task, 0))
            failsWith [ "batch of 2"; "and 1" ] (fun () -> StatisticsReset.Apply(model, task, 10, 1))
        }
    ]
