module LmcDsl.Tests.Dsl.OwnDataTests

open System
open System.IO
open System.Text
open Expecto
open LmcDsl
open LmcDsl.Tests.Fixtures
open LmcDsl.Tests.NumpyFiles
open SixLabors.ImageSharp
open SixLabors.ImageSharp.PixelFormats

let private rows = [| [| 1f; 2f |]; [| 3f; 4f |]; [| 5f; 6f |] |]
let private arrays = DataSet.ofArrays "mine" [ 2; 1; 1 ] (rows, [| 0; 1; 2 |]) (rows[..0], [| 1 |])

let private bytesOf (values: float32 seq) = values |> Seq.collect BitConverter.GetBytes |> Array.ofSeq
let private longs (values: int64 seq) = values |> Seq.collect BitConverter.GetBytes |> Array.ofSeq

let private write folder name (content: byte[]) =
    let path = Path.Combine(folder, name)
    (FileInfo path).Directory.Create()
    File.WriteAllBytes(path, content)
    path

// Two grey images of 2 x 2 and one, as bytes.
let private images =
    [
        "x_train", npy "|u1" "2, 2, 2" [| 0uy; 51uy; 102uy; 153uy; 204uy; 255uy; 0uy; 255uy |]
        "y_train", npy "<i8" "2," (longs [ 0L; 3L ])
        "x_test", npy "|u1" "1, 2, 2" [| 255uy; 255uy; 0uy; 0uy |]
        "y_test", npy "<i8" "1," (longs [ 1L ])
    ]

let private numbers (tensor: TorchSharp.torch.Tensor) = tensor.flatten().data<float32>().ToArray()

let private picture (path: string) (values: (byte * byte * byte) list) =
    (FileInfo path).Directory.Create()
    use image = new Image<Rgb24>(2, 2)

    for k, (r, g, b) in List.indexed values do
        image[k % 2, k / 2] <- Rgb24(r, g, b)

    image.Save path

