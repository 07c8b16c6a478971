module LmcDsl.Tests.Core.CheckpointTests

open System
open System.IO
open System.Linq
open Expecto
open LmcDsl.Core
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

/// Random numbers in [0, 1) of a type.
let private uniform (kind: torch.ScalarType) (shape: int64[]) =
    torch.rand(shape, dtype = Nullable torch.ScalarType.Float64).``to`` kind

let private types =
    [
        torch.ScalarType.Float64
        torch.ScalarType.Float32
        torch.ScalarType.Float16
        torch.ScalarType.BFloat16
    ]

let private resnet = Network(Catalogue.ResNet20([| 3; 8; 8 |], 0.25, 10, Norm.Batch))
let private vgg = Network(Catalogue.Vgg11([| 3; 32; 32 |], 0.0625, 10, Norm.Batch))

let private evenly = Merging.WeightedMerge []

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

        test "aligning moves the stored numbers themselves: every type comes back bit for bit, only elsewhere" {
            inFolder (fun folder ->
                use _ = torch.NewDisposeScope()
                let path = Path.Combine(folder, "a.safetensors")
                let permutations = PermutationSet.Random(smallMlp, 3L)
                let rows, columns = permutations.Permutations[0].Sources, permutations.Permutations[1].Sources

                let order (sources: Collections.Immutable.ImmutableArray<int>) =
                    torch.tensor [| for s in sources -> int64 s |]

                let kinds: (torch.ScalarType * (int64[] -> torch.Tensor)) list =
                    [
                        // Not numbers of float32.
                        torch.ScalarType.Float64, uniform torch.ScalarType.Float64
                        torch.ScalarType.Int64,
                        (fun shape ->
                            torch.randint (1L <<< 40, 1L <<< 50, shape, dtype = Nullable torch.ScalarType.Int64))
                        torch.ScalarType.Int16,
                        (fun shape -> torch.randint (-30000L, 30000L, shape, dtype = Nullable torch.ScalarType.Int16))
                        torch.ScalarType.BFloat16, uniform torch.ScalarType.BFloat16
                        torch.ScalarType.Bool, (fun shape -> (torch.rand shape).gt(0.5.ToScalar()))
                    ]

                for kind, make in kinds do
                    let stored = [ for spec in smallMlp.Parameters -> spec.Name, make spec.Shape ]
                    write path stored []
                    let placement = Checkpoint.Open(path, smallMlp, NameMap.For smallMlp)
                    use _ = placement.Source
                    use stream = new MemoryStream()
                    Checkpoint.SavePermuted(stream, permutations, placement)
                    use back = SafeTensors.Read(ReadOnlySpan(stream.ToArray()), "back")
                    let before = dict stored

                    let expected =
                        [
                            "fc1.weight", before["fc1.weight"].index_select(0L, order rows)
                            "fc1.bias", before["fc1.bias"].index_select(0L, order rows)
                            "fc2.weight",
                            before["fc2.weight"].index_select(0L, order columns).index_select(1L, order rows)
                            "fc2.bias", before["fc2.bias"].index_select(0L, order columns)
                            "fc3.weight", before["fc3.weight"].index_select(1L, order columns)
                            "fc3.bias", before["fc3.bias"]
                        ]

                    for name, tensor in expected do
                        let found = back.Tensors[name]
                        Expect.equal found.dtype kind name
                        Expect.equal (found.bytes.ToArray()) (tensor.contiguous().bytes.ToArray()) $"{kind} {name}")
        }

        test
            "a mean is what double gives of the stored numbers, and is refused where the first file's type does not hold it" {
            inFolder (fun folder ->
                use _ = torch.NewDisposeScope()
                let path name = Path.Combine(folder, name + ".safetensors")

                let model name (make: int64[] -> torch.Tensor) =
                    write (path name) [ for spec in smallMlp.Parameters -> spec.Name, make spec.Shape ] []

                model "double" (uniform torch.ScalarType.Float64)
                model "other" (uniform torch.ScalarType.Float64)
                model "half" (uniform torch.ScalarType.Float16)
                model "beyond half" (fun shape -> torch.full (shape, 2e5f.ToScalar()))
                model "whole" (fun shape -> torch.full (shape, 3L.ToScalar(), dtype = Nullable torch.ScalarType.Int64))
                model "odd" (fun shape -> torch.full (shape, 5L.ToScalar(), dtype = Nullable torch.ScalarType.Int64))

                model "one more" (fun shape ->
                    torch.full (shape, 4L.ToScalar(), dtype = Nullable torch.ScalarType.Int64))

                let mean (names: string list) =
                    let placements =
                        [ for name in names -> Checkpoint.Open(path name, smallMlp, NameMap.For smallMlp) ]

                    try
                        use stream = new MemoryStream()

                        Checkpoint.SaveMerged(
                            stream,
                            [| for p in placements -> struct (p, PermutationSet.Identity smallMlp) |],
                            evenly
                        )

                        SafeTensors.Read(ReadOnlySpan(stream.ToArray()), "mean")
                    finally
                        for placement in placements do
                            placement.Source.Dispose()

                use found = mean [ "double"; "other" ]
                use one = TensorSource.Open(path "double")
                use other = TensorSource.Open(path "other")

                let expected =
                    (one.Read "fc1.weight").mul(0.5.ToScalar()).add_((other.Read "fc1.weight").mul(0.5.ToScalar()))

                Expect.equal found.Tensors["fc1.weight"].dtype torch.ScalarType.Float64 "double"
                Expect.isLessThan (difference found.Tensors["fc1.weight"] expected) 1e-15 "in double"

                for names, words in
                    [
                        [ "half"; "beyond half" ], [ path "half"; "'fc1.weight'"; "within F16"; "100000" ]
                        [ "whole"; "one more" ], [ path "whole"; "'fc1.weight'"; "whole numbers of I64" ]
                        [ "whole"; "double" ], [ path "whole"; "whole numbers of I64" ]
                    ] do
                    failsWith words (fun () -> (mean names).Dispose())

                use exact = mean [ "whole"; "odd" ]
                Expect.equal (exact.Tensors["fc3.bias"].sum().ToInt64()) 12L "a whole mean of whole numbers is one"
                use wide = mean [ "beyond half"; "half" ]
                Expect.equal wide.Tensors["fc1.weight"].dtype torch.ScalarType.Float32 "the first one's type")
        }

        test "what is written always says its format" {
            inFolder (fun folder ->
                let path = Path.Combine(folder, "a.safetensors")
                use model = randomParameters smallMlp 1L

                for before, after in [ [], "pt"; [ "note", "x" ], "pt"; [ "format", "tf" ], "tf" ] do
                    write path (tensorsOf model id torch.ScalarType.Float32) before
                    use source = TensorSource.Open path
                    use stream = new MemoryStream()
                    Checkpoint.Save(stream, model, source, NameMap.For smallMlp)
                    use back = SafeTensors.Read(ReadOnlySpan(stream.ToArray()), "back")
                    Expect.equal back.Metadata["format"] after "the format"

                    Expect.equal
                        back.Metadata.Count
                        (List.length (List.distinct ("format" :: List.map fst before)))
                        "the rest is kept")
        }

        test "counters of batches in one file only do not keep it from another: the first file's are written" {
            inFolder (fun folder ->
                let path name = Path.Combine(folder, name + ".safetensors")
                let permutations = PermutationSet.Random(resnet, 3L)

                for name, seed, more in
                    [ "with", 1L, [ "stem.norm.num_batches_tracked", torch.tensor (7L) ]; "without", 2L, [] ] do
                    use model = randomParameters resnet seed
                    write (path name) (tensorsOf model id torch.ScalarType.Float32 @ more) []

                for first, other, counters in [ "with", "without", 1; "without", "with", 0 ] do
                    let placements =
                        [ for name in [ first; other ] -> Checkpoint.Open(path name, resnet, NameMap.For resnet) ]

                    use stream = new MemoryStream()

                    Checkpoint.SaveMerged(
                        stream,
                        [|
                            struct (placements[0], PermutationSet.Identity resnet)
                            struct (placements[1], permutations)
                        |],
                        evenly
                    )

                    use back = SafeTensors.Read(ReadOnlySpan(stream.ToArray()), "back")
                    Expect.equal back.Tensors.Count (resnet.Parameters.Length + counters) first
                    use a = Checkpoint.Load placements[0]
                    use b = Checkpoint.Load placements[1]
                    use moved = permutations.Apply b
                    use mean = Merging.Average.Of([| a; moved |], null)

                    Expect.isLessThan
                        (difference back.Tensors["stage2.1.conv1.weight"] mean["stage2.1.conv1.weight"])
                        1e-6
                        "the mean"

                    for placement in placements do
                        placement.Source.Dispose())
        }

        test "recomputed statistics are written in the place of mean ones, and learned numbers stay the mean" {
            inFolder (fun folder ->
                let path = Path.Combine(folder, "a.safetensors")
                use model = randomParameters resnet 1L
                use recomputed = randomParameters resnet 2L
                write path (tensorsOf model id torch.ScalarType.Float32) []
                let placement = Checkpoint.Open(path, resnet, NameMap.For resnet)
                use _ = placement.Source
                use stream = new MemoryStream()
                let same = struct (placement, PermutationSet.Identity resnet)
                Checkpoint.SaveMerged(stream, [| same; same |], evenly, recomputed)
                use back = SafeTensors.Read(ReadOnlySpan(stream.ToArray()), "back")

                for spec in resnet.Parameters do
                    let source = if spec.Learned then model else recomputed
                    Expect.equal (difference back.Tensors[spec.Name] source[spec.Name]) 0.0 spec.Name)
        }
    ]
