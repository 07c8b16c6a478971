module LmcDsl.Tests.Core.CifarBinaryTests

open System
open Expecto
open LmcDsl.Core.Data
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures

let private record (label: byte) (first: byte) =
    Array.append [| label |] (Array.init 3072 (fun k -> byte ((int first + k) % 256)))

let private read files = CifarBinary.Read [| for name, content in files -> struct (name, content) |]

let tests =
    testList "CifarBinary" [
        test "records of several files are one set, labels and planes in order" {
            let raw = read [ "a", Array.append (record 3uy 0uy) (record 9uy 7uy); "b", record 0uy 1uy ]
            Expect.equal (raw.Shape, raw.Count) ([| 3; 32; 32 |], 3) "shape"
            Expect.equal raw.Labels [| 3uy; 9uy; 0uy |] "labels"
            Expect.equal raw.Pixels[3072..3074] [| 7uy; 8uy; 9uy |] "the second image's red plane"
        }

        test "a cut file, an empty one and a label out of range are refused, and the file named" {
            let good = record 1uy 0uy

            failsWith [ "some-file"; "records of 3073"; "found 3072" ] (fun () ->
                read [ "some-file", good[..3071] ] |> ignore)

            failsWith [ "some-file"; "found 0" ] (fun () -> read [ "some-file", [||] ] |> ignore)

            failsWith [ "second"; "below 10"; "found 10"; "record 0" ] (fun () ->
                read [ "first", good; "second", record 10uy 0uy ] |> ignore)
        }

        test "2,000 damaged files are read or refused in one line, never else" {
            let random = Random 3
            let good = Array.append (record 1uy 0uy) (record 2uy 0uy)

            for _ in 1 .. cases 2000 do
                let file = Array.copy good
                file[random.Next 2 * 3073] <- byte (random.Next 256)

                try
                    read [ "some-file", file[.. random.Next file.Length] ] |> ignore
                with :? LmcException as error ->
                    Expect.stringContains error.Message "some-file" "named"
        }
    ]
