/// Files that are damaged at random, the same ones in each run: each is read, or refused in one line; no other error, no crash. In a long
/// run LMC_CASES says how many of each format.
module LmcDsl.Tests.Core.MalformedInputTests

open System
open System.IO
open System.IO.Compression
open System.Linq
open System.Text
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Data
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures
open LmcDsl.Tests.Core.OnnxBytes
open TorchSharp

let private mutants = cases 2000

/// One to four changes: bytes, runs, numbers at the edge of their range, cuts, repeats.
let private mutate (random: Random) (content: byte[]) : byte[] =
    let mutable bytes = Array.copy content

    for _ in 0 .. random.Next 4 do
        if bytes.Length > 0 then
            let at = random.Next bytes.Length

            match random.Next 7 with
            | 0 -> bytes[at] <- byte (random.Next 256)
            | 1 -> bytes[at] <- bytes[at] ^^^ (1uy <<< random.Next 8)
            | 2 -> bytes <- bytes[.. at - 1]
            | 3 -> bytes <- Array.concat [ bytes[..at]; bytes[at..] ]
            | 4 -> bytes <- Array.append bytes[.. at - 1] bytes[min bytes.Length (at + random.Next 8) ..]
            | 5 ->
                let edge =
                    [|
                        "0"B
                        "-1"B
                        "9223372036854775807"B
                        "99999999999"B
                        "1e9"B
                        "null"B
                        "[[[["B
                        "\"\""B
                        [| 255uy; 254uy |]
                    |]

                bytes <- Array.concat [ bytes[.. at - 1]; edge[random.Next edge.Length]; bytes[at..] ]
            | _ ->
                let run = min (random.Next 9) (bytes.Length - at)
                let value = [| 0uy; 255uy; 127uy; 128uy |][random.Next 4]
                Array.fill bytes at run value

    bytes

// What reading takes for a file of this many bytes at most: tables of entries and texts, a buffer or two, an archive's folder, the
// states of a pattern.
let private warranted (bytes: int) = 8_000_000L + 400L * int64 bytes

let private survives name (content: byte[]) (read: byte[] -> unit) =
    test $"{mutants} damaged copies of {name} are read, or refused in one line" {
        read content // the sound one is read
        let random = Random 20240204
        let mutable refused = 0

        for k in 1..mutants do
            let damaged = mutate random content
            let before = GC.GetAllocatedBytesForCurrentThread()

            try
                read damaged
            with
            | :? LmcException as error ->
                refused <- refused + 1
                Expect.isFalse (Seq.exists Char.IsControl error.Message) $"mutant {k}: one line"
            | error -> failtest $"mutant {k} of {name}: {error.GetType().Name}: {error.Message}"

            let allocated = GC.GetAllocatedBytesForCurrentThread() - before

            Expect.isLessThan
                allocated
                (warranted damaged.Length)
                $"mutant {k} of {name}: no more memory than its size warrants"

        Expect.isGreaterThan refused (mutants / 10) "many of them are refused"
    }

let private safetensors () =
    use file = new MemoryStream()
    let tensors = [ "a.weight", torch.rand (3L, 4L); "b", torch.zeros ([| 2L |], torch.ScalarType.Float16) ]

    SafeTensors.Write(
        file,
        tensors.Select(fun (name, t) -> struct (name, t)).ToArray(),
        dict [ "k", "v" ] |> Collections.Generic.Dictionary
    )

    file.ToArray()

/// The pickle that `torch.save` writes of a dict with one tensor of 2 x 3, and its archive: with these strides, and with its size's last
/// number written by these bytes.
let private pickleOf (rows: int, columns: int) (three: byte[]) =
    let text (s: string) = Array.concat [ "X"B; BitConverter.GetBytes(uint32 s.Length); Encoding.ASCII.GetBytes s ]

    let number (n: int) = [| byte 'K'; byte n |]
    let call (name: string) = Encoding.ASCII.GetBytes("c" + name.Replace('.', '\n') + "\n")

    Array.concat [
        [| 0x80uy; 2uy |] // protocol 2
        "}("B // a dict, and a mark for its items
        text "weight"
        "c"B
        "torch._utils\n_rebuild_tensor_v2\n"B
        "(("B // the arguments; the first is a reference to a storage
        text "storage"
        call "torch.FloatStorage"
        text "0"
        text "cpu"
        number 6
        "tQ"B
        number 0
        number 2
        three
        [| 0x86uy |] // shape (2, 3)
        number rows
        number columns
        [| 0x86uy; 0x89uy |] // strides, no gradient
        call "collections.OrderedDict"
        ")RtRu."B // no hooks; call; into the dict; the end
    ]

