module LmcDsl.Tests.Dsl.DataFilesTests

open System
open System.IO
open System.IO.Compression
open System.Net
open System.Threading.Tasks
open Expecto
open LmcDsl
open LmcDsl.Tests.Fixtures

/// Runs `work` with LMC_DATA and the user's cache in a folder of its own, and nothing of the user's own data in sight.
let private withData (work: string -> unit) =
    inFolder (fun folder ->
        let saved = [ for name in [ "LMC_DATA"; "XDG_CACHE_HOME" ] -> name, Environment.GetEnvironmentVariable name ]

        try
            Environment.SetEnvironmentVariable("LMC_DATA", Path.Combine(folder, "data"))
            Environment.SetEnvironmentVariable("XDG_CACHE_HOME", Path.Combine(folder, "cache"))
            work folder
        finally
            for name, value in saved do
                Environment.SetEnvironmentVariable(name, value))

let private real = Environment.GetEnvironmentVariable "LMC_DATA"

let private hasReal = not (String.IsNullOrEmpty real) && Directory.Exists(Path.Combine(real, "mnist"))

/// A test that needs the real data sets: skipped, with the reason, where LMC_DATA does not lead to them.
let private onRealData name work =
    if hasReal then
        testCase name work
    else
        ptestCase $"{name} (LMC_DATA has no mnist)" work

/// A folder with MNIST's files, to be damaged.
let private copyMnist (folder: string) =
    let target = Path.Combine(folder, "data", "mnist")
    Directory.CreateDirectory target |> ignore

    for file in Directory.GetFiles(Path.Combine(real, "mnist")) do
        File.Copy(file, Path.Combine(target, Path.GetFileName file))

        File.SetUnixFileMode(
            Path.Combine(target, Path.GetFileName file),
            UnixFileMode.UserRead ||| UnixFileMode.UserWrite
        )

    target

let private refused parts = failsWith parts (fun () -> (DataSet.load Mnist).Dispose())

let tests =
    testSequenced (
        testList "DataFiles" [
            for dataset in [ Mnist; FashionMnist ] do
                onRealData $"{dataset.Name} is read, checked and normalised" (fun () ->
                    use data = DataSet.load dataset
                    Expect.equal (data.Train.Count, data.Test.Count) (60000L, 10000L) "sizes"
                    Expect.equal data.Train.Images.shape [| 60000L; 1L; 28L; 28L |] "shape"
                    Expect.isLessThan (abs (data.Train.Images.mean().item<float32>())) 1e-3f "mean 0")

            onRealData "each damage is named: cut, renamed, mislabelled, wrong magic, plain instead of gzip" (fun () ->
                withData (fun folder ->
                    let mnist = copyMnist folder
                    let images = Path.Combine(mnist, "t10k-images-idx3-ubyte.gz")
                    let labels = Path.Combine(mnist, "t10k-labels-idx1-ubyte.gz")
                    let good = File.ReadAllBytes images
                    File.WriteAllBytes(images, good[.. good.Length / 2])
                    refused [ images; "found" ]
                    File.Copy(Path.Combine(real, "mnist", "t10k-labels-idx1-ubyte.gz"), images, true)
                    refused [ images; "2051"; "2049" ]
                    File.Copy(Path.Combine(real, "fashion-mnist", "t10k-images-idx3-ubyte.gz"), images, true)
                    refused [ images; "mnist/t10k-images-idx3-ubyte"; "that is fashion-mnist/t10k-images-idx3-ubyte" ]
                    File.WriteAllText(images, "<html>not found</html>")
                    refused [ images; "magic" ]
                    File.WriteAllBytes(images, good)
                    File.Copy(Path.Combine(real, "fashion-mnist", "t10k-labels-idx1-ubyte.gz"), labels, true)
                    refused [ labels; "that is fashion-mnist/t10k-labels-idx1-ubyte" ]))

            onRealData "an uncompressed copy is as good as a compressed one" (fun () ->
                withData (fun folder ->
                    let mnist = copyMnist folder

                    for packed in Directory.GetFiles(mnist, "*.gz") do
                        use source = new GZipStream(File.OpenRead packed, CompressionMode.Decompress)
                        use target = File.Create(packed.Substring(0, packed.Length - 3))
                        source.CopyTo target

                    Directory.GetFiles(mnist, "*.gz") |> Array.iter File.Delete
                    (DataSet.load Mnist).Dispose()))

            onRealData
                "what is nowhere is downloaded from a mirror into the cache, and found there the next time"
                (fun () ->
                    withData (fun folder ->
                        let port = 20000 + Random.Shared.Next 20000
                        use server = new HttpListener()
                        server.Prefixes.Add $"http://127.0.0.1:{port}/good/"
                        server.Start()
                        let served = ref 0

                        let serve () =
                            task {
                                while server.IsListening do
                                    let! context = server.GetContextAsync()
                                    let name = Path.GetFileName context.Request.Url.LocalPath
                                    let bytes = File.ReadAllBytes(Path.Combine(real, "mnist", name))
                                    served.Value <- served.Value + 1
                                    context.Response.OutputStream.Write(bytes, 0, bytes.Length)
                                    context.Response.Close()
                            }

                        Task.Run<unit> serve |> ignore
                        let mirrors = [ "http://127.0.0.1:1/dead/"; $"http://127.0.0.1:{port}/good/" ]

                        match DataFiles.locateFrom mirrors mnistFiles with
                        | Ok paths ->
                            Expect.all
                                paths
                                (fun path -> path.StartsWith(Path.Combine(folder, "cache")))
                                "in the cache"
                        | Error reason -> failtest reason

                        Expect.equal served.Value 4 "four files"
                        Expect.isOk (DataFiles.locateFrom [] mnistFiles) "found in the cache without a mirror"))

            test "CIFAR-10's training images are of five files, its test images of the sixth" {
                withData (fun folder ->
                    let target = Path.Combine(folder, "data", "cifar-10", "cifar-10-batches-bin")
                    Directory.CreateDirectory target |> ignore

                    for k, name in List.indexed ([ for k in 1..5 -> $"data_batch_{k}" ] @ [ "test_batch" ]) do
                        let image = Array.init 3072 (fun pixel -> byte (pixel % 7 + k))
                        File.WriteAllBytes(Path.Combine(target, $"{name}.bin"), Array.append [| byte k |] image)

                    use data = Cifar10 |> DataSet.scaled Scaling.bytes |> DataSet.load
                    let labels (split: Core.Data.DataSplit) = List.ofSeq (split.Labels.data<int64>())
                    Expect.equal (labels data.Train) [ 0L .. 4L ] "to train on"
                    Expect.equal (labels data.Test) [ 5L ] "to test on"
                    Expect.equal (data.Test.Images.min().item<float32>()) 5.0f "its pixels")
            }

            test "what cannot be had is told in one line with all that was tried" {
                withData (fun folder ->
                    match DataFiles.locateFrom [ "http://127.0.0.1:1/" ] mnistFiles with
                    | Error line ->
                        for part in
                            [ "mnist"; Path.Combine(folder, "data", "mnist"); "/usr/share/datasets"; "127.0.0.1" ] do
                            Expect.stringContains line part "named"
                    | Ok paths -> failtest $"{paths}")
            }
        ]
    )
