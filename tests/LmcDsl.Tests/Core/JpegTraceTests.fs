module LmcDsl.Tests.Core.JpegTraceTests

open System
open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data

/// Smooth random images with some noise, as photographs have.
let private photographs channels count =
    let random = Random 5

    [|
        for _ in 1..count do
            let a, b, c = random.NextDouble(), random.NextDouble(), 40.0 * random.NextDouble()

            for _ in 1..channels do
                for y in 0..31 do
                    for x in 0..31 do
                        let smooth = 128.0 + c * sin (a * float x + 2.0 * b * float y)
                        byte (Math.Clamp(smooth + 16.0 * (random.NextDouble() - 0.5), 0.0, 255.0))
    |]

let private cosine u x = (if u = 0 then sqrt 0.125 else 0.5) * cos (Math.PI * float u * (float x + 0.5) / 8.0)

/// What JPEG does to a grey plane: coefficients of each block rounded to multiples, of high frequencies to larger ones.
let private compressed (plane: byte[]) : byte[] =
    let out = Array.copy plane

    for by in 0..8..24 do
        for bx in 0..8..24 do
            let at x y = (by + y) * 32 + bx + x

            let coefficient u v =
                Seq.sum (
                    seq {
                        for y in 0..7 do
                            for x in 0..7 do
                                cosine u x * cosine v y * (float plane[at x y] - 128.0)
                    }
                )

            let kept =
                Array2D.init 8 8 (fun u v ->
                    let step = 10.0 + 6.0 * float (u + v)
                    step * Math.Round(coefficient u v / step))

            for y in 0..7 do
                for x in 0..7 do
                    let value =
                        Seq.sum (
                            seq {
                                for u in 0..7 do
                                    for v in 0..7 do
                                        cosine u x * cosine v y * kept[u, v]
                            }
                        )

                    out[at x y] <- byte (Math.Clamp(Math.Round value + 128.0, 0.0, 255.0))

    out

let private images channels (pixels: byte[]) =
    RawImages([| channels; 32; 32 |], pixels, Array.zeroCreate (pixels.Length / (1024 * channels)))

let tests =
    testList "JpegTrace" [
        test "images that went through JPEG are told from those that did not, grey and in colour" {
            for channels in [ 1; 3 ] do
                let pixels = photographs channels 20
                Expect.isGreaterThan (JpegTrace.Share(images channels pixels)) 0.85 $"{channels}: untouched"
                Expect.isFalse (JpegTrace.IsIn(images channels pixels)) "untouched"
                let lossy = pixels |> Array.chunkBySize 1024 |> Array.collect compressed
                Expect.isLessThan (JpegTrace.Share(images channels lossy)) 0.5 $"{channels}: JPEG"
                Expect.isTrue (JpegTrace.IsIn(images channels lossy)) "JPEG"
        }

        test "what has no blocks, or no such frequencies, shows no trace" {
            Expect.equal (JpegTrace.Share(images 1 (Array.create 1024 7uy))) 1.0 "constant"
            let small = RawImages([| 1; 8; 8 |], Array.init 64 byte, [| 0uy |])
            Expect.equal (JpegTrace.Share small) 1.0 "one block"
        }

        test
            "numbers of the copy of CIFAR-10 at hand say whether it went through JPEG, on how many lambdas, and the reset" {
            match Cifar10.Locate() with
            | Error reason -> skiptest reason
            | Ok paths ->
                let path = List.last paths
                let raw = CifarBinary.Read [| struct (path, IO.File.ReadAllBytes path) |]

                let setup =
                    { Setup.standard with
                        Data = Part(Cifar10, 100, 50)
                        Network = resnet20 0.25 Norm.Batch
                    }

                let plans =
                    [
                        (train >> repairOn 77 >> align WM >> mergeN 2 >> measureAll [ BarrierOnTest 9; Accuracy ]) setup
                        (train >> repairOn 99 >> measure (BarrierOnTest 5))
                            { setup with Data = Mnist; Network = mlp [ 8 ] }
                    ]

                match Notes.ofPlans plans with
                | [ cifar; mnist ] ->
                    let words = if JpegTrace.IsIn raw then "went through JPEG" else "no trace of JPEG"

                    for part in
                        [
                            "CIFAR-10: the images of this copy"
                            words
                            "9 values of lambda"
                            "up to 77 training examples"
                        ] do
                        Expect.stringContains cifar part "CIFAR-10"

                    Expect.equal mnist "MNIST: barriers are on 5 values of lambda." "MNIST"
                | other -> failtest $"expected two notes, found {other}"
        }
    ]