let tests =
    testList "Own data" [
        test "what is said of inputs is what was done with them, and bytes beside other numbers are refused" {
            inFolder (fun folder ->
                let floats name =
                    npy
                        "<f4"
                        (if name = "x_train" then "2, 2, 2" else "1, 2, 2")
                        (bytesOf (Seq.replicate (if name = "x_train" then 8 else 4) 7f))

                let with' names =
                    [
                        for name, content in images ->
                            name, (if List.contains name names then floats name else content)
                    ]

                let bytes = DataSet.ofNpz (npz folder images)
                Expect.stringContains (DataSet.inputs bytes) "standardised" "images"
                Expect.equal (DataSet.inputs (bytes |> DataSet.scaled Scaling.unit)) "from 0 to 1" "shares of 255"
                Expect.equal (DataSet.inputs (bytes |> DataSet.scaled Scaling.bytes)) "bytes, 0 to 255" "bytes"

                let others = DataSet.ofNpz (npz folder (with' [ "x_train"; "x_test" ]))

                for data in
                    [
                        others
                        others |> DataSet.scaled Scaling.unit
                        others |> DataSet.scaled Scaling.bytes
                        arrays |> DataSet.scaled Scaling.bytes
                    ] do
                    Expect.equal (DataSet.inputs data) "as they are" "other numbers"
                    use read = DataSet.load data
                    let largest = if data.Name = "mine" then 6f else 7f
                    Expect.equal (Array.max (numbers read.Train.Images)) largest "and so they are"

                Expect.stringContains
                    (DataSet.inputs (others |> DataSet.scaled Standardised))
                    "standardised"
                    "where it is asked for"

                Expect.equal (DataSet.inputs TinyShakespeare) "tokens" "of text"

                for part in [ "x_train"; "x_test" ] do
                    failsWith [ "x_test"; "type"; "u1"; "f4" ] (fun () ->
                        DataSet.ofNpz (npz folder (with' [ part ])) |> ignore))
        }

        test "arrays are taken as they are, their checksum in keys" {
            use data = DataSet.load arrays
            Expect.equal data.Train.Images.shape [| 3L; 2L; 1L; 1L |] "shape"
            Expect.equal (numbers data.Train.Images) (Array.concat rows) "as they are"
            Expect.equal data.Classes 3 "classes"

            let other =
                DataSet.ofArrays
                    "mine"
                    [ 2; 1; 1 ]
                    ([| [| 1f; 2f |]; [| 3f; 4f |]; [| 5f; 7f |] |], [| 0; 1; 2 |])
                    (rows[..0], [| 1 |])

            Expect.notEqual (DataSet.identity other) (DataSet.identity arrays) "another number, another key"
            let label = DataSet.ofArrays "mine" [ 2; 1; 1 ] (rows, [| 0; 1; 1 |]) (rows[..0], [| 1 |])
            Expect.notEqual (DataSet.identity label) (DataSet.identity arrays) "another label, another key"
        }

        test "what does not fit is told when it is read" {
            let refused parts train test =
                failsWith parts (fun () -> (DataSet.load (DataSet.ofArrays "mine" [ 2; 1; 1 ] train test)).Dispose())

            refused
                [ "mine"; "2 values"; "found 3 in example 0" ]
                ([| [| 1f; 2f; 3f |] |], [| 0 |])
                (rows, [| 0; 0; 0 |])
            // As many in all as there should be.
            let ragged = [| [| 1f; 2f; 3f |]; [| 4f |] |]
            refused [ "mine"; "2 values"; "found 3 in example 0" ] (ragged, [| 0; 1 |]) (rows, [| 0; 0; 0 |])
            refused [ "mine"; "finite"; "NaN"; "example 0" ] ([| [| nanf; 1f |] |], [| 0 |]) (rows, [| 0; 0; 0 |])
            refused [ "mine"; "labels from 0 to 0"; "-1" ] ([| [| 1f; 1f |] |], [| -1 |]) (rows, [| 0; 0; 0 |])
            refused [ "mine"; "test examples, found none" ] (rows, [| 0; 0; 0 |]) ([||], [||])
        }

        test "a part has the first training and the first test examples" {
            let whole =
                DataSet.ofArrays "mine" [ 2; 1; 1 ] (rows, [| 0; 1; 2 |]) ([| [| 7f; 8f |]; [| 9f; 9f |] |], [| 2; 1 |])

            use part = DataSet.load (Part(whole, 2, 1))

            Expect.equal
                (numbers part.Train.Images, numbers part.Test.Images)
                ([| 1f; 2f; 3f; 4f |], [| 7f; 8f |])
                "numbers"

            Expect.equal (part.Test.Labels.data<int64>().ToArray()) [| 2L |] "labels"
        }

        test "scaling: by the training examples, by given numbers, and only as many as there are channels" {
            use data = DataSet.load (arrays |> DataSet.scaled Standardised)
            // Channel 0 has 1, 3, 5: mean 3, deviation sqrt(8/3).
            let d = float32 (sqrt (8.0 / 3.0))
            let found = numbers data.Train.Images
            Expect.isLessThan (abs (found[0] + 2f / d)) 1e-6f "(1 - 3) / d"
            // Channel 1 has 2, 4, 6.
            Expect.isLessThan (abs (found[1] + 2f / d)) 1e-6f "(2 - 4) / d"
            // The one test example is the first of training: its numbers are scaled as that one's are.
            Expect.equal (numbers data.Test.Images) found[..1] "test examples by the training examples' scale"
            use given = DataSet.load (arrays |> DataSet.scaled (Scaled([ 1.0; 2.0 ], [ 2.0; 4.0 ])))
            Expect.equal (numbers given.Train.Images) [| 0f; 0f; 1f; 0.5f; 2f; 1f |] "by hand"

            failsWith [ "mine"; "1 or 2 means" ] (fun () ->
                DataSet.scaled (Scaled([ 1.0; 2.0; 3.0 ], [ 1.0 ])) arrays |> ignore)

            failsWith [ "mine"; "positive deviations" ] (fun () ->
                DataSet.scaled (Scaled([ 0.0 ], [ 0.0 ])) arrays |> ignore)

            let key scaling = DataSet.identity (Mnist |> DataSet.scaled scaling)
            Expect.notEqual (key Scaling.unit) (DataSet.identity Mnist) "in keys"
            Expect.equal (key Standardised) (DataSet.identity Mnist) "the data's own is what it has always been"
        }

        test "glyphs from 0 to 1 are their bytes over 255, and standardised ones what those become" {
            use own = DataSet.load (Part(Glyphs, 500, 10))
            use unit = DataSet.load (Part(Glyphs |> DataSet.scaled Scaling.unit, 500, 10))
            use bytes = DataSet.load (Part(Glyphs |> DataSet.scaled Scaling.bytes, 500, 10))

            Expect.equal
                (unit.Train.Images.min().item<float32>(), bytes.Train.Images.max().item<float32>())
                (0f, 255f)
                "ranges"
            // The standardised values are a line through the others.
            let x, y = numbers own.Train.Images, numbers unit.Train.Images
            let slope = (Array.max x - Array.min x) / (Array.max y - Array.min y)
            let offset = x[0] - slope * y[0]
            Expect.all (Array.zip x y) (fun (x, y) -> abs (x - slope * y - offset) < 1e-4f) "one line"
        }

        test "an archive of NumPy's: bytes are images, other names of arrays are known, floats stay as they are" {
            inFolder (fun folder ->
                let path = npz folder images
                let data = DataSet.ofNpz path
                Expect.equal (data.Name, data.Shape, data.Classes) ("data", [ 1; 2; 2 ], 4) "what it is"
                use loaded = DataSet.load (data |> DataSet.scaled Scaling.bytes)
                Expect.equal (numbers loaded.Test.Images) [| 255f; 255f; 0f; 0f |] "bytes"
                let before = DataSet.identity data

                let renamed =
                    images
                    |> List.map (fun (name, content) ->
                        name.Replace("x_", "").Replace("y_", "") + (if name[0] = 'x' then "_images" else "_labels"),
                        content)

                use again = DataSet.load (DataSet.ofNpz (npz folder renamed) |> DataSet.scaled Scaling.bytes)
                Expect.equal (numbers again.Train.Images) (numbers loaded.Train.Images) "the same"

                let floats =
                    images
                    |> List.map (fun (name, content) ->
                        name,
                        (match name with
                         | "x_train" -> npy "<f4" "2, 2" (bytesOf [ 1f; 2f; 3f; 4f ])
                         | "x_test" ->
                             npy ">f4" "1, 2" (bytesOf [ 1f; 2f ] |> Array.chunkBySize 4 |> Array.collect Array.rev)
                         | _ -> content))

                let data = DataSet.ofNpz (npz folder floats)
                Expect.notEqual (DataSet.identity data) before "another content, another key"
                use plain = DataSet.load data

                Expect.equal
                    (numbers plain.Train.Images, numbers plain.Test.Images)
                    ([| 1f; 2f; 3f; 4f |], [| 1f; 2f |])
                    "whatever the order of bytes")
        }

        test "colours last are put first" {
            inFolder (fun folder ->
                let values = [| for k in 0uy .. 74uy -> k |]

                let colour =
                    images
                    |> List.map (fun (name, content) ->
                        name,
                        (if name[0] = 'x' then
                             npy "|u1" "1, 5, 5, 3" values
                         else
                             npy "<i8" "1," (longs [ 0L ])))

                use data = DataSet.load (DataSet.ofNpz (npz folder colour) |> DataSet.scaled Scaling.bytes)
                Expect.equal data.Train.Images.shape [| 1L; 3L; 5L; 5L |] "shape"

                Expect.equal
                    (numbers data.Train.Images)
                    [|
                        for c in 0..2 do
                            for k in 0..24 -> float32 (3 * k + c)
                    |]
                    "by channel")
        }

        test "numbers of every type are read as what they are" {
            let read descr (bytes: byte[]) = LmcDsl.Core.Data.NpyArray.Read(ReadOnlySpan(npy descr "1," bytes), "x")

            for descr, bytes, value in
                [
                    "|u1", [| 255uy |], 255.0
                    "|i1", [| 255uy |], -1.0
                    "|b1", [| 1uy |], 1.0
                    "<u2", BitConverter.GetBytes 65535us, 65535.0
                    "<i2", BitConverter.GetBytes -2s, -2.0
                    "<u4", BitConverter.GetBytes 4294967295u, 4294967295.0
                    "<i4", BitConverter.GetBytes -3, -3.0
                    "<i8", BitConverter.GetBytes -5L, -5.0
                    "<f2", BitConverter.GetBytes(Half.op_Explicit 1.5f: Half), 1.5
                    "<f4", BitConverter.GetBytes -0.25f, -0.25
                    "<f8", BitConverter.GetBytes 0.125, 0.125
                ] do
                for descr, bytes in [ descr, bytes; descr.Replace('<', '>'), Array.rev bytes ] do
                    Expect.equal ((read descr bytes).ToFloats()) [| float32 value |] $"{descr}, as a number"

                    if descr[1] <> 'f' then
                        Expect.equal ((read descr bytes).ToWhole()) [| int64 value |] $"{descr}, as a whole number"
        }

        test "a NumPy file that is something else is told" {
            inFolder (fun folder ->
                let refused parts name content =
                    let entries = images |> List.map (fun (own, old) -> own, (if own = name then content else old))
                    failsWith parts (fun () -> (DataSet.load (DataSet.ofNpz (npz folder entries))).Dispose())

                refused [ "x_train"; ".npy"; "something else" ] "x_train" "<html>"B

                refused
                    [ "x_train"; "expected 8 bytes"; "found 4" ]
                    "x_train"
                    (npy "|u1" "2, 2, 2" (Array.zeroCreate 4))

                refused [ "x_train"; "numbers or truth values" ] "x_train" (npy "|O" "2, 2, 2" (Array.zeroCreate 8))
                refused [ "x_train"; "below 2 GB" ] "x_train" (npy "|u1" "2000000000, 2000000000" (Array.zeroCreate 8))
                refused [ "y_train"; "2 labels" ] "y_train" (npy "<i8" "1," (longs [ 0L ]))
                refused [ "y_train"; "whole numbers"; "f4" ] "y_train" (npy "<f4" "2," (bytesOf [ 0f; 1f ]))

                failsWith [ "x_test"; "found x_train" ] (fun () ->
                    DataSet.ofNpz (npz folder (List.truncate 2 images)) |> ignore)

                let broken = write folder "broken.npz" "PK nothing"B
                failsWith [ broken; ".npz" ] (fun () -> DataSet.ofNpz broken |> ignore)

                failsWith [ "ofNpz"; "none.npz" ] (fun () ->
                    DataSet.ofNpz (Path.Combine(folder, "none.npz")) |> ignore))
        }

        test "CSV: quoted cells, classes by name or number, numbers with a point" {
            inFolder (fun folder ->
                let train = write folder "train.csv" "a,class,\"b, c\"\n1.5,x,2\n-3e1,\"y\",4\n"B
                let test = write folder "test.csv" "a,class,\"b, c\"\n0,y,1\n"B
                let data = DataSet.ofCsv "mine" "class" train test
                Expect.equal (data.Shape, data.Classes) ([ 2; 1; 1 ], 2) "columns and classes"
                use loaded = DataSet.load (data |> DataSet.scaled Scaling.unit)
                Expect.equal (numbers loaded.Train.Images) [| 1.5f; 2f; -30f; 4f |] "numbers"

                Expect.equal
                    (loaded.Train.Labels.data<int64>().ToArray(), loaded.Test.Labels.data<int64>().ToArray())
                    ([| 0L; 1L |], [| 1L |])
                    "labels"

                let refused parts (text: string) =
                    failsWith parts (fun () ->
                        DataSet.ofCsv "mine" "class" (write folder "bad.csv" (Encoding.UTF8.GetBytes text)) test
                        |> ignore)

                refused [ "bad.csv"; "column 'class'"; "found a, b" ] "a,b\n1,2\n"
                refused [ "bad.csv"; "a number"; "'a'"; "line 2"; "'1,5'" ] "a,class\n\"1,5\",x\n"
                refused [ "bad.csv"; "2 cells"; "found 3" ] "a,class\n1,x,2\n"
                refused [ "test.csv"; "the columns a" ] "a,class\n1,x\n")
        }

        test
            "whatever changes what is read is in the key: shape, scale, each file, the column of classes, channels, the folder of a class" {
            let differ (one: DataSet) (other: DataSet) what =
                Expect.notEqual (DataSet.identity other) (DataSet.identity one) what

            differ arrays (DataSet.ofArrays "mine" [ 1; 2; 1 ] (rows, [| 0; 1; 2 |]) (rows[..0], [| 1 |])) "shape"
            let scaled means deviations = arrays |> DataSet.scaled (Scaled(means, deviations))
            differ (scaled [ 0.0 ] [ 1.0 ]) (scaled [ 0.0 ] [ 2.0 ]) "deviations"
            differ (scaled [ 0.0 ] [ 1.0 ]) (scaled [ 1.0 ] [ 1.0 ]) "means"
            Expect.notEqual (scaled [ 0.0 ] [ 2.0 ]) (scaled [ 0.0 ] [ 1.0 ]) "nor are they one data set"

            inFolder (fun folder ->
                // Each array in a file of its own, one of them another one.
                let ofNpy changed =
                    let file name (content: byte[]) =
                        let content =
                            if name = changed then
                                Array.append content[.. content.Length - 2] [| content[content.Length - 1] ^^^ 1uy |]
                            else
                                content

                        write folder $"{changed}-{name}.npy" content

                    let path name = images |> List.find (fst >> (=) name) ||> file
                    DataSet.ofNpy "mine" (path "x_train", path "y_train") (path "x_test", path "y_test")

                for name, _ in images do
                    differ (ofNpy "none") (ofNpy name) name

                let table = write folder "table.csv" "a,b\n0,1\n1,0\n"B
                differ (DataSet.ofCsv "mine" "a" table table) (DataSet.ofCsv "mine" "b" table table) "the column"

                for part in [ "train/ant/1.png"; "train/cat/2.png"; "test/ant/3.png"; "test/cat/4.png" ] do
                    picture (Path.Combine(folder, "one", part)) [ for _ in 1..4 -> 51uy, 51uy, 51uy ]
                    picture (Path.Combine(folder, "other", part)) [ for _ in 1..4 -> 51uy, 51uy, 51uy ]

                let pictures name channels = DataSet.ofImages "mine" channels (Path.Combine(folder, name))

                Expect.equal
                    (DataSet.identity (pictures "other" 3))
                    (DataSet.identity (pictures "one" 3))
                    "wherever they lie"

                differ (pictures "one" 3) (pictures "one" 1) "channels"

                File.Move(
                    Path.Combine(folder, "other", "train/ant/1.png"),
                    Path.Combine(folder, "other", "train/cat/1.png")
                )

                differ (pictures "one" 3) (pictures "other" 3) "of another class")
        }

        test "a table's classes are in the order of their numbers, those of the test rows among them" {
            inFolder (fun folder ->
                let train = write folder "train.csv" "a,class\n1,10\n2,9\n"B
                let test = write folder "test.csv" "a,class\n3,x\n4,10\n"B
                let data = DataSet.ofCsv "mine" "class" train test
                Expect.equal data.Classes 3 "9, 10 and x"
                use loaded = DataSet.load data

                Expect.equal
                    (loaded.Train.Labels.data<int64>().ToArray(), loaded.Test.Labels.data<int64>().ToArray())
                    ([| 1L; 0L |], [| 2L; 1L |])
                    "9 before 10 before x")
        }

        test "pictures in folders: classes in order, colour and grey, one size" {
            inFolder (fun folder ->
                let path (part: string) = Path.Combine(folder, part)
                picture (path "train/cat/b.png") [ 0uy, 0uy, 0uy; 255uy, 0uy, 0uy; 0uy, 255uy, 0uy; 0uy, 0uy, 255uy ]
                picture (path "train/ant/a.bmp") [ for _ in 1..4 -> 51uy, 51uy, 51uy ]
                picture (path "test/cat/c.png") [ for _ in 1..4 -> 255uy, 255uy, 255uy ]
                let data = DataSet.ofImages "beasts" 3 folder
                Expect.equal (data.Shape, data.Classes) ([ 3; 2; 2 ], 2) "what it is"
                use loaded = DataSet.load (data |> DataSet.scaled Scaling.bytes)
                Expect.equal (loaded.Train.Labels.data<int64>().ToArray()) [| 0L; 1L |] "ant before cat"

                Expect.equal
                    (numbers (loaded.Train.Images.select (0L, 1L)))
                    [| 0f; 255f; 0f; 0f; 0f; 0f; 255f; 0f; 0f; 0f; 0f; 255f |]
                    "red, green, blue planes"

                use grey = DataSet.load (DataSet.ofImages "beasts" 1 folder |> DataSet.scaled Scaling.bytes)
                // 0.299 R, 0.587 G, 0.114 B, rounded.
                Expect.equal (numbers (grey.Train.Images.select (0L, 1L))) [| 0f; 76f; 150f; 29f |] "luma"
                let before = DataSet.identity data
                File.WriteAllText(path "train/cat/notes.txt", "no picture")
                Expect.equal (DataSet.identity (DataSet.ofImages "beasts" 3 folder)) before "other files do not count"
                File.WriteAllText(path "train/cat/z.png", "no picture either")

                failsWith [ "z.png"; "a picture" ] (fun () ->
                    (DataSet.load (DataSet.ofImages "beasts" 3 folder)).Dispose())

                File.Delete(path "train/cat/z.png")
                picture (path "test/dog/d.png") [ for _ in 1..4 -> 1uy, 1uy, 1uy ]
                failsWith [ "test"; "'dog'" ] (fun () -> DataSet.ofImages "beasts" 3 folder |> ignore)
                failsWith [ "ofImages"; "train" ] (fun () -> DataSet.ofImages "beasts" 3 (path "nowhere") |> ignore)
                failsWith [ "ofImages"; "found 2" ] (fun () -> DataSet.ofImages "beasts" 2 folder |> ignore))
        }
    ]
