module LmcDsl.Tests.Core.SafeTensorsTests

open System
open System.IO
open System.Text
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures
open TorchSharp

let private written (model: ParameterSet) =
    use stream = new MemoryStream()
    ModelFile.Write(stream, model)
    stream.ToArray()

let private read (content: byte[]) = ModelFile.Read(ReadOnlySpan content, "some-file")

let private withHeader (header: string) (body: byte[]) =
    let text = Encoding.UTF8.GetBytes header
    Array.concat [ BitConverter.GetBytes(int64 text.Length); text; body ]

let private refused parts header body =
    failsWith ("some-file" :: parts) (fun () ->
        SafeTensors.Read(ReadOnlySpan(withHeader header body), "some-file") |> ignore)

let tests =
    testList "SafeTensors" [
        testPropertyWithConfig (config 30) "a model comes back with the same bytes and the same architecture"
        <| fun (seed: int) ->
            let network = Network(randomArchitecture (Random seed))
            use model = randomParameters network (int64 seed)
            use back = read (written model)
            Expect.equal (bytes back) (bytes model) "numbers"
            Expect.equal (back.Network.Architecture.ToJson()) (network.Architecture.ToJson()) "architecture"
            Expect.equal (written back) (written model) "and the file is the same again"

        test "the header is as the format says: length, JSON, tensors by name without gaps" {
            use model = randomParameters smallMlp 1L
            let content = written model
            let length = int (BitConverter.ToInt64(content, 0))
            Expect.equal (length % 8) 0 "aligned"
            let header = Encoding.UTF8.GetString(content, 8, length)

            Expect.stringContains
                header
                "\"fc1.weight\":{\"dtype\":\"F32\",\"shape\":[5,6],\"data_offsets\":[0,120]}"
                "first tensor"

            Expect.equal content.Length (8 + length + 4 * int smallMlp.TotalCount) "then the numbers"
        }

        test "malformed files are refused in one line" {
            refused [ "header" ] "{" [||]
            refused [ "JSON object" ] "[1]" [||]
            refused [ "dtype, shape and data_offsets" ] """{"a":{"dtype":"F32"}}""" [||]

            refused
                [ "'a'"; "F64, F32, F16, BF16, I64"; "F99" ]
                """{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"""
                [| 0uy; 0uy; 0uy; 0uy |]

            refused [ "'a'"; "8 bytes" ] """{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""" [|
                0uy
                0uy
                0uy
                0uy
            |]

            refused [ "'a'"; "within 0" ] """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""" [||]

            refused
                [ "'b'"; "from 4" ]
                """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"""
                [| 0uy; 0uy; 0uy; 0uy |]

            refused
                [ "4 bytes of tensors"; "found 5" ]
                """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"""
                (Array.zeroCreate 5)

            refused
                [ "overflow" ]
                """{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"""
                (Array.zeroCreate 4)

            refused [ "header" ] """{"__metadata__":{"x":1}}""" [||]
            refused [ "header" ] """{"a":{},"a":{}}""" [||]
            failsWith [ "some-file"; "3 bytes" ] (fun () -> read [| 1uy; 2uy; 3uy |] |> ignore)
            failsWith [ "some-file"; "length" ] (fun () -> read (BitConverter.GetBytes Int64.MaxValue) |> ignore)
        }

        test "a model file that lacks a tensor or its architecture is refused, and what lacks is named" {
            failsWith [ "some-file"; "architecture" ] (fun () -> read (withHeader "{}" [||]) |> ignore)
            use model = randomParameters smallMlp 1L
            use stream = new MemoryStream()
            let architecture = dict [ "architecture", smallMlp.Architecture.ToJson() ]
            let tensors = [| struct ("fc1.weight", model["fc1.weight"]) |]
            SafeTensors.Write(stream, tensors, architecture |> Collections.ObjectModel.ReadOnlyDictionary)
            failsWith [ "some-file"; "fc1.bias" ] (fun () -> read (stream.ToArray()) |> ignore)
        }

        test "2,000 damaged model files are read or refused in one line, never else" {
            use model = randomParameters smallMlp 1L
            let good = written model
            let random = Random 2
            let headerEnd = 8 + int (BitConverter.ToInt64(good, 0))

            for _ in 1 .. cases 2000 do
                let file = Array.copy good

                for _ in 0 .. random.Next 4 do
                    file[random.Next headerEnd] <- byte (random.Next 256)

                let cut = if random.Next 4 = 0 then random.Next file.Length else file.Length

                try
                    (read file[.. cut - 1]).Dispose()
                with :? LmcException as error ->
                    Expect.isFalse (error.Message.Contains '\n') "one line"
        }
    ]
