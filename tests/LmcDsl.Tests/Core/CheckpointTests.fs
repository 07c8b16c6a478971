module LmcDsl.Tests.Core.CheckpointTests

open System
open System.IO
open System.Linq
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private types =
    [
        torch.ScalarType.Float64
        torch.ScalarType.Float32
        torch.ScalarType.Float16
        torch.ScalarType.BFloat16
    ]

let private resnet = Network(Catalogue.ResNet20([| 3; 8; 8 |], 0.25, 10, Norm.Batch))
let private vgg = Network(Catalogue.Vgg11([| 3; 32; 32 |], 0.0625, 10, Norm.Batch))

/// Writes tensors as a safetensors file.
let private write path (tensors: (string * torch.Tensor) list) (metadata: (string * string) list) =
    use file = File.Create path

    SafeTensors.Write(
        file,
        tensors.Select(fun (name, t) -> struct (name, t)).ToArray(),
        dict metadata |> Collections.Generic.Dictionary
    )

/// A model's parameters under other names and in another type.
let private tensorsOf (model: ParameterSet) (rename: string -> string) (kind: torch.ScalarType) =
    [
        for spec, view in Seq.zip model.Network.Parameters model.Views -> rename spec.Name, view.``to`` kind
    ]

let tests =
    testList "Checkpoint" [
        for kind in types do
            test $"a model of {kind} is read, and written back under its names, types, order and text" {
                inFolder (fun folder ->
                    let path, target = Path.Combine(folder, "a.safetensors"), Path.Combine(folder, "b.safetensors")
                    use model = randomParameters resnet 1L
                    use rounded = new ParameterSet(resnet, model.Flat.``to``(kind).``to``(torch.ScalarType.Float32))
                    let counter = torch.tensor (7L)
                    let tensors = List.rev (tensorsOf model id kind) @ [ "stem.norm.num_batches_tracked", counter ]
                    write path tensors [ "format", "pt"; "note", "ünïcode" ]
                    use source = TensorSource.Open path
                    let names = NameMap.For resnet
                    use read = Checkpoint.Load(source, resnet, names)
                    Expect.equal (bytes read) (bytes rounded) "the numbers, as that type has them"

                    do
                        use file = File.Create target
                        Checkpoint.Save(file, read, source, names)

                    Expect.equal (File.ReadAllBytes target) (File.ReadAllBytes path) "the same file")
            }

        test "NaN and infinity are refused, and all their tensors named" {
            inFolder (fun folder ->
                let path = Path.Combine(folder, "a.safetensors")
                use model = randomParameters resnet 1L
                model["fc.bias"].fill_(nanf) |> ignore
                model["stem.norm.weight"].fill_(infinityf) |> ignore
                write path (tensorsOf model id torch.ScalarType.Float32) []
                use source = TensorSource.Open path

                failsWith [ path; "finite"; "stem.norm.weight"; "fc.bias" ] (fun () ->
                    Checkpoint.Load(source, resnet, NameMap.For resnet).Dispose()))
        }

        test "a permuted model keeps what is no parameter" {
            inFolder (fun folder ->
                let path, target = Path.Combine(folder, "a.safetensors"), Path.Combine(folder, "b.safetensors")
                use model = randomParameters resnet 1L

                write
                    path
                    (tensorsOf model id torch.ScalarType.Float32 @ [ "a.num_batches_tracked", torch.tensor (7L) ])
                    []

                use source = TensorSource.Open path
                use moved = PermutationSet.Random(resnet, 3L).Apply model

                do
                    use file = File.Create target
                    Checkpoint.Save(file, moved, source, NameMap.For resnet)

                use again = TensorSource.Open target
                Expect.equal ((again.Read "a.num_batches_tracked").ToInt64()) 7L "the counter"
                use read = Checkpoint.Load(again, resnet, NameMap.For resnet)
                Expect.equal (bytes read) (bytes moved) "the parameters")
        }

        test "the usual names of others become ours" {
            let check (network: Network) pairs =
                for theirs, ours in pairs do
                    Expect.equal ((NameMap.For network).Apply theirs) ours theirs

            check resnet [
                "conv1.weight", "stem.weight"
                "module.bn1.running_var", "stem.norm.running_var"
                "layer1.0.conv1.weight", "stage1.1.conv1.weight"
                "layer2.0.shortcut.1.bias", "stage2.1.shortcut.norm.bias"
                "layer3.2.bn2.weight", "stage3.3.conv2.norm.weight"
                "layer2.0.downsample.0.weight", "stage2.1.shortcut.weight"
                "linear.bias", "fc.bias"
                "stage1.1.conv1.weight", "stage1.1.conv1.weight"
            ]

            check vgg [
                "features.0.weight", "conv1.weight"
                "features.1.running_mean", "conv1.norm.running_mean"
                "features.4.weight", "conv2.weight"
                "features.25.weight", "conv8.weight"
                "classifier.weight", "fc.weight"
            ]

            check smallMlp [
                "0.weight", "fc1.weight"
                "net.2.bias", "fc2.bias"
                "layers.1.weight", "fc1.weight"
                "fc3.bias", "fc3.bias"
            ]
        }

        test "a map can be given" {
            let map = NameMap.FromJson("""{"enc\\.(\\d)\\.(.*)": "fc$1.$2"}""", "map.json")
            Expect.equal (map.Apply "enc.2.weight") "fc2.weight" "by its pattern"
            failsWith [ "map.json" ] (fun () -> NameMap.FromJson("[1]", "map.json") |> ignore)
            failsWith [ "map.json" ] (fun () -> NameMap.FromJson("""{"(": "x"}""", "map.json") |> ignore)
        }

        test "everything that does not fit is told at once" {
            inFolder (fun folder ->
                let path = Path.Combine(folder, "a.safetensors")

                write path [
                    "fc1.weight", torch.zeros (5L, 6L)
                    "fc1.bias", torch.zeros (4L)
                    "fc2.weight", torch.zeros (4L, 5L)
                    "extra.weight", torch.zeros (2L)
                    "fc3.weight", torch.zeros (3L, 4L)
                    "fc3.bias", torch.zeros (3L)
                ] []

                use source = TensorSource.Open path

                failsWith
                    [
                        path
                        "missing: fc2.bias [4]"
                        "not expected: extra.weight [2]"
                        "fc1.bias [4] where fc1.bias [5]"
                    ]
                    (fun () -> Checkpoint.Load(source, smallMlp, NameMap.For smallMlp) |> ignore))
        }

        test "names, types and shapes of a file are known without its numbers being read" {
            inFolder (fun folder ->
                let path = Path.Combine(folder, "large.safetensors")
                write path [ "a", torch.zeros (3L, 4L); "b", torch.zeros ([| 2L |], torch.ScalarType.Float16) ] []
                let content = File.ReadAllBytes path
                // The last bytes are cut after opening: the entries are there, and reading says what is missing.
                use source = TensorSource.Open path
                File.WriteAllBytes(path, content[.. content.Length - 3])
                Expect.equal (source.Entries |> Seq.map _.Name |> List.ofSeq) [ "a"; "b" ] "names"
                Expect.equal (source.Read "a").shape [| 3L; 4L |] "what is there can be read"
                failsWith [ path; "end" ] (fun () -> source.Read "b" |> ignore)
                failsWith [ path; "'c'" ] (fun () -> source.Read "c" |> ignore))
        }
    ]
