module LmcDsl.Tests.Core.AugmentationTests

open Expecto
open LmcDsl.Core.Runtime
open LmcDsl.Core.Training
open TorchSharp

/// Every image that flipping and cropping can make of one: two mirrors, 9 x 9 places, made pixel by pixel.
let private variants (image: float32[,]) =
    let size = Array2D.length1 image

    [
        for mirrored in [ false; true ] do
            for down in -4 .. 4 do
                for across in -4 .. 4 do
                    [|
                        for y in 0 .. size - 1 do
                            for x in 0 .. size - 1 do
                                let x = if mirrored then size - 1 - x else x
                                let row, column = y + down, x + across

                                if row >= 0 && row < size && column >= 0 && column < size then
                                    image[row, column]
                                else
                                    0f
                    |]
    ]

let tests =
    testList "Augmentation" [
        test "each image becomes one of the 162 that a flip and a crop can make, and many of them occur" {
            use generator = Seeds.Generator(1L, "test")
            let image = Array2D.init 6 6 (fun y x -> float32 (1 + 6 * y + x))
            let possible = variants image
            use one = torch.tensor(image).view(1L, 1L, 6L, 6L)
            use batch = one.expand(400L, 1L, 6L, 6L).contiguous()
            use varied = Augmenter.FlipCrop(batch, generator)
            let results = varied.data<float32>().ToArray() |> Array.chunkBySize 36
            let found = [ for result in results -> possible |> List.findIndex ((=) result) ]
            Expect.isGreaterThan (List.distinct found).Length 120 "of 162, in 400 draws"
        }

        test "the channels of an image move together" {
            use generator = Seeds.Generator(2L, "test")
            use plane = torch.randn (20L, 1L, 8L, 8L)
            use images = torch.cat ([| plane; plane.neg () |], 1L)
            use varied = Augmenter.FlipCrop(images, generator)
            use sum = varied.select (1L, 0L) + varied.select (1L, 1L)
            Expect.equal (sum.abs().max().ToDouble()) 0.0 "opposite channels stay opposite"
        }
    ]
