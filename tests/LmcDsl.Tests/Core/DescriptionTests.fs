module LmcDsl.Tests.Core.DescriptionTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Tests.Fixtures
open TorchSharp

/// A network of one layer on an image, and what ends it.
let private on (input: string) (layer: string) =
    $$"""{"name":"x","input":{{input}},"nodes":[{"name":"a","layer":{{layer}},"inputs":["input"]},
         {"name":"f","layer":{"kind":"flatten"},"inputs":["a"]},{"name":"o","layer":{"kind":"dense","units":2},"inputs":["f"]}]}"""

let private build layer = Network(Architecture.FromJson(on "[2,7,9]" layer))

/// What a layer makes of an image.
let private output (network: Network) (parameters: ParameterSet) (x: torch.Tensor) mode =
    let mutable found = null

    network.Forward(
        parameters.Views,
        x,
        mode,
        fun name y ->
            if name = "a" then
                found <- y.clone ()
    )
    |> ignore

    found

let private refuses what layer parts =
    test $"refused: {what}" { failsWith ("layer 'a'" :: parts) (fun () -> build layer |> ignore) }

let tests =
    testList "Network descriptions" [
        refuses "a field that is not known" """{"kind":"batchNorm","afine":false}""" [ "'afine'"; "nearest: affine" ]
        refuses "a field in the wrong layer" """{"kind":"dense","units":3,"dilation":2}""" [
            "'dilation'"
            "units, bias"
        ]
        refuses "a field given twice" """{"kind":"dense","units":3,"Units":4}""" [ "'Units'"; "twice" ]
        refuses "a field that is missing" """{"kind":"dense"}""" [ "dense"; "'units'" ]
        refuses "no kind" """{"units":3}""" [ "'kind'" ]
        refuses "a kind that is none" """{"kind":3}""" [ "kind"; "found 3" ]
        refuses "a layer that is none" "[1]" [ "found [1]" ]
        refuses "words for numbers" """{"kind":"convolution","channels":"many"}""" [
            "channels"
            "whole number"
            "\"many\""
        ]
        refuses "fractions" """{"kind":"convolution","channels":2.5}""" [ "channels"; "whole number"; "2.5" ]
        refuses "null" """{"kind":"convolution","channels":null}""" [ "channels"; "whole number"; "null" ]
        refuses "numbers beyond 32 bits" """{"kind":"convolution","channels":3000000000}""" [ "channels"; "3000000000" ]
        refuses "a word for a mode" """{"kind":"convolution","channels":2,"paddingMode":"mirror"}""" [
            "Zeros, Reflect"
            "mirror"
        ]
        refuses "the padding 'same'" """{"kind":"convolution","channels":2,"padding":"same"}""" [
            "padding"
            "(kernel - 1) / 2"
        ]
        refuses "a kernel that is no square" """{"kind":"convolution","channels":2,"kernel":[3,5]}""" [
            "kernel"
            "[3,5]"
        ]
        refuses "no channels" """{"kind":"convolution","channels":0}""" [ "1 or more"; "found 0" ]
        refuses "a negative dilation" """{"kind":"convolution","channels":1,"dilation":-1}""" [ "1 or more"; "-1" ]
        refuses "a kernel of 2^31 - 1" """{"kind":"convolution","channels":1,"kernel":2147483647}""" [ "2147483647" ]
        refuses "a padding of 2^31 - 1" """{"kind":"convolution","channels":1,"padding":2147483647,"kernel":1}""" [
            "2147483647"
        ]
        refuses
            "a kernel larger than the image"
            """{"kind":"convolution","channels":1,"kernel":8,"padding":0,"stride":5}"""
            [ "shrinks" ]
        refuses
            "more mirrored than there is"
            """{"kind":"convolution","channels":1,"padding":7,"paddingMode":"reflect"}"""
            [ "at most 6"; "7" ]
        refuses "pooling with more padding than half" """{"kind":"pooling","function":"max","kernel":3,"padding":2}""" [
            "found 2"
        ]
        refuses "a momentum beyond 1" """{"kind":"batchNorm","momentum":2}""" [ "momentum"; "found 2" ]
        refuses "adaptive pooling to nothing" """{"kind":"adaptivePooling","function":"max","height":0,"width":1}""" [
            "1 or more"
        ]

        test "refused: sizes of the input, and numbers in all, that cannot be" {
            let layer = """{"kind":"activation","function":"relu"}"""

            for input, parts in
                [
                    "[0,2,3]", [ "1 or more"; "[0, 2, 3]" ]
                    "[-784,10]", [ "1 or more"; "-784" ]
                    "[65536,65536]", [ "2147483647"; "65536" ]
                    "[3000000000]", [ "input"; "3000000000" ]
                    "[1.5]", [ "input"; "1.5" ]
                    "[]", [ "input"; "[]" ]
                    "3", [ "input"; "found 3" ]
                ] do
                failsWith parts (fun () -> Network(Architecture.FromJson(on input layer)) |> ignore)

            failsWith [ "at most"; "a.weight" ] (fun () ->
                Network(
                    Architecture.FromJson
                        """{"name":"x","input":[2147483647],"nodes":[{"name":"a","layer":{"kind":"dense","units":2147483647},"inputs":["input"]}]}"""
                )
                |> ignore)
        }

        test "refused: fields of the network and its nodes that are not known, missing or null" {
            let node = """{"name":"a","layer":{"kind":"flatten"},"inputs":["input"]}"""

            for json, parts in
                [
                    $"""{{"name":"x","input":[2],"nodes":[{node}],"nodez":1}}""", [ "'nodez'"; "nearest: nodes" ]
                    """{"name":"x","input":[2],"nodes":[{"name":"a","layer":{"kind":"flatten"},"input":["input"]}]}""",
                    [ "node 1"; "'input'"; "nearest: inputs" ]
                    """{"name":"x","input":[2],"nodes":[{"name":"a","layer":{"kind":"flatten"},"inputs":[null]}]}""",
                    [ "layer 'a'"; "inputs"; "null" ]
                    """{"name":"x","input":[2],"nodes":[{"name":"a","layer":{"kind":"flatten"},"inputs":[]}]}""",
                    [ "layer 'a'"; "inputs"; "[]" ]
                    """{"name":"x","input":[2],"nodes":[null]}""", [ "node 1"; "null" ]
                    """{"name":null,"input":[2],"nodes":[]}""", [ "name"; "null" ]
                    """["x"]""", [ "architecture"; "[\"x\"]" ]
                    "{\"name\":\n\"x\",,", [ "line 2"; "column 5" ]
                ] do
                failsWith parts (fun () -> Architecture.FromJson json |> ignore)
        }

        test "names in upper or lower case, comments, a last comma and equal sides of a kernel are read" {
            let architecture =
                Architecture.FromJson
                    """{"Name":"x", // mine
                        "INPUT":[1,4,4],"nodes":[
                          {"name":"a","layer":{"kind":"Convolution","CHANNELS":2,"kernel":[3,3],"padding":[1,1]},"inputs":["input"]},
                          {"name":"r","layer":{"kind":"activation","function":"relu"},"inputs":["a"]},
                          {"name":"n","layer":{"kind":"batchnorm"},"inputs":["r"]},
                          {"name":"f","layer":{"kind":"flatten"},"inputs":["n"]},]}"""

            Expect.stringContains
                (architecture.ToJson())
                """{"kind":"convolution","channels":2,"kernel":3,"stride":1,"padding":1,"bias":false,"groups":1}"""
                "in our words"
        }

        test "a network of 5,000 layers is wired in a moment, and a mistake in it is told shortly" {
            let chain = Chain()

            for k in 1..5000 do
                chain.Add($"d{k}", Dense(2)) |> ignore

            let clock = System.Diagnostics.Stopwatch.StartNew()
            Expect.equal (Network(chain.Build("deep", [| 2 |]))).Groups.Length 4999 "groups"
            Expect.isLessThan clock.Elapsed.TotalSeconds 20.0 "not quadratic"
            chain.Add("end", Dense 2, "d5001") |> ignore

            try
                Network(chain.Build("deep", [| 2 |])) |> ignore
                failtest "read what is not there"
            with :? LmcDsl.Core.Runtime.LmcException as error ->
                Expect.isLessThan error.Message.Length 400 "a line, not a book"
                Expect.stringContains error.Message "and 4981 more" "how many there are"
        }

        test "a convolution's padding modes and dilation are Torch's" {
            use _ = torch.NewDisposeScope()

            for mode, theirs in
                [
                    "reflect", PaddingModes.Reflect
                    "replicate", PaddingModes.Replicate
                    "circular", PaddingModes.Circular
                    "zeros", PaddingModes.Zeros
                ] do
                let network =
                    build
                        $$"""{"kind":"convolution","channels":3,"kernel":3,"padding":2,"dilation":2,"stride":2,"paddingMode":"{{mode}}"}"""

                let p, x = randomParameters network 1L, randomInput network 2 2L
                let padded = torch.nn.functional.pad (x, [| 2L; 2L; 2L; 2L |], theirs)

                let expected =
                    torch.nn.functional.conv2d (padded, p["a.weight"], strides = [| 2L; 2L |], dilation = [| 2L; 2L |])

                let found = output network p x Mode.Evaluation
                Expect.isLessThan (difference found expected) 1e-5 mode
                // The layer as a matrix gives the same.
                let columns = network.Architecture.Nodes[0].Layer.Linear.Columns.Invoke x
                let product = p["a.weight"].flatten(1L).mm(columns)
                Expect.isLessThan (difference product (expected.transpose(0, 1).flatten 1L)) 1e-5 $"{mode}: columns"
        }

        test "pooling pads, and reaches beyond the image where it is told" {
            use _ = torch.NewDisposeScope()
            let functional p = build $$"""{"kind":"pooling",{{p}}}"""
            let network = functional "\"function\":\"max\",\"kernel\":3,\"stride\":2,\"padding\":1,\"ceiling\":true"
            let p, x = randomParameters network 1L, randomInput network 2 2L

            let expected =
                torch.nn.functional.max_pool2d (x, [| 3L; 3L |], [| 2L; 2L |], [| 1L; 1L |], ceil_mode = true)

            Expect.equal (difference (output network p x Mode.Evaluation) expected) 0.0 "maximum"

            for count in [ true; false ] do
                let network =
                    functional
                        $"\"function\":\"average\",\"kernel\":3,\"stride\":3,\"padding\":1,\"countPadding\":{(string count).ToLowerInvariant()}"

                let expected =
                    torch.nn.functional.avg_pool2d (
                        x,
                        [| 3L; 3L |],
                        [| 3L; 3L |],
                        [| 1L; 1L |],
                        count_include_pad = count
                    )

                let p = randomParameters network 1L
                Expect.isLessThan (difference (output network p x Mode.Evaluation) expected) 1e-6 $"mean, {count}"
        }

        test "batch norm without scale and shift, without statistics, and with their mean over all batches" {
            use _ = torch.NewDisposeScope()
            let plain = build """{"kind":"batchNorm","affine":false,"trackStatistics":false}"""
            Expect.equal [ for p in plain.Parameters -> p.Name ] [ "o.weight"; "o.bias" ] "no parameters"
            let x = randomInput plain 6 2L
            let mean, variance = x.mean ([| 0L; 2L; 3L |], true), x.var ([| 0L; 2L; 3L |], false, true)
            let expected = (x - mean) / (variance + 1e-5f.ToScalar()).sqrt()

            for mode in [ Mode.Evaluation; Mode.Training ] do
                let found = output plain (randomParameters plain 1L) x mode
                Expect.isLessThan (difference found expected) 1e-5 $"{mode}"

            let counting = build """{"kind":"batchNorm","momentum":null}"""
            Expect.stringContains (counting.Architecture.ToJson()) "\"momentum\":null" "written"
            let p = ParameterSet.Initialize(counting, 1L)
            let batches = [ for k in 1L .. 3L -> randomInput counting 5 k ]

            for batch in batches do
                counting.Forward(p.Views, batch, Mode.Training) |> ignore

            let means = torch.stack [| for b in batches -> b.mean [| 0L; 2L; 3L |] |]
            Expect.isLessThan (difference p["a.running_mean"] (means.mean [| 0L |])) 1e-6 "the mean of three"
            Expect.equal (p["a.num_batches_tracked"].ToSingle()) 3.0f "counted"
        }

        test "layer and group norm without scale and shift have no parameters" {
            let group = build """{"kind":"groupNorm","affine":false}"""
            Expect.equal group.Parameters.Length 2 "those of the dense layer"

            let layer =
                Network(
                    Architecture.FromJson
                        """{"name":"x","input":[3],"nodes":[{"name":"a","layer":{"kind":"layerNorm","affine":false},"inputs":["input"]}]}"""
                )

            Expect.equal layer.Parameters.Length 0 "none"
        }
    ]
