module LmcDsl.Tests.Core.GlyphsTests

open System
open System.Security.Cryptography
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Measures
open LmcDsl.Core.Training
open TorchSharp

let private accuracyOf (data: ImageData) hidden epochs =
    let network = Network(Catalogue.Mlp([| 1; 28; 28 |], hidden, Glyphs.Classes))
    let options = TrainingOptions(Epochs = epochs, Schedule = LinearUpDown())
    use state = Trainer.Run(TrainingState.Start(network, 0L, torch.CPU), data.Train, options, 0L)
    (Evaluator.Evaluate(state.Parameters, data.Test)).Accuracy

let tests =
    testList "Glyphs" [
        testList "Drawing" [
            test "the bytes are always the same" {
                let struct (train, test) = Glyphs.Draw(200, 100)
                let hash (bytes: byte[]) = Convert.ToHexStringLower(SHA256.HashData bytes).Substring(0, 16)
                let found = [ hash train.Pixels; hash train.Labels; hash test.Pixels; hash test.Labels ]

                Expect.equal
                    found
                    [ "60acca0fe861ba0b"; "ef90c2a5de48dcc5"; "b61b5971c5a2c7ff"; "4bc3d209fc2b70f1" ]
                    "raise Glyphs.Version when the drawing changes"
            }
        ]

        test "a linear model stays below 97 %, a network gets above" {
            let struct (train, test) = Glyphs.Draw()
            use data = ImageData.Normalise(train, test, Glyphs.Classes)
            Expect.isLessThan (accuracyOf data [||] 5) 0.97 "linear"
            Expect.isGreaterThan (accuracyOf data [| 512; 512; 512 |] 8) 0.97 "three hidden layers"
        }
    ]
