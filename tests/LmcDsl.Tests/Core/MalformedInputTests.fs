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

// What reading takes for a file of this many bytes at most: tables of entries and texts, a buffer or two, an archive's folder.
let private warranted (bytes: int) = 4_000_000L + 400L * int64 bytes

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
        use _ = source.Read entry.Name
        ()

let private idx = Array.concat [ [| 0uy; 0uy; 8uy; 1uy; 0uy; 0uy; 0uy; 20uy |]; Array.zeroCreate 20 ]

let tests =
    testList "Malformed input" [
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

        survives "a safetensors file" (safetensors ()) (onDisk "safetensors" readAll)

        survives
            "a network description"
            (Encoding.UTF8.GetBytes(Catalogue.ResNet20([| 3; 8; 8 |], 0.25).ToJson()))
            (fun bytes -> Network(Architecture.FromJson(Encoding.UTF8.GetString bytes)) |> ignore)
    ]
