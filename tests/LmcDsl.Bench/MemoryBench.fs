/// Memory of a long run: whether it grows from model to model.
module LmcDsl.Bench.MemoryBench

open System
open System.Collections.Generic
open System.IO
open System.Threading
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Runtime
open TorchSharp

let private megabytes (memory: int -> int64 option) =
    match memory Environment.ProcessId with
    | Some bytes -> int (bytes / 1_048_576L)
    | None -> raise (LmcException "memory: expected a system that tells what a process holds (/proc), found none")

/// Trains so many MLPs 784-512x3-10 on MNIST, aligns each to the first and scores it, in one process, and tells what the process held
/// after each model: megabytes, by the number of models.
let table (models: int) : Table =
    let setup =
        { Setup.standard with
            Data = Part(Mnist, 10_000, 1_000)
            Epochs = 1
            Threads = TorchRuntime.Threads
        }

    let held = List<int>()
    let folder = Directory.CreateTempSubdirectory "lmcdsl-memory-"

    try
        // A model's measurement is the last of its steps.
        let tell event =
            match event with
            | Finished(node, _) when node.Op.Name = "train" -> Console.Error.WriteLine node.Title
            | _ -> ()

        use runner =
            new Runner(
                {
                    Store = Store.Open folder.FullName
                    Tell = tell
                    Cancel = CancellationToken.None
                }
            )

        for seed in 1L .. int64 models do
            let pair = { setup with Seeds = Listed [ 0L; seed ] }
            runner.Run [ pair |> (train >> align WM >> measureAll [ L2; Accuracy ]) ] |> ignore
            held.Add(megabytes Memory.held)

        let shown = [ 1; 2; 5; 10; 20; 30; 40; 50; models ] |> List.filter (fun n -> n <= models) |> List.distinct

        {
            Title = "Memory of one process by models trained, aligned and scored"
            Columns = [ "models"; "MB held"; "MB at most so far" ]
            Rows =
                [
                    for n in shown do
                        yield [ string n; string held[n - 1]; string (held |> Seq.truncate n |> Seq.max) ]

                    yield [ "peak"; ""; string (megabytes Memory.peak) ]
                ]
        }
    finally
        folder.Delete(recursive = true)

/// The most that weight matching takes of two VGG16 at four times their width, as they are drawn, beside the two models.
let matching () : Table =
    let network = Network(vgg16 4.0 Norm.Batch Cifar10)

    let drawn (seed: int64) =
        use generator = new torch.Generator(uint64 seed, torch.CPU)
        new ParameterSet(network, torch.randn (network.TotalCount, generator = generator))

    let a, b = drawn 1L, drawn 2L
    let before = megabytes Memory.held
    File.WriteAllText("/proc/self/clear_refs", "5") // the peak is counted from here
    let found = WeightMatching.MatchInPlace(a, b)
    let peak = megabytes Memory.peak
    let model = int (network.TotalCount * 4L / 1_048_576L)
    let units = network.Groups |> Seq.map _.Units |> Seq.max

    {
        Title = $"Memory of weight matching, VGG16 x4 ({network.TotalCount:N0} parameters), MB"
        Columns = [ "what"; "MB" ]
        Rows =
            [
                [ "one model"; string model ]
                [ "largest cost matrix"; string (units * units * 4 / 1_048_576) ]
                [ "held before, two models among it"; string before ]
                [ "peak"; string peak ]
                [ "peak less what was held"; string (peak - before) ]
                [ "passes"; string found.Sweeps ]
                [ "seconds"; $"{found.Seconds:F1}" ]
            ]
    }
