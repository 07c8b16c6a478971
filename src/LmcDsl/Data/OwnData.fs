namespace LmcDsl

open System
open System.IO
open System.Security.Cryptography
open System.Text
open LmcDsl.Core.Data
open LmcDsl.Core.Runtime

/// Data sets of a script's own, each in one line: from arrays, NumPy files, CSV files, folders of pictures. Keys hold their content's checksum.
[<AutoOpen>]
module OwnData =

    let private make
        name
        (shape: int list)
        classes
        (bytes: bool)
        scaling
        (content: unit -> Json)
        (files: string list)
        read
        : DataSet =
        {
            Name = name
            Title = name
            Shape = shape
            Classes = classes
            Windows = None
            Bytes = bytes
            Content = content
            Locate =
                fun () ->
                    match files |> List.tryFind (fun path -> not (File.Exists path || Directory.Exists path)) with
                    | Some missing -> Error $"{name}: expected a file, found no '{missing}'"
                    | None -> Ok files
            Read = read
            Scaling = scaling
        }

    let private found (what: string) (path: string) =
        if not (File.Exists path) then
            raise (LmcException $"{what}: expected a file, found no '{path}'")

        path

    let private classesOf (labels: int64 seq) = 1 + int (Seq.max (Seq.append [ 0L ] labels))

    // One example's shape from an array's sizes: without channels, channels first, or (of 1, 3 or 4) last.
    let private shapeOf (array: NpyArray) : int list * bool =
        match List.ofArray array.Shape with
        | [ _; features ] -> [ features; 1; 1 ], false
        | [ _; height; width ] -> [ 1; height; width ], false
        | [ _; height; width; (1 | 3 | 4 as channels) ] when height > 4 -> [ channels; height; width ], true
        | [ _; channels; height; width ] -> [ channels; height; width ], false
        | other ->
            let sizes = String.Join(" x ", other)

            raise (
                LmcException $"{array.Name}: expected examples of 1, 2 or 3 dimensions after the first, found {sizes}"
            )

    // Channels first, as networks take them.
    let private channelsFirst (shape: int list) (values: float32[]) =
        match shape with
        | [ channels; height; width ] when channels > 1 ->
            let plane = height * width

            Array.init values.Length (fun i ->
                let example, within = Math.DivRem(i, channels * plane)
                let channel, at = Math.DivRem(within, plane)
                values[example * channels * plane + at * channels + channel])
        | _ -> values

    let private examples (x: NpyArray) (y: NpyArray) : Examples =
        let shape, last = shapeOf x
        let values = x.ToFloats()
        let count = y.ToWhole()

        if x.Shape[0] <> count.Length then
            raise (
                LmcException
                    $"{y.Name}: expected {x.Shape[0]} labels, one for each example of {x.Name}, found {count.Length}"
            )

        Examples(
            List.toArray shape,
            (if last then channelsFirst shape values else values),
            count,
            (if x.Type = "u1" then 255 else 1)
        )

    let private ofNumpy
        name
        (files: string list)
        (read: unit -> (NpyArray * NpyArray) * (NpyArray * NpyArray))
        : DataSet =
        let (x, y), (testX, testY) = read ()
        let classes = classesOf (Seq.append (y.ToWhole()) (testY.ToWhole()))
        let areBytes (array: NpyArray) = array.Type = "u1"

        if areBytes x <> areBytes testX then
            raise (
                LmcException
                    $"{testX.Name}: expected numbers of {x.Name}'s type, {x.Type}, since bytes are scaled by 255 and others are not, found {testX.Type}"
            )

        let scaling = if areBytes x then Standardised else Scaling.unit

        let load scaling =
            let (x, y), (testX, testY) = read ()
            Examples.ToData(name, examples x y, examples testX testY, classes, Scaling.given scaling)

        make
            name
            (fst (shapeOf x))
            classes
            (areBytes x)
            scaling
            (fun () -> Json.texts (files |> List.map DataFiles.hashOf))
            files
            load

    [<RequireQualifiedAccess>]
    module DataSet =

        /// A data set of arrays: one row of values (channels, height, width in C order) and one label from 0 on for each example. Values are
        /// taken as they are. Raises `LmcException`, when it is read, where sizes do not fit or values are not finite.
        let ofArrays
            (name: string)
            (shape: int list)
            (train: float32[][] * int[])
            (test: float32[][] * int[])
            : DataSet =
            let classes = classesOf (Seq.append (snd train) (snd test) |> Seq.map int64)

            let size = List.fold (*) 1 shape

            let examplesOf (rows: float32[][], labels: int[]) =
                match rows |> Array.tryFindIndex (fun row -> row.Length <> size) with
                | Some k ->
                    raise (
                        LmcException
                            $"{name}: expected {size} values in each example, for the shape {shape}, found {rows[k].Length} in example {k}"
                    )
                | None -> ()

                Examples(List.toArray shape, Array.concat rows, Array.map int64 labels)

            let content () =
                use hash = IncrementalHash.CreateHash HashAlgorithmName.SHA256

                for part in [ examplesOf train; examplesOf test ] do
                    hash.AppendData(Runtime.InteropServices.MemoryMarshal.AsBytes(ReadOnlySpan part.Values))
                    hash.AppendData(Runtime.InteropServices.MemoryMarshal.AsBytes(ReadOnlySpan part.Labels))

                Json.Object [
                    "sha256", Json.Text(Convert.ToHexStringLower(hash.GetHashAndReset()))
                    "shape", Json.ints shape
                ]

            let checksum = lazy content ()

            make name shape classes false Scaling.unit (fun () -> checksum.Value) [] (fun scaling ->
                Examples.ToData(name, examplesOf train, examplesOf test, classes, Scaling.given scaling))

        /// A data set in a `.npz` archive: `x_train`, `y_train`, `x_test`, `y_test` (or `train_images`, `train_labels`, `test_images`,
        /// `test_labels`). Bytes are images and are standardised; other numbers are taken as they are.
        /// Raises `LmcException` where the file or one of its arrays is missing or damaged.
        let ofNpz (path: string) : DataSet =
            let path = found "ofNpz" path

            let read () =
                let arrays = NpyArray.ReadArchive path

                let pick (names: string list) =
                    match names |> List.tryFind arrays.ContainsKey with
                    | Some name -> arrays[name]
                    | None ->
                        let known = String.Join(", ", Seq.truncate 20 arrays.Keys)
                        raise (LmcException $"{path}: expected an array {names.Head}, found {known}")

                (pick [ "x_train"; "train_images" ], pick [ "y_train"; "train_labels" ]),
                (pick [ "x_test"; "test_images" ], pick [ "y_test"; "test_labels" ])

            ofNumpy (string (Path.GetFileNameWithoutExtension path)) [ path ] read

        /// A data set in four `.npy` files: examples and labels for training, examples and labels for testing.
        let ofNpy (name: string) (train: string * string) (test: string * string) : DataSet =
            let files = [ fst train; snd train; fst test; snd test ] |> List.map (found "ofNpy")
            let array path = NpyArray.Read(ReadOnlySpan(File.ReadAllBytes path), path)
            ofNumpy name files (fun () -> (array files[0], array files[1]), (array files[2], array files[3]))

        /// A data set in two CSV files, for training and testing, with a heading each; `label` names the column of the class, the others
        /// are numbers. An example has one channel for each column, so that each is standardised by itself.
        let ofCsv (name: string) (label: string) (train: string) (test: string) : DataSet =
            let files = [ train; test ] |> List.map (found "ofCsv")

            let read () =
                let train, test = CsvExamples.Read(files[0], label), CsvExamples.Read(files[1], label)

                if train.Columns <> test.Columns then
                    let shown (columns: string[]) = String.Join(", ", Seq.truncate 20 columns)

                    raise (
                        LmcException
                            $"{files[1]}: expected the columns {shown train.Columns}, found {shown test.Columns}"
                    )

                // Numbers in their order, other names in ordinal order.
                let key (name: string) = (Number.tryParse name |> Option.defaultValue infinity), name
                train, test, Array.append train.Classes test.Classes |> Array.distinct |> Array.sortBy key

            let first, _, classes = read ()
            let shape = [ first.Columns.Length; 1; 1 ]

            let load scaling =
                let train, test, classes = read ()

                let examples (rows: CsvExamples) =
                    Examples(
                        List.toArray shape,
                        rows.Values,
                        rows.Classes |> Array.map (fun c -> int64 (Array.IndexOf(classes, c)))
                    )

                Examples.ToData(name, examples train, examples test, classes.Length, Scaling.given scaling)

            let content () = Json.texts (Json.text (Json.Text label) :: (files |> List.map DataFiles.hashOf))
            make name shape classes.Length false Standardised content files load

        /// A data set of pictures in colour (3 channels) or grey (1): a folder with `train` and `test` in it, each with one folder for each
        /// class. All pictures have one size. Raises `LmcException` where a folder is missing or empty, or a picture cannot be read.
        let ofImages (name: string) (channels: int) (folder: string) : DataSet =
            if channels <> 1 && channels <> 3 then
                raise (LmcException $"ofImages: expected 1 channel (grey) or 3 (colour), found {channels}")

            let part (part: string) =
                let path = Path.Combine(folder, part)

                if not (Directory.Exists path) then
                    raise (
                        LmcException $"ofImages: expected a folder '{path}' with one folder for each class, found none"
                    )

                path

            let train, test = part "train", part "test"
            let classes = ImageFolder.Classes train

            let pictures (path: string) =
                match ImageFolder.Classes path |> Array.tryFind (fun c -> not (Array.contains c classes)) with
                | Some stray -> raise (LmcException $"{path}: expected the classes of {train}, found '{stray}' too")
                | None -> ()

                [|
                    for k, c in Array.indexed classes do
                        if Directory.Exists(Path.Combine(path, c)) then
                            for file in ImageFolder.Pictures(path, c) do
                                struct (file, int64 k)
                |]

            let all = Array.append (pictures train) (pictures test)

            if Array.isEmpty (pictures train) || Array.isEmpty (pictures test) then
                raise (LmcException $"{folder}: expected pictures in train and test, found none in one of them")

            let shape = let struct (first, _) = all[0] in ImageFolder.ShapeOf(first, channels)

            let content () =
                let lines =
                    [ for struct (file, _) in all -> $"{Path.GetRelativePath(folder, file)} {DataFiles.hashOf file}" ]

                let sum = SHA256.HashData(Encoding.UTF8.GetBytes(String.Join("\n", lines)))
                Json.Object [ "sha256", Json.Text(Convert.ToHexStringLower sum); "channels", Json.int (int64 channels) ]

            let checksum = lazy content ()

            make
                name
                (List.ofArray shape)
                classes.Length
                true
                Standardised
                (fun () -> checksum.Value)
                [ folder ]
                (fun scaling ->
                    let read path = ImageFolder.Read(pictures path, channels)
                    Examples.ToData(name, read train, read test, classes.Length, Scaling.given scaling))