let private pickle = pickleOf (3, 1) "K\003"B

let private archiveOf (numbers: byte[]) (pickle: byte[]) =
    use stream = new MemoryStream()

    do
        use zip = new ZipArchive(stream, ZipArchiveMode.Create)

        let add (name: string) (content: byte[]) =
            use entry = zip.CreateEntry(name, CompressionLevel.NoCompression).Open()
            entry.Write(content, 0, content.Length)

        add "archive/data.pkl" pickle
        add "archive/data/0" numbers

    stream.ToArray()

let private archive = archiveOf (Array.zeroCreate 24)

let private onDisk extension (read: string -> unit) (content: byte[]) =
    let path = Path.Combine(Path.GetTempPath(), $"lmcdsl-mutant-{Environment.ProcessId}.{extension}")

    try
        File.WriteAllBytes(path, content)
        read path
    finally
        File.Delete path

let private readAll path =
    use source = TensorSource.Open path

    for entry in source.Entries do
        use tensor = source.Read entry.Name
        let bytes = tensor.numel () * tensor.element_size ()
        Expect.isLessThanOrEqual bytes (FileInfo path).Length "no tensor is larger than the file"

// As a network's: prefixes, numbered layers, messages.
let private readAsModel path =
    let placement = Checkpoint.Open(path, smallMlp, NameMap.For smallMlp)
    use _ = placement.Source
    use _ = Checkpoint.Load placement
    ()

/// Files that a grammar draws: each is read or refused in one line of a length that is read, with no more memory than it warrants.
let private drawn name (draw: Random -> byte[]) extension =
    test $"{mutants} drawn {name} are read, or refused in one line" {
        let random = Random 20240204
        let mutable refused = 0

        for k in 1..mutants do
            let content = draw random

            for read in [ readAll; readAsModel ] do
                let before = GC.GetAllocatedBytesForCurrentThread()

                try
                    onDisk extension read content
                with
                | :? LmcException as error ->
                    refused <- refused + 1
                    Expect.isFalse (Seq.exists Char.IsControl error.Message) $"file {k}: one line"
                    Expect.isLessThan error.Message.Length 20_000 $"file {k}: a line that is read"
                | error -> failtest $"file {k} of {name}: {error}"

                let allocated = GC.GetAllocatedBytesForCurrentThread() - before

                Expect.isLessThan
                    allocated
                    (warranted content.Length)
                    $"file {k}: no more memory than its size warrants"

        Expect.isGreaterThan refused (mutants / 10) "many are refused"
        Expect.isLessThan refused (2 * mutants) "and some are read"
    }

let private idx = Array.concat [ [| 0uy; 0uy; 8uy; 1uy; 0uy; 0uy; 0uy; 20uy |]; Array.zeroCreate 20 ]

/// A dense layer as ONNX has it: nested messages, a tensor's shape and bytes, a version.
let private onnx =
    model 13L [
        node "Gemm" [ "x"; "fc.weight" ] "y" [ attribute "transB" 1L ]
        weight "fc.weight" [ 2L; 3L ] (List.replicate 6 0f)
        field 11 (valueOf "x" [ 1L; 3L ])
        field 12 (valueOf "y" [ 1L; 3L ])
    ]

let private import path =
    let model = LmcDsl.Core.Importing.OnnxModel.Read path
    use _ = model.Load(Network model.Architecture)
    ()

