/// Pickles that this machine's PyTorch does not write: of later and earlier versions, and of people with other aims.
module LmcDsl.Tests.Core.TorchPickleTests

open System
open System.Diagnostics
open System.IO
open System.IO.Compression
open System.Text
open Expecto
open LmcDsl.Core.Checkpoints
open LmcDsl.Tests.Core.FileGrammar.Pickle
open LmcDsl.Tests.Fixtures

let private storages = [ "0", Array.init 24 byte; "1", Array.init 4096 byte ]

/// Does something with the archive of a pickle.
let private withArchive (value: byte[]) (work: string -> 'a) =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "a.pt")

        do
            use zip = ZipFile.Open(path, ZipArchiveMode.Create)

            for name, content in ("data.pkl", file value) :: [ for key, bytes in storages -> $"data/{key}", bytes ] do
                use entry = zip.CreateEntry($"archive/{name}", CompressionLevel.NoCompression).Open()
                entry.Write(content, 0, content.Length)

        work path)

/// Names, types and bytes of what a pickle holds.
let private contentOf value =
    withArchive value (fun path ->
        use source = TensorSource.Open path

        [
            for entry in source.Entries do
                use tensor = source.Read entry.Name
                entry.Name, entry.Type.Name, Convert.ToHexStringLower(tensor.bytes.ToArray())
        ])

let private pair n m = tuple [ whole n; whole m ]
let private matrix = tensor (storage "torch.FloatStorage" "0" 6L) (whole 0L) (pair 2L 3L) (pair 3L 1L)

/// A tensor as `_rebuild_tensor_v3` makes it, of a storage without a type.
let private untyped (kind: string) (count: int64) =
    Array.concat [
        call "torch._utils._rebuild_tensor_v3"
        tuple [
            storage "torch.storage.UntypedStorage" "0" 24L
            whole 4L
            tuple [ whole count ]
            tuple [ whole 1L ]
            [| 0x89uy |]
            "N"B
            call kind
        ]
        "R"B
    ]

/// A pickled module with a weight `w` and these children.
let private moduleOf (children: byte[]) =
    Array.concat [
        call "torch.nn.Module"
        [| byte ')'; 0x81uy |]
        dict [ text "_parameters", dict [ text "w", matrix ]; text "_modules", children ]
        "b"B
    ]

let private loads words value =
    withArchive value (fun path -> failsWith words (fun () -> (TensorSource.Open path).Dispose()))

