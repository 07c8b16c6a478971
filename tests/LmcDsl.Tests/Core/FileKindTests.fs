/// Files that are no checkpoint: the line says what they look like, and what to do instead.
module LmcDsl.Tests.Core.FileKindTests

open System
open System.Diagnostics
open System.IO
open System.IO.Compression
open System.Text
open Expecto
open LmcDsl.Core.Checkpoints
open LmcDsl.Tests.Fixtures

let private ascii (text: string) = Encoding.ASCII.GetBytes text

let private zip (names: string list) =
    use stream = new MemoryStream()

    do
        use archive = new ZipArchive(stream, ZipArchiveMode.Create)

        for name in names do
            use entry = archive.CreateEntry(name, CompressionLevel.NoCompression).Open()
            entry.Write(ascii "content")

    stream.ToArray()

let private legacy =
    Array.append
        [|
            0x80uy
            2uy
            0x8auy
            10uy
            0x6cuy
            0xfcuy
            0x9cuy
            0x46uy
            0xf9uy
            0x20uy
            0x6auy
            0xa8uy
            0x50uy
            0x19uy
            (byte '.')
        |]
        (Array.zeroCreate 50)

// Name, content, words of the line.
let private files =
    [
        "empty.pt", [||], [ "an empty file" ]
        "lfs.safetensors",
        ascii "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        [ "Git LFS pointer"; "git lfs pull" ]
        "page.pt", ascii "\n<!DOCTYPE html><html><body>404</body></html>", [ "HTML page"; "download it again" ]
        "page2.safetensors", ascii "<HTML><head></head></HTML>", [ "HTML page" ]
        "denied.safetensors", ascii "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", [ "XML" ]
        "config.json", ascii "{\"architectures\": [\"ResNet\"]}", [ "JSON" ]
        "list.safetensors", ascii "[1, 2, 3, 4, 5, 6]", [ "JSON" ]
        "note.pt", ascii "Entry not found", [ "a text that begins 'Entry not found'" ]
        "legacy.pt", legacy, [ "PyTorch before 1.6"; "torch.save" ]
        "objects.pkl", Array.append [| 0x80uy; 4uy |] (ascii "}q."), [ "a pickle that torch.save did not write" ]
        "a.gz", Array.append [| 0x1fuy; 0x8buy; 8uy |] (Array.zeroCreate 40), [ "gzip"; "decompress" ]
        "a.bz2", ascii "BZh91AY&SY", [ "bzip2" ]
        "a.xz", Array.append [| 0xfduy |] (ascii "7zXZ\000"), [ "xz" ]
        "a.zst", [| 0x28uy; 0xb5uy; 0x2fuy; 0xfduy; 0uy; 0uy; 0uy; 0uy; 0uy |], [ "zstd" ]
        "a.7z", [| byte '7'; byte 'z'; 0xbcuy; 0xafuy; 0x27uy; 0x1cuy |], [ "7-zip" ]
        "a.tar",
        Array.concat [ ascii "model.pt"; Array.zeroCreate 249; ascii "ustar\00000"; Array.zeroCreate 248 ],
        [ "tar archive"; "unpack" ]
        "a.h5", Array.append [| 0x89uy |] (ascii "HDF\r\n\026\n0123456789"), [ "HDF5"; "Keras"; "state_dict" ]
        "a.gguf", ascii "GGUF\003\000\000\000aaaa", [ "GGUF"; "llama.cpp" ]
        "a.npy", Array.append [| 0x93uy |] (ascii "NUMPY\001\000"), [ "NumPy array" ]
        "a.npz", zip [ "a.npy"; "b.npy" ], [ "NumPy archive" ]
        "a.keras", zip [ "metadata.json"; "config.json"; "model.weights.h5" ], [ "Keras model" ]
        "script.pt", zip [ "m/data.pkl"; "m/constants.pkl"; "m/code/a.py" ], [ "TorchScript"; "torch.jit.load" ]
        "packed.zip", zip [ "readme.txt"; "weights/model.pt" ], [ "holds 'weights/model.pt'"; "unpack" ]
        "other.zip", zip [ "readme.txt" ], [ "a zip archive with 1 entries (readme.txt)" ]
        "empty.zip", zip [], [ "an empty zip archive" ]
        "flax.msgpack",
        Array.concat [ [| 0x81uy; 0xa6uy |]; ascii "params"; [| 0x81uy; 0xa7uy |]; ascii "Dense_0" ],
        [ "Flax's msgpack" ]
        "model.onnx",
        Array.concat [ [| 8uy; 7uy; 0x12uy; 7uy |]; ascii "pytorch"; Array.zeroCreate 20 ],
        [ "ONNX model" ]
        "renamed.pt",
        Array.concat [ [| 8uy; 7uy; 0x12uy; 7uy |]; ascii "pytorch"; Array.zeroCreate 20 ],
        [ "ONNX model" ]
        "photo.pt", Array.append [| 0xffuy; 0xd8uy; 0xffuy |] (Array.zeroCreate 20), [ "JPEG" ]
        "noise.pt", Array.init 40 (fun k -> byte (200 + k)), [ "40 bytes that begin c8c9cacbcccdcecf" ]
        "cut.safetensors",
        Array.append (BitConverter.GetBytes 4000L) (ascii "{\"a\": "),
        [ "expected a header within"; "4000" ]
    ]

