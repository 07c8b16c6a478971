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

        test "too few models, parts or too many mixtures are refused" {
            let data = toyTask smallMlp 60 1L
            failsWith [ "2 or more models" ] (fun () -> SimplexBarrier.Over(models 1, data) |> ignore)
            failsWith [ "1 or more parts" ] (fun () -> SimplexBarrier.Over(models 2, data, 0) |> ignore)
            failsWith [ "at most"; "mixtures" ] (fun () -> SimplexBarrier.Over(models 6, data, 100) |> ignore)
        }
    ]