let tests =
    testList "Torch pickles" [
        test "types of later versions of PyTorch are read by their own storages" {
            Expect.equal
                (contentOf (dict [ text "a", untyped "torch.uint16" 3L; text "b", untyped "torch.float8_e4m3fn" 2L ]))
                [ "a", "U16", "08090a0b0c0d"; "b", "F8_E4M3", "0405" ]
                "bytes of their storage"
        }

        test "an untyped storage bounds its tensor by its bytes" {
            loads [ "'a'"; "at most the 3 numbers" ] (dict [ text "a", untyped "torch.uint64" 4L ])
            loads [ "'a'"; "known type"; "torch.float128" ] (dict [ text "a", untyped "torch.float128" 1L ])
        }

        test "a view whose numbers are stored with other signs is refused, and what to do is said" {
            let view (name: string) (last: byte[] list) =
                Array.concat [
                    call $"torch._utils.{name}"
                    tuple [
                        storage "torch.FloatStorage" "0" 6L
                        whole 0L
                        pair 2L 3L
                        pair 3L 1L
                        [| 0x89uy |]
                        "N"B
                        yield! last
                    ]
                    "R"B
                ]

            for kind in [ "neg"; "conj" ] do
                let marked = dict [ text kind, [| 0x88uy |] ]

                for name, last in
                    [ "_rebuild_tensor_v2", [ marked ]; "_rebuild_tensor_v3", [ call "torch.float32"; marked ] ] do
                    loads [ "'a'"; kind; ".resolve_neg().resolve_conj()" ] (dict [ text "a", view name last ])

            let numbers = Convert.ToHexStringLower(snd storages[0])

            Expect.equal
                (contentOf (dict [ text "a", view "_rebuild_tensor_v2" [ "}"B ] ]))
                [ "a", "F32", numbers ]
                "as it is"
        }

        test "tensors with attributes, parameters with state, and Python 2's ordered dicts are read" {
            let inner =
                // The arguments of a call, without the call.
                let text = matrix
                text[(call "torch._utils._rebuild_tensor_v2").Length .. text.Length - 2]

            let tagged =
                Array.concat [
                    call "torch._tensor._rebuild_from_type_v2"
                    tuple [
                        call "torch._utils._rebuild_tensor_v2"
                        call "torch.Tensor"
                        inner
                        dict [ text "tag", whole 1L ]
                    ]
                    "R"B
                ]

            let parameter =
                Array.concat [
                    call "torch._utils._rebuild_parameter_with_state"
                    tuple [ matrix; [| 0x88uy |]; "}"B; "}"B ]
                    "R"B
                ]

            let ordered =
                Array.concat [
                    call "collections.OrderedDict"
                    tuple [ Array.concat [ "]("B; tuple [ text "a"; tagged ]; tuple [ text "b"; parameter ]; "e"B ] ]
                    "R"B
                ]

            let numbers = Convert.ToHexStringLower(snd storages[0])
            Expect.equal (contentOf ordered) [ "a", "F32", numbers; "b", "F32", numbers ] "both"
        }

        test "nothing that a pickle names is run, wherever it stands" {
            for name in
                [
                    "os.system"
                    "builtins.eval"
                    "posix.system"
                    "subprocess.Popen"
                    "torch.load"
                    "runpy._run_code"
                ] do
                let run = Array.concat [ call name; tuple [ text "touch pwned" ]; "R"B ]

                for value in
                    [
                        dict [ text "model", dict [ text "w", matrix ]; text "x", run ]
                        dict [ run, whole 1L; text "w", matrix ]
                        dict [ text "w", matrix; text "x", Array.append run "}b"B ]
                    ] do
                    Expect.equal (contentOf value |> List.map (fun (name, _, _) -> name)) [ "w" ] name

                for value in
                    [ run; dict [ text "w", run ]; dict [ text "w", tensor run (whole 0L) (pair 1L 1L) (pair 1L 1L) ] ] do
                    loads [ "a.pt"; name.Split('.')[1] ] value
        }

        test "a pickle that names one list, module or set again and again costs what its length warrants" {
            let many = 30_000
            let remember slot = [| byte 'q'; byte slot; byte '0' |]
            let again (slot: int) = [| byte 'h'; byte slot |]
            let list = Array.concat [ "]("B; Array.concat [ for k in 1..many -> tuple [ text $"k{k}"; "N"B ] ]; "e"B ]
            let repeat (part: byte[]) = Array.concat [ "]("B; Array.concat (Array.replicate many part); "e"B ]

            // One list as the items of many dicts, the members of many sets.
            let dicts = repeat (Array.concat [ call "collections.OrderedDict"; again 1; [| 0x85uy |]; "R"B ])
            let sets = repeat (Array.concat [ call "builtins.set"; again 1; [| 0x85uy |]; "R"B ])

            // Modules that hold one module twice, 40 deep: 2^40 of them.
            let doubling =
                Array.concat [
                    moduleOf "}"B
                    [| byte 'q'; 2uy |]
                    for _ in 1..40 do
                        "0"B
                        moduleOf (dict [ text "a", again 2; text "b", again 2 ])
                        [| byte 'q'; 2uy |]
                ]

            // Wrappers in wrappers, each of which is asked for.
            let chain =
                Array.concat [
                    tuple []
                    for _ in 1..many do
                        [| byte 'q'; 4uy; byte '0' |]
                        tuple [ call "torch._tensor._rebuild_from_type_v2"; "N"B; again 4; "N"B ]
                    [| byte 'q'; 4uy; byte '0' |]
                    repeat (Array.concat [ call "torch._tensor._rebuild_from_type_v2"; again 4; "R"B ])
                ]

            let clock = Stopwatch.StartNew()

            for name, more in
                [
                    "dicts", Array.concat [ list; remember 1; dicts ]
                    "sets", Array.concat [ list; remember 1; sets ]
                    "doubling", doubling
                    "chain", chain
                ] do
                withArchive (Array.concat [ more; "0"B; dict [ text "w", matrix ] ]) (fun path ->
                    use source = TensorSource.Open path
                    Expect.equal source.Entries.Length 1 name)

            loads [ "warrants" ] doubling
            Expect.isLessThan clock.Elapsed.TotalSeconds 30.0 "linear"
        }

        test
            "a module's children have its name and a dot before theirs, and nested state dicts all the keys around them" {
            let nested = moduleOf (dict [ text "a", moduleOf (dict [ text "b", moduleOf "}"B ]) ])
            Expect.equal (contentOf nested |> List.map (fun (name, _, _) -> name)) [ "w"; "a.w"; "a.b.w" ] "names"
            let within name = text name, dict [ text "model", dict [ text "w", matrix ] ]
            loads [ "one.model"; "other.model" ] (dict [ within "one"; within "other" ])
        }

        test "many tensors in one storage are read as one storage" {
            // Each at a place of its own.
            let parts =
                dict [
                    for k in 0L .. 1023L ->
                        text $"p{k}",
                        tensor
                            (storage "torch.FloatStorage" "1" 1024L)
                            (whole k)
                            (tuple [ whole 1L ])
                            (tuple [ whole 1L ])
                ]

            let found = contentOf parts |> List.map (fun (_, _, bytes) -> bytes) |> String.concat ""
            Expect.equal found (Convert.ToHexStringLower(snd storages[1])) "each its own"
        }
    ]
