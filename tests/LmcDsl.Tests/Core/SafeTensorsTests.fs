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
                [ "'b'"; "from 4 within 12"; "8 to 12" ]
                """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"""
                (Array.zeroCreate 12)

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

        test "a header padded with NUL is read, and two names on one range are told as such" {
            let one = """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"""
            let body = BitConverter.GetBytes 2.5f
            use file = SafeTensors.Read(ReadOnlySpan(withHeader (one + "\000\000\000") body), "padded")
            Expect.equal (file.Tensors["a"].ToSingle()) 2.5f "read"

            refused
                [ "tensors 'a' and 'b'"; "bytes of their own"; "0 to 4"; "shared" ]
                """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"""
                body
        }

        test "types that are not computed with pass through bit for bit, beside a model" {
            inFolder (fun folder ->
                let kinds =
                    [
                        "U16", 16
                        "U32", 32
                        "U64", 64
                        "F8_E4M3", 8
                        "F8_E5M2", 8
                        "F8_E8M0", 8
                        "C64", 64
                        "F4", 4
                        "F6_E2M3", 6
                    ]

                use model = randomParameters smallMlp 1L
                let sizes = [ for _, bits in kinds -> 8 * bits / 8 ]
                let starts = List.scan (+) 0 sizes

                let extra =
                    [
                        for (name, _), start, size in List.zip3 kinds (List.take kinds.Length starts) sizes ->
                            $"\"x.{name}\":{{\"dtype\":\"{name}\",\"shape\":[2,4],\"data_offsets\":[{start},{start + size}]}}"
                    ]

                let mutable at = List.last starts

                let own =
                    [
                        for spec in smallMlp.Parameters ->
                            let start = at
                            at <- at + 4 * int spec.Count
                            let shape = spec.Shape |> Seq.map string |> String.concat ","
                            $"\"model.{spec.Name}\":{{\"dtype\":\"F32\",\"shape\":[{shape}],\"data_offsets\":[{start},{at}]}}"
                    ]

                let noise = Array.zeroCreate<byte>(List.last starts)
                (Random 5).NextBytes noise
                let numbers = [| for view in model.Views -> view.bytes.ToArray() |] |> Array.concat

                let path = Path.Combine(folder, "a.safetensors")
                let header = "{" + String.concat "," (extra @ own) + "}"
                File.WriteAllBytes(path, withHeader header (Array.append noise numbers))
                let placement = Checkpoint.Open(path, smallMlp, NameMap.For smallMlp)
                use _ = placement.Source
                use stream = new MemoryStream()

                Checkpoint.SavePermuted(
                    stream,
                    LmcDsl.Core.Permutations.PermutationSet.Random(smallMlp, 1L),
                    placement
                )

                let written = stream.ToArray()
                let length = int (BitConverter.ToInt64(written, 0))
                Expect.equal written[8 + length .. 7 + length + noise.Length] noise "the bytes"

                // As the model's own numbers they are refused, by what they are.
                let one = """{"fc1.weight":{"dtype":"F8_E4M3","shape":[5,6],"data_offsets":[0,30]}"""

                let others =
                    [
                        let mutable at = 30

                        for spec in Seq.skip 1 smallMlp.Parameters do
                            let start = at
                            at <- at + 4 * int spec.Count
                            let shape = spec.Shape |> Seq.map string |> String.concat ","
                            $"\"{spec.Name}\":{{\"dtype\":\"F32\",\"shape\":[{shape}],\"data_offsets\":[{start},{at}]}}"
                    ]

                File.WriteAllBytes(
                    path,
                    withHeader
                        (String.concat "," (one :: others) + "}")
                        (Array.zeroCreate (30 + 4 * int smallMlp.TotalCount - 120))
                )

                failsWith [ path; "'fc1.weight'"; "F8_E4M3"; "dequantise" ] (fun () ->
                    use source = TensorSource.Open path
                    Checkpoint.Load(source, smallMlp, NameMap.For smallMlp) |> ignore))
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
