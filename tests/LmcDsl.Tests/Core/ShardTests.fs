/// Checkpoints in several files with their index.
module LmcDsl.Tests.Core.ShardTests

open System.IO
open System.Linq
open System.Text
open Expecto
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private write path (tensors: (string * torch.Tensor) list) =
    use file = File.Create path

    SafeTensors.Write(
        file,
        tensors.Select(fun (name, t) -> struct (name, t)).ToArray(),
        dict [ "format", "pt" ] |> System.Collections.Generic.Dictionary
    )

let private index folder (places: (string * string) list) =
    let path = Path.Combine(folder, "model.safetensors.index.json")
    let map = places |> List.map (fun (name, file) -> $"\"{name}\": \"{file}\"") |> String.concat ", "
    File.WriteAllText(path, "{\"metadata\": {\"total_size\": 7}, \"weight_map\": {" + map + "}}")
    path

let tests =
    testList "Shards" [
        test "two files and their index give the bytes of one file, by the index or by their folder" {
            inFolder (fun folder ->
                use model = randomParameters smallMlp 1L
                let tensors = [ for spec, view in Seq.zip smallMlp.Parameters model.Views -> spec.Name, view ]
                let first, second = tensors |> List.partition (fun (name, _) -> name.EndsWith "weight")
                let names = [ "model-00001-of-00002.safetensors"; "model-00002-of-00002.safetensors" ]
                write (Path.Combine(folder, names[0])) first
                write (Path.Combine(folder, names[1])) second

                let path =
                    index folder [
                        for name, _ in tensors -> name, (if name.EndsWith "weight" then names[0] else names[1])
                    ]

                let whole = Path.Combine(folder, "whole.safetensors")
                write whole tensors
                let permutations = PermutationSet.Random(smallMlp, 4L)

                let moved (file: string) =
                    let placement = Checkpoint.Open(file, smallMlp, NameMap.For smallMlp)
                    use _ = placement.Source
                    use read = Checkpoint.Load placement
                    Expect.equal (bytes read) (bytes model) "the numbers"
                    use stream = new MemoryStream()
                    Checkpoint.SavePermuted(stream, permutations, placement)
                    stream.ToArray()

                let expected = moved whole
                Expect.equal (moved path) expected "by the index"
                Expect.equal (moved folder) expected "by the folder"

                // One of the files alone is told for what it is.
                failsWith [ "missing"; "fc1.bias"; "one of several"; ".index.json" ] (fun () ->
                    Checkpoint.Open(Path.Combine(folder, names[0]), smallMlp, NameMap.For smallMlp) |> ignore))
        }

        test "an index that does not fit its files, or leads elsewhere, is refused" {
            inFolder (fun folder ->
                write (Path.Combine(folder, "a.safetensors")) [ "x", torch.zeros 2L ]
                Directory.CreateDirectory(Path.Combine(folder, "sub")) |> ignore
                write (Path.Combine(folder, "sub", "b.safetensors")) [ "y", torch.zeros 2L ]

                let told places words =
                    let path = index folder places
                    failsWith words (fun () -> (TensorSource.Open path).Dispose())

                told [ "x", "a.safetensors"; "y", "a.safetensors" ] [ "'y'"; "none of that name" ]
                told [ "x", "c.safetensors" ] [ "c.safetensors"; "no such file" ]
                told [ "y", "sub/b.safetensors" ] [ "names of files beside it"; "sub/b.safetensors" ]
                told [ "y", "../a.safetensors" ] [ "names of files beside it" ]
                told [ "y", "/etc/passwd" ] [ "names of files beside it" ]
                told [ "y", ".." ] [ "names of files beside it" ]
                told [ "x", "model.safetensors.index.json" ] [ "another index" ]

                let refuse (text: string) words =
                    let path = Path.Combine(folder, "model.safetensors.index.json")
                    File.WriteAllText(path, text)
                    failsWith words (fun () -> (TensorSource.Open path).Dispose())

                refuse """{"weight_map": {"x": 3}}""" [ "one file for each tensor" ]

                refuse """{"weight_map": {"x": "a.safetensors", "x": "a.safetensors"}}""" [
                    "one file for each tensor"
                ]

                refuse """{"weight_map": [1]}""" [ "weight_map" ]
                refuse """{"other": {}}""" [ "weight_map" ]
                refuse """{"weight_map": {""" [ "JSON" ])
        }
    ]