let tests =
    testList "FileKind" [
        for name, content, words in files do
            test $"{name} is told for what it is" {
                inFolder (fun folder ->
                    let path = Path.Combine(folder, name)
                    File.WriteAllBytes(path, content)
                    failsWith (name :: words) (fun () -> (TensorSource.Open path).Dispose()))
            }

        test "safetensors files are read whatever their headers' lengths look like" {
            // As those begin: pickles, gzip's mark.
            for length in [ 0x280; 0x380; 0x480; 0x580; 0x8b1f ] do
                inFolder (fun folder ->
                    let path = Path.Combine(folder, "a.safetensors")
                    let header = """{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""".PadRight length
                    let parts = [ BitConverter.GetBytes(int64 length); ascii header; BitConverter.GetBytes 2.5f ]
                    File.WriteAllBytes(path, Array.concat parts)
                    use source = TensorSource.Open path
                    use tensor = source.Read "a"
                    Expect.equal (tensor.data<float32>().ToArray()) [| 2.5f |] $"{length}")
        }

        test "a folder is told for what it is, and its checkpoint is found under the usual name" {
            inFolder (fun folder ->
                let inside names =
                    let path = Directory.CreateDirectory(Path.Combine(folder, string (Guid.NewGuid()))).FullName

                    for name: string in names do
                        File.WriteAllText(Path.Combine(path, name), "x")

                    path

                let told names words = failsWith words (fun () -> (TensorSource.Open(inside names)).Dispose())
                told [] [ "a folder without model.safetensors" ]
                told [ "b.pt"; "a.safetensors" ] [ "name one of its files: a.safetensors, b.pt" ]
                told [ ".metadata"; "__0_0.distcp" ] [ "torch.distributed.checkpoint" ]
                told [ "saved_model.pb" ] [ "SavedModel" ]
                told [ "zero_to_fp32.py" ] [ "DeepSpeed" ]
                told [ "model.safetensors" ] [ "model.safetensors"; "a text that begins 'x'" ])
        }

        test "a pipe or a device is refused at once, and so is what is not there" {
            inFolder (fun folder ->
                let pipe = Path.Combine(folder, "pipe")
                let code, _, _ = runProgram folder "mkfifo" [ pipe ]
                Expect.equal code 0 "a pipe"
                let clock = Stopwatch.StartNew()
                failsWith [ pipe; "found a pipe" ] (fun () -> (TensorSource.Open pipe).Dispose())
                failsWith [ "/dev/zero"; "found a device" ] (fun () -> (TensorSource.Open "/dev/zero").Dispose())
                failsWith [ "no such file" ] (fun () -> (TensorSource.Open(Path.Combine(folder, "nope.pt"))).Dispose())
                failsWith [ "no file of that name" ] (fun () -> (TensorSource.Open "").Dispose())
                failsWith [ "no file of that name" ] (fun () -> (TensorSource.Open "a\000b").Dispose())
                Expect.isLessThan clock.Elapsed.TotalSeconds 5.0 "at once")
        }
    ]
