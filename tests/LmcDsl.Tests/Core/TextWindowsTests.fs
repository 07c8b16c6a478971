module LmcDsl.Tests.Core.TextWindowsTests

open Expecto
open LmcDsl.Core.Data
open LmcDsl.Tests.Fixtures
open TorchSharp

let private values (tensor: torch.Tensor) = tensor.data<int64>().ToArray() |> List.ofArray

let tests =
    testList "TextWindows" [
        test "windows follow one another, and each position's label is the next token" {
            use split = TextWindows.Cut("text", System.ReadOnlySpan [| 5L; 1L; 2L; 3L; 4L; 0L; 6L; 7L |], 3)
            Expect.equal split.Images.shape [| 2L; 3L |] "two windows"
            Expect.equal (values split.Images) [ 5L; 1L; 2L; 3L; 4L; 0L ] "inputs"
            Expect.equal (values split.Labels) [ 1L; 2L; 3L; 4L; 0L; 6L ] "labels"
        }

        test "tokens out of range and texts shorter than a window are told" {
            let of' train context = TextWindows.Of("text", train, [| 0L; 1L |], 5, context) |> ignore
            failsWith [ "text, training part"; "0 to 4"; "found 7"; "place 1" ] (fun () -> of' [| 1L; 7L |] 1)
            failsWith [ "text"; "training part"; "5 or more tokens" ] (fun () -> of' [| 1L; 2L |] 4)
            failsWith [ "text"; "test part"; "5 or more tokens" ] (fun () -> of' [| 1L; 2L; 3L; 4L; 1L |] 4)
            failsWith [ "windows of 1 or more"; "found 0" ] (fun () -> of' [| 1L; 2L |] 0)
        }

        test "a text's loss and accuracy are means over all positions of all windows" {
            use _ = torch.NewDisposeScope()
            use _ = torch.no_grad ()

            let options = LmcDsl.Core.Architectures.TransformerOptions(Layers = 1, Width = 4, Heads = 2, Context = 3)
            let network = LmcDsl.Core.Architectures.Network(LmcDsl.Core.Architectures.Catalogue.Gpt(7, options))
            use model = randomParameters network 1L
            use split = TextWindows.Cut("text", System.ReadOnlySpan [| for k in 0L .. 15L -> 3L * k % 7L |], 3)

            let logits =
                network.Forward(model.Views, split.Images, LmcDsl.Core.Architectures.Mode.Evaluation).view(15L, 7L)

            let labels = split.Labels.flatten ()
            let likely = logits.log_softmax(1L).gather(1L, labels.unsqueeze 1L).mean().ToDouble()
            let right = logits.argmax(1L).eq(labels).sum().ToDouble()

            for batch in [ 2; 5 ] do
                let score = LmcDsl.Core.Measures.Evaluator.Evaluate(model, split, batch)
                Expect.isLessThan (abs (score.Loss + likely)) 1e-5 $"loss, {batch} windows at once"
                Expect.floatClose Accuracy.high score.Accuracy (right / 15.0) $"accuracy, {batch} windows at once"
        }

        test "tokens beyond a network's, a longer context, and images for a network of tokens are refused" {
            let gpt context vocabulary =
                LmcDsl.Core.Architectures.Network(
                    LmcDsl.Core.Architectures.Catalogue.Gpt(
                        vocabulary,
                        LmcDsl.Core.Architectures.TransformerOptions(
                            Layers = 1,
                            Width = 4,
                            Heads = 2,
                            Context = context
                        )
                    )
                )

            use split = TextWindows.Cut("text", System.ReadOnlySpan [| 5L; 1L; 2L; 3L; 4L; 0L; 6L; 7L |], 3)
            failsWith [ "5 tokens"; "found token 5" ] (fun () -> Fit.Require(gpt 3 5, split, "evaluation"))
            failsWith [ "[4]"; "[3]" ] (fun () -> Fit.Require(gpt 4 8, split, "evaluation"))

            failsWith [ "reads numbers"; "tokens" ] (fun () ->
                Fit.Require(
                    LmcDsl.Core.Architectures.Network(LmcDsl.Core.Architectures.Catalogue.Mlp([| 3 |], [| 2 |], 8)),
                    split,
                    "evaluation"
                ))

            failsWith [ "reads tokens"; "found numbers" ] (fun () ->
                use images = new DataSplit(torch.rand (2L, 3L), torch.zeros ([| 2L; 3L |], dtype = torch.int64))
                Fit.Require(gpt 3 8, images, "evaluation"))

            failsWith [ "3 labels" ] (fun () ->
                use one =
                    new DataSplit(
                        torch.zeros ([| 2L; 3L |], dtype = torch.int64),
                        torch.zeros ([| 2L |], dtype = torch.int64)
                    )

                Fit.Require(gpt 3 8, one, "evaluation"))
        }

        test "heads that do not divide, and patches that do not, are refused with the sizes" {
            let options heads keyHeads =
                LmcDsl.Core.Architectures.TransformerOptions(
                    Layers = 1,
                    Width = 12,
                    Heads = heads,
                    KeyHeads = keyHeads,
                    Context = 3
                )

            failsWith [ "gpt"; "divides the width 12"; "found 5" ] (fun () ->
                LmcDsl.Core.Architectures.Catalogue.Gpt(5, options 5 0) |> ignore)

            failsWith [ "divides 4 heads"; "found 3" ] (fun () ->
                LmcDsl.Core.Architectures.Catalogue.Gpt(5, options 4 3) |> ignore)

            failsWith [ "patches of 3"; "1x8x8" ] (fun () ->
                LmcDsl.Core.Architectures.Catalogue.Vit([| 1; 8; 8 |], 3, 2, options 4 0) |> ignore)
        }
    ]
