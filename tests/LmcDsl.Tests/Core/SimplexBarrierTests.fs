module LmcDsl.Tests.Core.SimplexBarrierTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Measures
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures

let private models count = [| for seed in 1..count -> randomParameters smallMlp (int64 seed) |]

let tests =
    testList "SimplexBarrier" [
        test "of two models it is the barrier of the line between them" {
            let two = models 2
            let data = toyTask smallMlp 60 1L
            let mixtures = SimplexBarrier.Over(two, data, 10)
            let line = Barrier.Along(two[0], two[1], data, 11)
            Expect.floatClose Accuracy.high (mixtures |> Seq.map _.Excess |> Seq.max) line.Loss "the largest excess"
            Expect.equal mixtures.Length 11 "as many points"
        }

        test "mixtures are all multiples of the part that sum to 1, the models themselves among them without excess" {
            let three = models 3
            let data = toyTask smallMlp 60 1L
            let mixtures = SimplexBarrier.Over(three, data, 4)
            Expect.equal mixtures.Length 15 "6 over 2"

            Expect.equal
                ([ for m in mixtures -> [ for share in m.Shares -> share ] ] |> List.distinct |> List.length)
                15
                "each once"

            for mixture in mixtures do
                Expect.floatClose Accuracy.high (List.sum [ for share in mixture.Shares -> share ]) 1.0 "shares"

                if Seq.contains 1.0 mixture.Shares then
                    let k = mixture.Shares |> Seq.findIndex ((=) 1.0)
                    Expect.equal mixture.Excess 0.0 "a model by itself"

                    Expect.floatClose
                        Accuracy.high
                        mixture.Score.Loss
                        (Evaluator.Evaluate(three[k], data).Loss)
                        "its own loss"
                else
                    use mixed = three[0].Clone()
                    mixed.Flat.zero_ () |> ignore

                    for share, model in Seq.zip mixture.Shares three do
                        mixed.Flat.add_ (model.Flat * TorchSharp.Scalar.op_Implicit share) |> ignore

                    let ends =
                        Seq.map2
                            (fun (share: float) (m: ParameterSet) -> share * Evaluator.Evaluate(m, data).Loss)
                            mixture.Shares
                            three
                        |> Seq.sum

                    let expected = Evaluator.Evaluate(mixed, data).Loss - ends
                    Expect.floatClose Accuracy.medium mixture.Excess expected "by hand"
        }

        test "statistics of mixtures are reset, those of the models themselves are not" {
            let network =
                Network(
                    Architecture.FromJson
                        """{"name":"normed","input":[3],"nodes":[
                           {"name":"a","layer":{"kind":"dense","units":4},"inputs":["input"]},
                           {"name":"n","layer":{"kind":"batchNorm"},"inputs":["a"]},
                           {"name":"r","layer":{"kind":"activation","function":"Relu"},"inputs":["n"]},
                           {"name":"b","layer":{"kind":"dense","units":3},"inputs":["r"]}]}"""
                )

            let two = [| for seed in 1L .. 2L -> randomParameters network seed |]
            let data = toyTask network 60 1L
            let found = SimplexBarrier.Over(two, data, 2, resetOn = data, resetExamples = 60)

            for mixture in found do
                use mixed = two[0].Clone()
                mixed.Flat.zero_ () |> ignore

                for share, model in Seq.zip mixture.Shares two do
                    mixed.Flat.add_ (model.Flat * TorchSharp.Scalar.op_Implicit share) |> ignore

                if Seq.max mixture.Shares < 1.0 then
                    LmcDsl.Core.Merging.StatisticsReset.Apply(mixed, data, 60)

                let expected = Evaluator.Evaluate(mixed, data).Loss
                Expect.floatClose Accuracy.medium mixture.Score.Loss expected $"{List.ofSeq mixture.Shares}"
        }

        test "too few models, parts or too many mixtures are refused" {
            let data = toyTask smallMlp 60 1L
            failsWith [ "2 or more models" ] (fun () -> SimplexBarrier.Over(models 1, data) |> ignore)
            failsWith [ "1 or more parts" ] (fun () -> SimplexBarrier.Over(models 2, data, 0) |> ignore)
            failsWith [ "at most"; "mixtures" ] (fun () -> SimplexBarrier.Over(models 6, data, 100) |> ignore)

            failsWith [ "at most"; "mixtures" ] (fun () ->
                SimplexBarrier.Over(models 2, data, System.Int32.MaxValue) |> ignore)
        }
    ]
