module LmcDsl.Tests.Process.TorchvisionTests

open System
open System.IO
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Tests.Fixtures
open TorchSharp

let private script = Path.Combine(__SOURCE_DIRECTORY__, "torchvision_catalogue.py")

let private torchvisionIsThere = lazy (hasPython "torchvision")

/// The network of a model's name: `NAME`, or `NAME.plain` without norms.
let private network (name: string) side =
    let word, norm =
        if name.EndsWith ".plain" then
            name.Replace(".plain", ""), Norm.None
        else
            name, Norm.Batch

    let width = if word.EndsWith "imagenet" then 0.125 else 1.0
    Network(Catalogue.Named(word, [| 3; side; side |], width, 10, norm))

let tests =
    testSequenced (
        testList "Torchvision" [
            test "every network of the catalogue gives what torchvision and the usual CIFAR code give, by their names" {
                if not torchvisionIsThere.Value then
                    skiptest "python3-torchvision is not installed"

                inFolder (fun folder ->
                    let code, output, errors = runProgram folder python [ script; folder ]
                    Expect.equal code 0 (output + errors)
                    let names = output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                    Expect.equal names.Length 32 "models"

                    for name in names do
                        use _ = torch.NewDisposeScope()
                        use _ = torch.no_grad ()
                        use io = TensorSource.Open(Path.Combine(folder, $"{name}.io.pt"))
                        let input, output = io.Read "input", io.Read "output"
                        let network = network name (int input.shape[2])
                        use source = TensorSource.Open(Path.Combine(folder, $"{name}.pt"))
                        use model = Checkpoint.Load(source, network, NameMap.For network)
                        let error = difference (network.Forward(model.Views, input)) output
                        let size = output.abs().max().ToDouble()
                        Expect.isGreaterThan size 0.1 $"{name}: outputs that say something"
                        Expect.isLessThan (error / max 1.0 size) 1e-5 name)
            }
        ]
    )