/// A model of a dozen nodes drawn at random from what networks are exported as, most of which do not fit each other: names that nothing
/// gives, sizes at the edge of their range, attributes of other operators.
let private drawnOnnx (random: Random) : byte[] =
    let pick (items: 'a list) = items[random.Next items.Length]

    let edge () =
        pick [
            0L
            1L
            2L
            3L
            4L
            6L
            -1L
            127L
            1L <<< 20
            1L <<< 31
            1L <<< 40
            Int64.MaxValue
            Int64.MinValue
        ]

    let drawnAttribute () =
        let name =
            pick [
                "axis"
                "axes"
                "perm"
                "kernel_shape"
                "strides"
                "pads"
                "dilations"
                "group"
                "transB"
                "keepdims"
                "split"
                "to"
                "mode"
                "blocksize"
                "num_outputs"
                "epsilon"
                "hidden_size"
                "equation"
                "num_groups"
            ]

        let value =
            match random.Next 4 with
            | 0 -> number 3 (edge ())
            | 1 ->
                Array.concat [
                    for _ in 0 .. random.Next 4 ->
                        number 8 (if random.Next 2 = 0 then edge () else int64 (random.Next 4))
                ]
            | 2 -> text 4 (pick [ "reflect"; "SAME_UPPER"; "ij,jk->ik"; "aa->a"; "" ])
            | _ -> Array.concat [ varint (int64 (2 * 8 + 5)); BitConverter.GetBytes(float32 (random.NextDouble())) ]

        field 5 (Array.append (text 1 name) value)

    let operators = LmcDsl.Core.Importing.GraphRules.Names |> List.ofSeq
    let names = [ "x"; "w"; "s"; "big"; "v0"; "v1"; "v2"; "v3"; "v4"; "y"; "" ]

    let drawnNode k =
        Array.concat [
            for _ in 0 .. random.Next 4 do
                text
                    1
                    (if random.Next 3 = 0 then
                         pick names
                     else
                         (if k = 0 then pick [ "x"; "w"; "s" ] else pick [ "x"; "w"; "s"; $"v{k - 1}" ]))
            text 2 (if k = 5 then "y" else $"v{k}")
            text 3 $"n{k}"
            text 4 (pick operators)
            for _ in 0 .. random.Next 3 do
                drawnAttribute ()
        ]

    let whole = [| for _ in 0..3 -> BitConverter.GetBytes(edge ()) |] |> Array.concat

    let graph =
        Array.concat [
            for k in 0..5 do
                field 1 (drawnNode k)
            field 5 (tensorOf "w" 1L (pick [ [ 4L; 3L ]; [ 3L ]; [ 2L; 3L; 1L; 2L ]; [ 12L ] ]) (Array.zeroCreate 48))
            field 5 (tensorOf "s" 7L (pick [ [ 4L ]; [ 2L; 2L ]; []; [ 1L <<< 40; 1L <<< 40 ] ]) whole)
            field 5 (tensorOf "big" 1L [ edge (); edge () ] (Array.zeroCreate 8))
            field 11 (valueOf "x" (pick [ [ 1L; 3L ]; [ 1L; 3L; 4L; 4L ]; [ 1L; 4L; 3L ]; [ edge (); edge () ] ]))
            field 12 (valueOf "y" [ 1L; 4L ])
        ]

    model (int64 (random.Next(9, 24))) [ graph ]

let tests =
    testList "Malformed input" [
        survives "an ONNX model" onnx (onDisk "onnx" import)

        test $"{cases 3000} ONNX models of nodes that do not fit are read, or refused in one line that names the file" {
            let mutable refused = 0

            for seed in 1 .. cases 3000 do
                let content = drawnOnnx (Random seed)

                try
                    onDisk "onnx" import content
                with :? LmcException as error ->
                    refused <- refused + 1
                    Expect.isFalse (error.Message.Contains '\n') $"model {seed}: one line"
                    Expect.stringContains error.Message ".onnx" $"model {seed}: the file"

            Expect.isGreaterThan refused (cases 3000 / 10) "many are refused"
        }

        test "an ONNX model whose tensor is larger than its file is refused before it is made" {
            // The weight is said to have 127 times 3 numbers.
            let at = onnx |> Array.windowed 4 |> Array.findIndex ((=) [| 8uy; 2uy; 8uy; 3uy |])
            let larger = Array.mapi (fun k b -> if k = at + 1 then 127uy else b) onnx
            failsWith [ "fc.weight"; "1524 bytes"; "found 24" ] (fun () -> onDisk "onnx" import larger)
        }

        testList "PyTorch archives" [
            test "a tensor is read by its strides, and numbers in each of their ways of writing" {
                let numbers = Array.collect (fun (x: float32) -> BitConverter.GetBytes x) [| 0f; 1f; 2f; 3f; 4f; 5f |]

                for strides, wanted in [ (3, 1), [| 0f; 1f; 2f; 3f; 4f; 5f |]; (1, 2), [| 0f; 2f; 4f; 1f; 3f; 5f |] ] do
                    for three in [ "K\003"B; "M\003\000"B; "J\003\000\000\000"B; [| 0x8auy; 1uy; 3uy |] ] do
                        pickleOf strides three
                        |> archiveOf numbers
                        |> onDisk "pt" (fun path ->
                            use source = TensorSource.Open path
                            use read = source.Read "weight"
                            Expect.equal (List.ofArray read.shape) [ 2L; 3L ] "shape"
                            Expect.equal (read.data<float32>().ToArray()) wanted $"strides {strides}")
            }
        ]

        survives "a pickle of a state dict" pickle (archive >> onDisk "pt" readAll)
        survives "a PyTorch archive" (archive pickle) (onDisk "pt" readAll)
        survives "an IDX file" idx (fun bytes -> Idx.Read(ReadOnlySpan bytes, "labels", 1) |> ignore)

        survives "a CIFAR binary" (Array.create (3 * 3073) 1uy) (fun bytes ->
            CifarBinary.Read [| struct ("data_batch_1.bin", bytes) |] |> ignore)

        test "a pickle that names any other global is refused by that name, and nothing of it is run" {
            for name in [ "os.system"; "builtins.eval"; "torch.load"; "collections.Counter" ] do
                let path = Path.Combine(Path.GetTempPath(), $"lmcdsl-evil-{Environment.ProcessId}.pt")
                let text = Encoding.ASCII.GetBytes("c" + name.Replace('.', '\n') + "\n")
                let evil = Array.concat [ [| 0x80uy; 2uy |]; text; "X\004\000\000\000true"B; [| 0x85uy |]; "R."B ]

                try
                    File.WriteAllBytes(path, archive evil)
                    failsWith [ path; name; "refused" ] (fun () -> TensorSource.Open path |> ignore)
                finally
                    File.Delete path
        }

        drawn "PyTorch archives" (fun random -> FileGrammar.archive random (FileGrammar.Pickle.any random)) "pt"
        drawn "safetensors files" FileGrammar.safetensors "safetensors"

        test "a million things in one another end in one line, wherever they stand" {
            for seed in 1..30 do
                let random = Random seed

                let content =
                    FileGrammar.archive random (FileGrammar.Pickle.file (FileGrammar.Pickle.nested random 2_000_000))

                for read in [ readAll; readAsModel ] do
                    try
                        onDisk "pt" read content
                    with :? LmcException as error ->
                        Expect.isLessThan error.Message.Length 20_000 "one line"
        }

        test "a tensor of more numbers than its storage has is refused, a stride of 0 among them, passed over or not" {
            let refuse name shape strides =
                let numbers (items: int64 list) =
                    FileGrammar.Pickle.tuple [ for n in items -> FileGrammar.Pickle.whole n ]

                let storage = FileGrammar.Pickle.storage "torch.FloatStorage" "0" 6L

                let content =
                    FileGrammar.Pickle.dict [
                        FileGrammar.Pickle.text name,
                        FileGrammar.Pickle.tensor
                            storage
                            (FileGrammar.Pickle.whole 0L)
                            (numbers shape)
                            (numbers strides)
                    ]
                    |> FileGrammar.Pickle.file
                    |> archive

                for read in [ readAll; readAsModel ] do
                    failsWith [ $"'{name}'" ] (fun () -> onDisk "pt" read content)

            for name in [ "fc1.weight"; "bn.num_batches_tracked" ] do
                refuse name [ 400_000_000L ] [ 0L ]
                refuse name [ 1L <<< 40; 1L <<< 40 ] [ 0L; 0L ]
                refuse name [ 3L; 3L ] [ 1L; 1L ]
                refuse name [ 0L; 1L <<< 62; 1L <<< 62 ] [ 1L; 1L; 1L ]
                refuse name (List.replicate 65 1L) (List.replicate 65 1L)
                refuse name [ 2L ] [ 1L <<< 62 ]
                refuse name [ -1L ] [ 1L ]
        }

        survives
            "a map of names"
            (Encoding.UTF8.GetBytes """{"enc\\.(\\d)\\.(.*)": "fc$1.$2", "a|(b+)[c-d]{1,3}": "x${1}"}""")
            (fun bytes ->
                let map = NameMap.FromJson(Encoding.UTF8.GetString bytes, "map.json")

                for name in [ "enc.1.weight"; "bbcd"; ""; "module.a" ] do
                    map.Apply name |> ignore)

        survives
            "the index of a checkpoint in several files"
            (Encoding.UTF8.GetBytes """{"metadata": {"total_size": 8}, "weight_map": {}}""")
            (onDisk "index.json" readAll)

        survives "a safetensors file" (safetensors ()) (onDisk "safetensors" readAll)

        survives
            "a network description"
            (Encoding.UTF8.GetBytes(Catalogue.ResNet20([| 3; 8; 8 |], 0.25).ToJson()))
            (fun bytes -> Network(Architecture.FromJson(Encoding.UTF8.GetString bytes)) |> ignore)
    ]
