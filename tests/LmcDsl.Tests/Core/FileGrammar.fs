/// Files of checkpoints drawn from grammars: what a format can say, with numbers and names at the edge, nested and repeated. Changing a few
/// bytes of a sound file never reaches most of it.
module LmcDsl.Tests.Core.FileGrammar

open System
open System.IO
open System.IO.Compression
open System.Text

let private pick (random: Random) (items: 'a[]) = items[random.Next items.Length]

let private edges =
    [|
        0L
        1L
        2L
        3L
        6L
        -1L
        255L
        65536L
        1L <<< 31
        1L <<< 32
        1L <<< 40
        (1L <<< 62)
        Int64.MaxValue
        Int64.MinValue
    |]

let private number random = if (random: Random).Next 2 = 0 then int64 (random.Next 7) else pick random edges

let private names =
    [|
        "weight"
        "fc1.weight"
        "fc1.bias"
        "fc2.weight"
        "module.fc1.weight"
        "state_dict"
        "model"
        "ema"
        "_modules"
        "_parameters"
        "_buffers"
        "_non_persistent_buffers_set"
        "num_batches_tracked"
        ""
        "."
        ".."
        "a.b..c."
        "\000"
        "\027[31m"
        "\u2028"
        "ünï"
        "__metadata__"
        String('x', 300)
        String('.', 300)
    |]

/// Bytes of a pickle's parts.
module Pickle =

    let text (text: string) =
        let bytes = Encoding.UTF8.GetBytes text
        Array.concat [ "X"B; BitConverter.GetBytes(uint32 bytes.Length); bytes ]

    let whole (n: int64) =
        if n >= 0L && n < 256L then
            [| byte 'K'; byte n |]
        else
            Array.concat [ [| 0x8auy; 8uy |]; BitConverter.GetBytes n ]

    let call (name: string) =
        let dot = name.LastIndexOf '.'
        Encoding.UTF8.GetBytes $"c{name.Substring(0, dot)}\n{name.Substring(dot + 1)}\n"

    let tuple (items: byte[] list) = Array.concat [ "("B; Array.concat items; "t"B ]

    let dict (items: (byte[] * byte[]) list) =
        Array.concat [ "}("B; Array.concat [ for key, value in items -> Array.append key value ]; "u"B ]

    /// A tensor whose storage, offset, shape and strides are these parts.
    let tensor (storage: byte[]) offset shape strides =
        Array.concat [
            call "torch._utils._rebuild_tensor_v2"
            tuple [
                storage
                offset
                shape
                strides
                [| 0x89uy |]
                Array.append (call "collections.OrderedDict") ")R"B
            ]
            "R"B
        ]

    let storage (kind: string) (key: string) count =
        Array.append (tuple [ text "storage"; call kind; text key; text "cpu"; whole count ]) "Q"B

    /// A whole pickle of a value.
    let file (value: byte[]) = Array.concat [ [| 0x80uy; 2uy |]; value; "."B ]

    let private kinds =
        [|
            "torch.FloatStorage"
            "torch.DoubleStorage"
            "torch.LongStorage"
            "torch.ByteStorage"
            "torch.storage.UntypedStorage"
            "torch.QInt8Storage"
            "os.system"
        |]

    let private someTensor (random: Random) =
        let sizes most = [ for _ in 1 .. random.Next most -> whole (number random) ]
        let shape = sizes 4

        let strides =
            if random.Next 3 = 0 then sizes 4
            elif random.Next 2 = 0 then [ for _ in shape -> whole 0L ]
            else [ for _ in shape -> whole (number random) ]

        tensor
            (storage (pick random kinds) (pick random [| "0"; "1"; "2"; "../data.pkl"; "" |]) (number random))
            (whole (number random))
            (tuple shape)
            (tuple strides)

    let private globals =
        [|
            "os.system"
            "builtins.eval"
            "builtins.set"
            "builtins.dict"
            "collections.OrderedDict"
            "torch._utils._rebuild_parameter"
            "torch._tensor._rebuild_from_type_v2"
            "torch._utils._rebuild_tensor_v2"
            "torch.nn.modules.linear.Linear"
            "argparse.Namespace"
        |]

    /// A value: nested as deep as `depth` says, with everything that a pickle can hold.
    let rec value (random: Random) depth : byte[] =
        let inner () = value random (depth - 1)
        let some most make = [ for _ in 1 .. random.Next most -> make () ]

        match random.Next(if depth = 0 then 8 else 20) with
        | 0 -> "N"B
        | 1 -> whole (number random)
        | 2 -> text (pick random names)
        | 3 -> [| 0x88uy |]
        | 4 -> Array.append "G"B (BitConverter.GetBytes(random.NextInt64()))
        | 5
        | 6 -> someTensor random
        | 7 -> [| byte 'h'; byte (random.Next 6) |]
        | 8
        | 9
        | 10 -> dict (some 5 (fun () -> (if random.Next 5 = 0 then inner () else text (pick random names)), inner ()))
        | 11 -> tuple (some 5 inner)
        | 12 -> Array.concat [ "]("B; Array.concat (some 5 inner); "e"B ]
        | 13 -> Array.concat [ [| 0x8fuy |]; "("B; Array.concat (some 4 inner); [| 0x90uy |] ]
        | 14 -> Array.append (inner ()) "Q"B
        | 15 -> Array.concat [ call (pick random globals); tuple (some 4 inner); "R"B ]
        | 16 -> Array.concat [ call (pick random globals); tuple (some 3 inner); [| 0x81uy |]; inner (); "b"B ]
        | 17 -> Array.concat [ inner (); [| byte 'q'; byte (random.Next 6) |] ]
        | 18 ->
            // A module, as `torch.save(model)` writes it; its parts are of any kind.
            Array.concat [
                call "torch.nn.modules.container.Sequential"
                [| byte ')'; 0x81uy |]
                dict [ for name in [ "_parameters"; "_buffers"; "_modules" ] -> text name, inner () ]
                "b"B
            ]
        | _ -> Array.concat [ inner (); [| 0x85uy |] ]

    /// One thing nested in itself in so many bytes, in one of the places where a reader looks.
    let nested (random: Random) (bytes: int) : byte[] =
        let repeat (before: byte[]) (core: byte[]) (after: byte[]) =
            let levels = bytes / (before.Length + after.Length)
            use stream = new MemoryStream(bytes + core.Length)

            for _ in 1..levels do
                stream.Write before

            stream.Write core

            for _ in 1..levels do
                stream.Write after

            stream.ToArray()

        let deep =
            match random.Next 9 with
            | 0 -> repeat [||] (whole 1L) "Q"B
            | 1 -> repeat [||] (whole 1L) [| 0x85uy |]
            | 2 -> repeat "]"B (whole 1L) "a"B
            | 3 -> repeat (Array.append "}"B (text "model")) (whole 1L) "s"B
            | 4 -> repeat (Array.append "("B (call "os.system")) (whole 1L) "o"B
            | 5 -> repeat (call "collections.OrderedDict") (whole 1L) [| 0x85uy; (byte 'R') |]
            | 6 -> repeat (Array.append (call "torch.nn.Linear") [| byte ')'; 0x81uy |]) "}"B "b"B
            | 7 ->
                // Each module is the only child of the one around it.
                repeat
                    (Array.concat [
                        call "torch.nn.Module"
                        [| byte ')'; 0x81uy |]
                        "}("B
                        text "_parameters"
                        "}"B
                        text "_modules"
                        "}"B
                        text "a"
                    ])
                    "N"B
                    "sub"B
            | _ ->
                repeat
                    (Array.append
                        (call "torch._tensor._rebuild_from_type_v2")
                        (Array.append "("B (call "torch._tensor._rebuild_from_type_v2")))
                    (tuple [])
                    "NtR"B

        let data = storage "torch.FloatStorage" "0" 6L
        let two = tuple [ whole 2L ]

        match random.Next 8 with
        | 0 -> dict [ deep, someTensor random ]
        | 1 -> dict [ text "w", deep ]
        | 2 -> dict [ text "w", tensor deep (whole 0L) two two ]
        | 3 -> dict [ text "w", tensor data deep two two ]
        | 4 -> dict [ text "w", tensor data (whole 0L) deep two ]
        | 5 -> dict [ text "w", tensor data (whole 0L) two (tuple [ deep ]) ]
        | 6 ->
            dict [
                text "w",
                tensor (Array.append (tuple [ text "storage"; deep; text "0"; deep; whole 6L ]) "Q"B) (whole 0L) two two
            ]
        | _ -> deep

    /// Operations in any order.
    let soup (random: Random) : byte[] =
        let operations = "NKMJIL)(}]tdlesaubcQPRqrhjgp012.oiXUTVSFGB"B

        [|
            for _ in 1 .. random.Next 200 do
                match random.Next 6 with
                | 0 -> yield byte (random.Next 256)
                | 1 -> yield byte (0x80 + random.Next 0x19)
                | 2 -> yield! value random 1
                | _ -> yield pick random operations
        |]

    /// A pickle of one of these kinds.
    let any (random: Random) =
        match random.Next 4 with
        | 0 -> soup random
        | 1 -> file (nested random (random.Next 20_000))
        | _ -> file (dict [ for _ in 1 .. random.Next 4 -> text (pick random names), value random (random.Next 6) ])

/// A PyTorch archive around a pickle; some have more, fewer, compressed or misnamed entries.
let archive (random: Random) (pickle: byte[]) : byte[] =
    use stream = new MemoryStream()

    do
        use zip = new ZipArchive(stream, ZipArchiveMode.Create)

        let add (name: string) (content: byte[]) =
            let level =
                if random.Next 20 = 0 then
                    CompressionLevel.Optimal
                else
                    CompressionLevel.NoCompression

            use entry = zip.CreateEntry(name, level).Open()
            entry.Write(content, 0, content.Length)

        let folder = pick random [| "archive"; "a"; "x/y"; ".." |]
        add $"{folder}/data.pkl" pickle

        if random.Next 20 = 0 then
            add (pick random [| "other/data.pkl"; $"{folder}/constants.pkl"; "data.pkl"; "." |]) pickle

        if random.Next 10 = 0 then
            add $"{folder}/byteorder" (Encoding.ASCII.GetBytes(pick random [| "little"; "big"; ""; String('x', 100) |]))

        for key in 0 .. random.Next 4 do
            add $"{folder}/data/{key}" (Array.zeroCreate (pick random [| 0; 1; 23; 24; 48; 1000 |]))

    stream.ToArray()

let private types =
    [|
        "F32"
        "F16"
        "BF16"
        "F64"
        "I64"
        "BOOL"
        "U16"
        "F8_E4M3"
        "F4"
        "F6_E2M3"
        "C64"
        "F99"
        ""
    |]

let private json (text: string) = "\"" + String.collect (fun c -> $"\\u{int c:x4}") text + "\""

/// A safetensors file: headers that are sound, nearly sound, or anything that JSON can say.
let safetensors (random: Random) : byte[] =
    let mutable at = 0L

    let entry () =
        let shape =
            [
                for _ in 1 .. random.Next 4 -> if random.Next 4 = 0 then number random else int64 (random.Next 4)
            ]

        let kind = pick random types

        let bits =
            if kind.StartsWith "F8" || kind = "BOOL" then 8L
            elif kind.EndsWith "64" then 64L
            elif kind.EndsWith "16" then 16L
            elif kind = "F4" then 4L
            else 32L

        let size =
            try
                List.fold (fun a b -> Checked.(*) a b) bits shape / 8L
            with _ ->
                4L

        let start, finish = if random.Next 5 = 0 then number random, number random else at, at + size
        at <- finish
        let sizes = shape |> List.map string |> String.concat ","

        match random.Next 12 with
        | 0 -> "{}"
        | 1 -> "[[[[[[[[[[1]]]]]]]]]]"
        | 2 -> $"{{\"dtype\":3,\"shape\":[{sizes}],\"data_offsets\":[{start},{finish}]}}"
        | 3 -> $"{{\"dtype\":\"{kind}\",\"shape\":[{sizes},null],\"data_offsets\":[{start}]}}"
        | 4 -> $"{{\"dtype\":\"{kind}\",\"shape\":[1e300,{sizes}0.5],\"data_offsets\":[{start},{finish}]}}"
        | _ -> $"{{\"dtype\":\"{kind}\",\"shape\":[{sizes}],\"data_offsets\":[{start},{finish}]}}"

    let items =
        [
            if random.Next 3 = 0 then
                "\"__metadata__\":"
                + pick random [|
                    "{\"format\":\"pt\"}"
                    "{}"
                    "null"
                    "[1]"
                    "{\"a\":1}"
                    "{\"a\":null}"
                    "{\"a\":{}}"
                |]
            for _ in 0 .. random.Next 5 do
                json (pick random names) + ":" + entry ()
        ]

    let text = "{" + String.concat "," items + "}" + pick random [| ""; "  "; "\000\000\000"; "}"; "\n" |]
    let header = Encoding.UTF8.GetBytes text

    let length = if random.Next 10 = 0 then number random else int64 header.Length

    let body = if at >= 0L && at < 4096L && random.Next 10 > 0 then int at else random.Next 64
    Array.concat [ BitConverter.GetBytes length; header; Array.zeroCreate body ]
