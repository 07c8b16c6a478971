/// Graphs of a node or two, written byte by byte: their shapes and outputs by hand.
module LmcDsl.Tests.Core.OnnxImportTests

open System.Collections.Immutable
open System.IO
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Importing
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Core.OnnxBytes
open LmcDsl.Tests.Fixtures
open TorchSharp

/// What a model is for one example, and its outputs for some, flattened.
let private imported (content: byte[]) (examples: float32 list) : int list * float32 list =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "model.onnx")
        File.WriteAllBytes(path, content)
        let read = OnnxModel.Read path
        let network = Network read.Architecture
        use weights = read.Load network
        let shape = List.ofSeq read.Architecture.Input
        use given = torch.tensor(Array.ofList examples).reshape([| -1L; yield! shape |> List.map int64 |])
        use outputs = network.Forward(weights.Views, given)
        shape, List.ofArray (outputs.flatten().data<float32>().ToArray()))

/// A model of nodes and weights, whose input and output have the same sizes by what it says.
let private modelOf (opset: int64) (sizes: int64 list) (parts: byte[] list) : byte[] =
    model opset (parts @ [ field 11 (valueOf "x" sizes); field 12 (valueOf "y" sizes) ])

let private importingAt opset sizes parts examples = imported (modelOf opset sizes parts) examples

let private importing = importingAt 13L

