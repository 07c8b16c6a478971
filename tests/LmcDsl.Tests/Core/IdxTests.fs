module LmcDsl.Tests.Core.IdxTests

open System
open System.Buffers.Binary
open Expecto
open LmcDsl.Core.Data
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures
open TorchSharp

let private idx (magic: int) (sizes: int list) (content: byte list) =
    [|
        for number in magic :: sizes do
            let bytes = Array.zeroCreate 4
            BinaryPrimitives.WriteInt32BigEndian(Span bytes, number)
            yield! bytes
        yield! content
    |]

let private read (content: byte[]) dimensions = Idx.Read(ReadOnlySpan content, "some-file", dimensions)
let private images = idx 2051 [ 2; 1; 3 ] [ 1uy .. 6uy ]
let private labels = idx 2049 [ 2 ] [ 0uy; 1uy ]

let tests =
    testList "Idx" [
        test "images and labels are read" {
            let raw = Idx.ReadImages(ReadOnlySpan images, "i", ReadOnlySpan labels, "l")

            Expect.equal
                (raw.Shape, raw.Pixels, raw.Labels)
                ([| 1; 1; 3 |], [| 1uy .. 6uy |], [| 0uy; 1uy |])
                "as written"
        }

        test "each mistake names the file, what was expected and what was found" {
            failsWith [ "some-file"; "2051"; "2049" ] (fun () -> read labels 3 |> ignore)
            failsWith [ "some-file"; "2049"; "found 0" ] (fun () -> read (Array.zeroCreate 100) 1 |> ignore)
            failsWith [ "some-file"; "6 bytes"; "found 5" ] (fun () -> read images[.. images.Length - 2] 3 |> ignore)
            failsWith [ "some-file"; "6 bytes"; "found 7" ] (fun () -> read (Array.append images [| 0uy |]) 3 |> ignore)
            failsWith [ "some-file"; "header of 16"; "found 8" ] (fun () -> read images[..7] 3 |> ignore)
            failsWith [ "some-file"; "0" ] (fun () -> read [||] 3 |> ignore)
            failsWith [ "some-file"; "-1" ] (fun () -> read (idx 2049 [ -1 ] []) 1 |> ignore)

            failsWith [ "some-file"; "multiply" ] (fun () ->
                read (idx 2051 [ Int32.MaxValue; Int32.MaxValue; Int32.MaxValue ] []) 3 |> ignore)

            failsWith [ "l"; "2 labels"; "found 1" ] (fun () ->
                Idx.ReadImages(ReadOnlySpan images, "i", ReadOnlySpan(idx 2049 [ 1 ] [ 0uy ]), "l") |> ignore)
        }

        test "2,000 damaged files are read or refused in one line, never else" {
            let random = Random 1

            for _ in 1 .. cases 2000 do
                let file = Array.copy images

                for _ in 0 .. random.Next 3 do
                    file[random.Next file.Length] <- byte (random.Next 256)

                try
                    read file[.. random.Next file.Length] 3 |> ignore
                with :? LmcException as error ->
                    Expect.stringContains error.Message "some-file" "named"
        }

        test "normalised images have mean 0 and deviation 1 over the training set" {
            let train = RawImages([| 1; 1; 3 |], [| 0uy; 50uy; 100uy; 150uy; 200uy; 250uy |], [| 0uy; 1uy |])
            use data = ImageData.Normalise(train, train, 2)
            Expect.isLessThan (abs (data.Train.Images.mean().ToDouble())) 1e-6 "mean"
            Expect.isLessThan (abs (data.Train.Images.square().mean().ToDouble() - 1.0)) 1e-6 "deviation"
        }

        test "each channel is normalised by the training set's own mean and deviation, test images too" {
            // Two channels of two pixels: 0 and 100, and 200 to 230, on two images.
            let train =
                RawImages([| 2; 1; 2 |], [| 0uy; 100uy; 200uy; 210uy; 100uy; 0uy; 220uy; 230uy |], [| 0uy; 1uy |])

            let test = RawImages([| 2; 1; 2 |], [| 50uy; 150uy; 215uy; 200uy |], [| 1uy |])
            use data = ImageData.Normalise(train, test, 2)
            let second x = (x - 215.0) / sqrt 125.0

            let close (t: TorchSharp.torch.Tensor) (wanted: float list) =
                for x, y in Seq.zip (t.data<float32>().ToArray()) wanted do
                    Expect.isLessThan (abs (float x - y)) 1e-5 $"{wanted}"

            close data.Train.Images [ -1.0; 1.0; second 200.0; second 210.0; 1.0; -1.0; second 220.0; second 230.0 ]
            close data.Test.Images [ 0.0; 2.0; 0.0; second 200.0 ]
        }

        test "a label out of range, or images that do not vary, are refused" {
            let raw pixels labels = RawImages([| 1; 1; 1 |], pixels, labels)
            let good = raw [| 0uy; 9uy |] [| 0uy; 1uy |]

            failsWith [ "below 2"; "found 7" ] (fun () ->
                ImageData.Normalise(raw [| 0uy; 9uy |] [| 0uy; 7uy |], good, 2) |> ignore)

            failsWith [ "vary" ] (fun () -> ImageData.Normalise(raw [| 5uy; 5uy |] [| 0uy; 1uy |], good, 2) |> ignore)
        }
    ]