let tests =
    testList "OnnxImport" [
        test "an attribute is the number that the file has, and an example is what stands behind the batch" {
            // Over axis 1 of 1 x 2 x 2: columns sum to one. (Axis -1 would be rows.)
            let softmax = node "Softmax" [ "x" ] "y" [ attribute "axis" 1L ]
            let shape, outputs = importing [ 1L; 2L; 2L ] [ softmax ] [ 0f; 5f; 0f; 5f ]
            Expect.equal shape [ 2; 2 ] "of an example"

            for value in outputs do
                Expect.floatClose Accuracy.medium (float value) 0.5 "both rows of a column are alike"
        }

        test "where a node stands is the module that holds it: not the node's own name, and a list's name once" {
            for node, module' in
                [
                    "/features/features.1.0/block/block.3/MatMul", "features.1.0.block.3"
                    "/layer1/layer1.0/conv1/Conv", "layer1.0.conv1"
                    "/fc/Gemm", "fc"
                ] do
                Expect.equal (LayerNames.Scope node |> Option.ofObj) (Some module') node

            for node in [ "/Gemm"; "Gemm_12"; "" ] do
                Expect.equal (LayerNames.Scope node |> Option.ofObj) None node
        }

        test "a negative attribute counts from the end" {
            let softmax = node "Softmax" [ "x" ] "y" [ attribute "axis" -1L ]
            let _, outputs = importing [ 1L; 2L; 2L ] [ softmax ] [ 3f; 3f; 7f; 7f ]

            for value in outputs do
                Expect.floatClose Accuracy.medium (float value) 0.5 "both columns of a row are alike"
        }

        test "before opset 13 softmax runs over all axes from the first on, since then over the last alone" {
            for opset, share in [ 12L, 0.25; 13L, 0.5 ] do
                let softmax = node "Softmax" [ "x" ] "y" []
                let _, outputs = importingAt opset [ 1L; 2L; 2L ] [ softmax ] [ 3f; 3f; 3f; 3f ]

                for value in outputs do
                    Expect.floatClose Accuracy.medium (float value) share $"opset {opset}"
        }

        test "a model's own function is called with its inputs in their order" {
            let less = functionOf "own" "Less" [ "p"; "q" ] "r" [ node "Sub" [ "p"; "q" ] "r" [] ]
            let call = node "Less" [ "x"; "w" ] "y" [ text 7 "own" ]
            let caller = modelOf 13L [ 1L; 3L ] [ call; weight "w" [ 3L ] [ 1f; 2f; 3f ] ]
            let _, outputs = imported (Array.append caller less) [ 5f; 5f; 5f ]
            Expect.equal outputs [ 4f; 3f; 2f ] "x - w"
        }

        test
            "equal tensors that are stored once are layers' own, and are written apart where what becomes of them differs" {
            use _ = torch.NewDisposeScope()

            let draw (seed: int64) (count: int64) =
                use generator = LmcDsl.Core.Runtime.Seeds.Generator(seed, "weights")
                List.ofArray (torch.randn(count, generator = generator).data<float32>().ToArray())

            let layer input weight output =
                [
                    node "Gemm" [ input; $"{weight}.weight" ] $"{output}_" [ attribute "transB" 1L ]
                    node "Tanh" [ $"{output}_" ] output []
                ]

            let content =
                modelOf 13L [ 1L; 2L ] [
                    node "Identity" [ "b.weight" ] "c.weight" []
                    yield! layer "x" "a" "h1"
                    yield! layer "h1" "b" "h2"
                    yield! layer "h2" "c" "h3"
                    node "Gemm" [ "h3"; "d.weight" ] "y" [ attribute "transB" 1L ]
                    weight "a.weight" [ 4L; 2L ] (draw 1L 8L)
                    weight "b.weight" [ 4L; 4L ] (draw 2L 16L)
                    weight "d.weight" [ 2L; 4L ] (draw 3L 8L)
                ]

            inFolder (fun folder ->
                let path name = Path.Combine(folder, $"{name}.onnx")
                File.WriteAllBytes(path "own", content)

                let outputs name =
                    let read = OnnxModel.Read(path name)
                    let network = Network read.Architecture
                    use weights = read.Load network
                    network.Forward(weights.Views, torch.ones (1L, 2L))

                let network = Network (OnnxModel.Read(path "own")).Architecture
                let dense = network.Architecture.Nodes |> Seq.filter (fun node -> node.Layer :? Dense)

                Expect.equal
                    [ for node in dense -> node.Name ]
                    [ "a"; "b"; "c"; "d" ]
                    "layers with weights of their own"

                for seed in 1L .. 3L do
                    let element = PermutationSet.Random(network, seed)
                    let placement = Checkpoint.Open(path "own", network, NameMap.For network)

                    using (File.Create(path "moved")) (fun file -> Checkpoint.SavePermuted(file, element, placement))
                    Expect.isLessThan (difference (outputs "moved") (outputs "own")) 1e-6 "the same function"

                    let again = Network (OnnxModel.Read(path "moved")).Architecture
                    Expect.equal (again.Parameters.Length) network.Parameters.Length "as many weights"

                // What stays equal is stored once, as it was.
                let placement = Checkpoint.Open(path "own", network, NameMap.For network)

                using (File.Create(path "same")) (fun file ->
                    Checkpoint.SavePermuted(file, PermutationSet.Identity network, placement))

                Expect.equal (File.ReadAllBytes(path "same").Length) content.Length "nothing is written twice")
        }

        test "a matrix that is its own transpose was turned: an export that left it as it was would have kept its name" {
            use _ = torch.NewDisposeScope()

            let way (lost: torch.Tensor) (own: torch.Tensor) =
                let entry = TensorEntry("w", StoredType.Parse("F32", "w"), [| 3L; 3L |].ToImmutableArray())
                use known = new KnownTensor("w", entry, (fun () -> own.clone ()))
                TensorMap.Whole(lost, known) |> Option.ofObj |> Option.map _.IsSame

            let any = torch.arange(9.0f).reshape(3L, 3L)
            let symmetric = any + any.t ()
            Expect.equal (way any any) (Some true) "as it stands"
            Expect.equal (way (any.t().contiguous()) any) (Some false) "turned"
            Expect.equal (way symmetric symmetric) (Some false) "either way"
            Expect.equal (way (any + torch.tensor 1.0f) any) None "another"
        }

        test "a lone number is learned where a module calls it its own, and else a part of the graph" {
            for name, learned in [ "gain", 1; "block.0.gamma", 1; "onnx::Mul_7", 0; "const_fold_3", 0; "val_12", 0 ] do
                let content = modelOf 13L [ 1L; 3L ] [ node "Mul" [ "x"; name ] "y" []; weight name [] [ 2f ] ]

                inFolder (fun folder ->
                    let path = Path.Combine(folder, "model.onnx")
                    File.WriteAllBytes(path, content)
                    let network = Network (OnnxModel.Read path).Architecture
                    Expect.equal network.Parameters.Length learned name)

                let _, outputs = imported content [ 1f; 2f; 3f ]
                Expect.equal outputs [ 2f; 4f; 6f ] name
        }

        test "a product with a transposed weight, and one that is not" {
            let weights = [ 1f; 2f; 3f; 4f; 5f; 6f ]

            for transposed, sizes, wanted in [ 1L, [ 2L; 3L ], [ 14f; 32f ]; 0L, [ 3L; 2L ], [ 22f; 28f ] ] do
                let gemm = node "Gemm" [ "x"; "w" ] "y" [ attribute "transB" transposed ]
                let shape, outputs = importing [ 1L; 3L ] [ gemm; weight "w" sizes weights ] [ 1f; 2f; 3f ]
                Expect.equal shape [ 3 ] "of an example"
                Expect.equal outputs wanted "by hand"
        }

        test "numbers are written the way round that the file has them, whichever way the network has them" {
            let mutable turned = 0

            // Under a name of its own a weight stays as it lies; one that lost it is the layer's, which has a row for each unit.
            for name in [ "w"; "onnx::Gemm_3" ] do
                for transposed, sizes in [ 1L, [ 2L; 3L ]; 0L, [ 3L; 2L ]; 1L, [ 3L; 3L ]; 0L, [ 3L; 3L ] ] do
                    inFolder (fun folder ->
                        let path, written = Path.Combine(folder, "a.onnx"), Path.Combine(folder, "b.onnx")
                        let gemm = node "Gemm" [ "x"; name ] "y" [ attribute "transB" transposed; text 3 "/fc/Gemm" ]
                        let weights = [ for k in 1L .. List.reduce (*) sizes -> float32 k ]
                        File.WriteAllBytes(path, modelOf 13L [ 1L; 3L ] [ gemm; weight name sizes weights ])
                        use source = new OnnxSource(path)

                        for struct (_, way) in (OnnxModel.Read path).Stored.Values do
                            if way then
                                turned <- turned + 1

                        (use stream = File.Create written
                         source.Write(stream, fun entry -> source.Read(entry.Name) * 2))

                        let outputs file = snd (imported (File.ReadAllBytes file) [ 1f; 2f; 3f ])

                        Expect.equal
                            (outputs written)
                            (outputs path |> List.map ((*) 2f))
                            $"twice as much: {name}, {transposed}, {sizes}")

            Expect.isGreaterThan turned 0 "some lie the other way round"
        }

        test "a row of numbers for each unit that a node gives, whichever way its weight lies" {
            use _ = torch.NewDisposeScope()

            let rows (node: OnnxNode) (sizes: int64 list) =
                let count: int64 = List.reduce (*) sizes
                let weight = torch.arange(count).reshape(Array.ofList sizes)
                let found = NodeWeights.Rows(node, weight, NodeWeights.IsTurned node)

                [ for k in 0L .. found.shape[0] - 1L -> List.ofArray (found[k].data<int64>().ToArray()) ]

            let called operator (attributes: (string * int64) list) =
                OnnxNode.Of(
                    operator,
                    [ "x"; "w" ],
                    "y",
                    [| for name, value in attributes -> OnnxAttribute.Of(name, value) |]
                )

            let product = called "Gemm" [ "transB", 0L ]
            Expect.equal (rows product [ 2L; 3L ]) [ [ 0L; 3L ]; [ 1L; 4L ]; [ 2L; 5L ] ] "a product: columns"
            Expect.equal (rows (called "Gemm" [ "transB", 1L ]) [ 2L; 3L ]) [ [ 0L; 1L; 2L ]; [ 3L; 4L; 5L ] ] "turned"
            Expect.equal (rows (called "Conv" []) [ 2L; 1L; 2L ]) [ [ 0L; 1L ]; [ 2L; 3L ] ] "a convolution"
            // Two groups of two inputs and one output each, kernels of two.
            Expect.equal
                (rows (called "ConvTranspose" [ "group", 2L ]) [ 4L; 1L; 2L ])
                [ [ 0L; 1L; 2L; 3L ]; [ 4L; 5L; 6L; 7L ] ]
                "a transposed one, by groups"

            Expect.equal
                (rows (called "ConvTranspose" []) [ 2L; 2L; 1L ])
                [ [ 0L; 2L ]; [ 1L; 3L ] ]
                "its second axis is what it gives"

            let scaled = OnnxNode.Of("Gemm", [ "x"; "w" ], "y", [| OnnxAttribute.OfNumber("alpha", 2.0) |])

            Expect.equal
                [ for node in [ product; scaled ] -> NodeWeights.IsPlain node ]
                [ true; false ]
                "factors of its own"
        }

        test
            "numbers that stand once are told their places in a checkpoint's tensor; those that stand twice, or nowhere, are not" {
            use _ = torch.NewDisposeScope()

            let entry =
                TensorEntry("w", StoredType("F32", 32, torch.ScalarType.Float32, true), ImmutableArray.Create(2L, 3L))

            use known =
                new KnownTensor("w", entry, fun () -> torch.tensor([| 5f; 1f; 5f; 3f; 2f; 9f |]).reshape(2L, 3L))

            let places = known.Places(torch.tensor [| 9f; 5f; 1f; 4f; 3f |], torch.ScalarType.Float32)
            Expect.equal places [| 5L; -1L; 1L; -1L; 3L |] "by hand"
        }

        test "what is put before a graph takes the place of its own tensors of such names" {
            let proto = OnnxProto()
            proto.Initializers.AddRange [ OnnxTensor.From("w", 1L, 2L); OnnxTensor.From("kept", 3L) ]
            let edit = GraphEdit proto
            edit.Fixed("w", 3L, (fun () -> torch.ones 3L)) |> ignore
            edit.Write()

            Expect.sequenceEqual
                [ for t in proto.Initializers -> t.Name, t.IsReal ]
                [ "kept", false; "w", true ]
                "one each"
        }

        test "sizes are given for what the file leaves open, and for no more" {
            inFolder (fun folder ->
                let path = Path.Combine(folder, "model.onnx")

                let read sizes ``open`` =
                    File.WriteAllBytes(path, modelOf 13L sizes [ node "Relu" [ "x" ] "y" [] ])
                    List.ofSeq (OnnxModel.Read(path, ``open`` = Array.ofList ``open``)).Architecture.Input

                Expect.equal (read [ 1L; -1L; 4L; -1L ] [ 3; 5 ]) [ 3; 4; 5 ] "one each"
                Expect.equal (read [ 1L; -1L; 4L; -1L ] [ 3 ]) [ 3; 4; 3 ] "the last for all that follow"
                // The batch of a recurrent network's steps is the second axis.
                File.WriteAllBytes(path, modelOf 13L [ 7L; -1L; 4L ] [ node "Relu" [ "x" ] "y" [] ])
                Expect.isNull (OnnxModel.Read path).TakenSizes "nothing but the batch is open"

                for sizes, given in [ [ 1L; -1L; 4L ], [ 3; 5 ]; [ 1L; 3L; 4L ], [ 8 ]; [ 7L; -1L; 4L ], [ 8 ] ] do
                    failsWith [ path; "leaves open"; $"found {given.Length}"; string given.Head ] (fun () ->
                        read sizes given |> ignore))
        }

        test "a resize by a scale that no binary number is takes the entries that PyTorch takes" {
            let said name value = field 5 (Array.concat [ text 1 name; text 4 value; number 20 3L ])

            let resized (scale: float32) (count: int) =
                let resize =
                    node "Resize" [ "x"; ""; "scales" ] "y" [
                        said "mode" "nearest"
                        said "nearest_mode" "floor"
                        said "coordinate_transformation_mode" "asymmetric"
                    ]

                importing [ 1L; 1L; int64 count ] [ resize; weight "scales" [ 3L ] [ 1f; 1f; scale ] ] [
                    for k in 0 .. count - 1 -> float32 k
                ]
                |> snd

            // Where an entry and its place in the input are whole numbers: interpolate(arange(32), scale_factor, mode="nearest").
            for scale, size, every, step in
                [
                    1.1f, 35, 11, 10
                    1.2f, 38, 6, 5
                    1.6f, 51, 8, 5
                    1.7f, 54, 17, 10
                    2.2f, 70, 11, 5
                    0.3f, 9, 3, 10
                    0.6f, 19, 3, 5
                ] do
                let found = resized scale 32
                Expect.equal found.Length size $"entries at {scale}"

                for k in 0 .. (size - 1) / every do
                    Expect.equal found[every * k] (float32 (step * k)) $"entry {every * k} at {scale}"

            Expect.equal (resized 0.7f 10).Length 7 "10 by 0.7"
        }

        test "a shape written for a batch is one example's wherever the batch stands, and refused where that is unknown" {
            let whole name (values: int64 list) =
                field
                    5
                    (tensorOf
                        name
                        7L
                        [ values.Length ]
                        (values |> List.map System.BitConverter.GetBytes |> Array.concat))

            let perm (order: int64 list) =
                field 5 (Array.concat [ text 1 "perm"; yield! List.map (number 8) order; number 20 7L ])

            let steps = [ 1f .. 12f ] // four steps of three numbers

            // Two examples, step by step: each step's numbers are the same ones afterwards.
            let stepwise =
                [
                    node "Transpose" [ "x" ] "steps" [ perm [ 1L; 0L; 2L ] ]
                    node "Reshape" [ "steps"; "rows" ] "flat" []
                    node "Relu" [ "flat" ] "r" []
                    node "Reshape" [ "r"; "parted" ] "again" []
                    node "Transpose" [ "again" ] "y" [ perm [ 1L; 0L; 2L ] ]
                    whole "rows" [ 8L; 3L ]
                    whole "parted" [ 4L; 2L; 3L ]
                ]

            Expect.equal (importing [ 2L; 4L; 3L ] stepwise steps |> snd) steps "as they were"

            // Heads of two numbers, which stand behind the batch: 4 x 2 x 4, 4 x (2 x 2) x 2, and back.
            let heads =
                [
                    node "Transpose" [ "x" ] "steps" [ perm [ 1L; 0L; 2L ] ]
                    node "Reshape" [ "steps"; "parted" ] "heads" []
                    node "Transpose" [ "heads" ] "first" [ perm [ 1L; 0L; 2L ] ]
                    node "Relu" [ "first" ] "s" []
                    node "Transpose" [ "s" ] "back" [ perm [ 1L; 0L; 2L ] ]
                    node "Reshape" [ "back"; "joined" ] "again" []
                    node "Transpose" [ "again" ] "y" [ perm [ 1L; 0L; 2L ] ]
                    whole "parted" [ 4L; 4L; 2L ]
                    whole "joined" [ 4L; 2L; 4L ]
                ]

            let numbers = [ 1f .. 16f ]
            Expect.equal (importing [ 2L; 4L; 4L ] heads numbers |> snd) numbers "heads as they were"

            let unknown =
                [
                    node "Transpose" [ "x" ] "t" [ perm [ 1L; 0L ] ]
                    node "Concat" [ "t"; "t" ] "twice" [ attribute "axis" 0L ]
                    node "Reshape" [ "twice"; "parted" ] "y" []
                    whole "parted" [ 4L; 2L; 2L ]
                ]

            failsWith [ "(Reshape)"; "batch of 2"; "export with a batch of one example"; "4 x 2 x 2" ] (fun () ->
                importing [ 2L; 4L ] unknown [ 1f .. 4f ] |> ignore)
        }

        test "a model whose numbers lie beside it is written with all of them within, whatever they are" {
            let beside (name: string) kind (sizes: int64 list) first count =
                let said key value = field 13 (Array.append (text 1 key) (text 2 value))

                Array.concat [
                    yield! sizes |> List.map (number 1)
                    number 2 kind
                    text 8 name
                    said "location" "m.data"
                    said "offset" (string first)
                    said "length" (string count)
                    number 14 1L
                ]

            let floats (values: float32 list) = values |> List.map System.BitConverter.GetBytes |> Array.concat

            let numbers =
                Array.concat [
                    floats [ 1f; 2f; 3f; 4f; 5f; 6f ] // a.weight
                    floats [ 1f; 0f; -1f; 2f; 1f; 1f ] // o.weight
                    yield! [ 1L; 0L; 1L ] |> List.map System.BitConverter.GetBytes // mask
                    floats [ 10f; 20f ] // shift
                ]

            let shift = Array.concat [ text 1 "value"; field 5 (beside "" 1L [ 2L ] 72 8); number 20 4L ]

            let content =
                modelOf 13L [ 1L; 2L ] [
                    node "Constant" [] "shift" [ field 5 shift ]
                    node "Gemm" [ "x"; "a.weight" ] "h" [ attribute "transB" 1L ]
                    node "Cast" [ "mask" ] "m" [ attribute "to" 1L ]
                    node "Mul" [ "h"; "m" ] "g" []
                    node "Gemm" [ "g"; "o.weight" ] "o" [ attribute "transB" 1L ]
                    node "Add" [ "o"; "shift" ] "y" []
                    field 5 (beside "a.weight" 1L [ 3L; 2L ] 0 24)
                    field 5 (beside "o.weight" 1L [ 2L; 3L ] 24 24)
                    field 5 (beside "mask" 7L [ 3L ] 48 24)
                ]

            inFolder (fun folder ->
                use _ = torch.NewDisposeScope()
                let own, written = Path.Combine(folder, "own"), Path.Combine(folder, "written")

                for path in [ own; written ] do
                    Directory.CreateDirectory path |> ignore

                let path = Path.Combine(own, "m.onnx")
                File.WriteAllBytes(path, content)
                File.WriteAllBytes(Path.Combine(own, "m.data"), numbers)

                let outputs path =
                    let read = OnnxModel.Read path
                    let network = Network read.Architecture
                    use weights = read.Load network
                    network.Forward(weights.Views, torch.ones (1L, 2L)).data<float32>().ToArray()

                let network = Network (OnnxModel.Read path).Architecture
                let placement = Checkpoint.Open(path, network, NameMap.For network)
                let alone = Path.Combine(written, "m.onnx")

                using (File.Create alone) (fun file ->
                    Checkpoint.SavePermuted(file, PermutationSet.Identity network, placement))

                Expect.equal (outputs alone) [| 10f + 3f - 11f; 20f + 6f + 11f |] "without the file beside it"
                Expect.equal (outputs alone) (outputs path) "the same function")
        }
    ]
