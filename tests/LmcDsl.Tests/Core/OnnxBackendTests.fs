/// ONNX's own tests of its operators: a model, inputs, and what it gives. What has a rule must give that; what has none must be refused by a
/// line. They are looked for in $LMC_DATA/onnx-tests and are no part of the repository.
module LmcDsl.Tests.Core.OnnxBackendTests

open System
open System.Collections.Generic
open System.Formats.Tar
open System.IO
open System.IO.Compression
open System.Linq
open Expecto
open Google.Protobuf
open LmcDsl.Core.Architectures
open LmcDsl.Core.Importing
open LmcDsl.Core.Runtime
open LmcDsl.Tests.Fixtures
open TorchSharp

let private archive =
    match Environment.GetEnvironmentVariable "LMC_DATA" with
    | null
    | "" -> None
    | folder -> Some(Path.Combine(folder, "onnx-tests", "onnx-backend-tests.tar.gz"))

type private Outcome =
    | Passed
    | Refused of string
    | Failed of string

let private pb folder (path: string) =
    let tensor = OnnxTensor.Read(ByteString.CopyFrom(File.ReadAllBytes path).CreateCodedInput())
    let loaded = tensor.Load folder
    // What is computed is computed in float32.
    match loaded.dtype with
    | torch.ScalarType.Float16
    | torch.ScalarType.BFloat16 -> loaded.``to`` (torch.ScalarType.Float32), true
    | _ -> loaded, false

let private numbered (folder: string) (prefix: string) =
    Directory.GetFiles(folder, prefix + "_*.pb")
    |> Array.sortBy (fun path -> int ((Path.GetFileNameWithoutExtension path |> string).Substring(prefix.Length + 1)))

let private isLike (found: torch.Tensor) (wanted: torch.Tensor) half =
    let a, b = found.``to`` (torch.ScalarType.Float64), wanted.``to`` (torch.ScalarType.Float64)
    let relative, absolute = if half then 1e-2, 1e-3 else 1e-3, 1e-5
    wanted.numel () = 0L || a.reshape(b.shape).allclose(b, relative, absolute, true)

/// One set of inputs, some of which are what the network reads and others constants.
let private attempt
    folder
    (proto: OnnxProto)
    (names: string[])
    (inputs: torch.Tensor[])
    (outputs: (torch.Tensor * bool)[])
    (isSignal: bool[])
    =
    let graph = OnnxGraph(proto, folder, 1L <<< 24)
    let given = Dictionary<string, torch.Tensor>()

    for k in 0 .. names.Length - 1 do
        if not isSignal[k] then
            given[names[k]] <- inputs[k]

    let signals =
        [|
            for k in 0 .. names.Length - 1 do
                if isSignal[k] then
                    struct (names[k], inputs[k].shape, inputs[k].dtype)
        |]

    try
        match graph.ImportPlain(given, signals) with
        | null, constants ->
            let misses =
                Seq.zip constants outputs
                |> Seq.exists (fun (found, (wanted, half)) ->
                    found.shape <> wanted.shape || not (isLike found wanted half))

            if misses then Failed "a constant" else Passed
        | architecture, _ when architecture.Nodes |> Seq.exists (fun node -> node.Layer :? Opaque) -> Refused "no rule"
        | architecture, _ ->
            let network = Network architecture
            use model = new ParameterSet(network, torch.zeros network.TotalCount)

            for spec, view in Seq.zip network.Parameters model.Views do
                let struct (tensor, transposed) = graph.Stored[spec.Name]
                let numbers = tensor.Load folder
                view.copy_ (if transposed then numbers.t () else numbers) |> ignore

            let read =
                [|
                    for k in 0 .. names.Length - 1 do
                        if isSignal[k] then
                            inputs[k]
                |]

            let x =
                match read with
                | [| one |] when one.dim () > 0L -> one.unsqueeze 0L
                | several ->
                    let widest = several |> Array.map _.dtype |> Array.reduce (fun a b -> torch.promote_types (a, b))
                    torch.cat([| for one in several -> one.flatten().``to`` widest |]).unsqueeze 0L

            let flat = network.Forward(model.Views, x)[0]
            let mutable at = 0L

            let misses =
                [
                    for wanted, half in outputs do
                        let part = flat.narrow (0L, at, wanted.numel ())
                        at <- at + wanted.numel ()

                        if not (isLike part wanted half) then
                            $"largest difference {difference (part.reshape(wanted.shape).``to``(torch.ScalarType.Float64)) (wanted.``to`` (torch.ScalarType.Float64))}"
                ]

            match misses with
            | [] -> Passed
            | miss :: _ -> Failed miss
    with :? LmcException as error ->
        Refused error.Message

let private run (folder: string) : Outcome =
    use _ = torch.NewDisposeScope()
    use _ = torch.no_grad ()
    use file = File.OpenRead(Path.Combine(folder, "model.onnx"))
    let proto = OnnxProto.Read file
    let initial = set [ for tensor in proto.Initializers -> tensor.Name ]

    let names =
        [|
            for input in proto.Inputs do
                if not (initial.Contains input.Name) then
                    input.Name
        |]

    let sets = Directory.GetDirectories(folder, "test_data_set_*")

    let one (data: string) =
        try
            let inputs = numbered data "input" |> Array.map (pb folder >> fst)
            let outputs = numbered data "output" |> Array.map (pb folder)

            if inputs.Length <> names.Length then
                Refused "inputs"
            else
                // As much as can be is what the network reads; sizes and places are constants where they must be.
                let choices =
                    [
                        inputs |> Array.map (fun input -> input.numel () > 0L)
                        inputs |> Array.map (fun input -> input.is_floating_point () && input.numel () > 0L)
                        inputs |> Array.mapi (fun k input -> k = 0 && input.numel () > 0L)
                        inputs |> Array.map (fun _ -> false)
                    ]
                    |> List.distinct

                let rec first last choices =
                    match choices with
                    | [] -> last
                    | choice :: rest ->
                        match attempt folder proto names inputs outputs choice with
                        | Refused why -> first (Refused why) rest
                        | outcome -> outcome

                first (Refused "nothing") choices
        with
        | :? LmcException as error -> Refused error.Message
        | :? InvalidProtocolBufferException as error -> Refused error.Message

    let outcomes = sets |> Array.map one |> List.ofArray

    match outcomes |> List.tryFind (fun outcome -> outcome <> Passed) with
    | Some other -> other
    | None when outcomes.IsEmpty -> Refused "no data"
    | None -> Passed

let tests =
    testSequenced (
        testList "Onnx backend" [
            test "ONNX's own tests pass wherever an operator has a rule, and what has none is refused" {
                match archive with
                | Some path when File.Exists path ->
                    inFolder (fun folder ->
                        use packed = File.OpenRead path
                        use unpacked = new GZipStream(packed, CompressionMode.Decompress)
                        TarFile.ExtractToDirectory(unpacked, folder, true)

                        let cases =
                            Directory.GetFiles(folder, "model.onnx", SearchOption.AllDirectories)
                            |> Array.map (Path.GetDirectoryName >> string)
                            |> Array.sort

                        let results = [ for case in cases -> Path.GetFileName case |> string, run case ]

                        let failed =
                            [
                                for name, outcome in results do
                                    match outcome with
                                    | Failed why -> $"{name}: {why}"
                                    | _ -> ()
                            ]

                        let count isOne = results |> List.filter (snd >> isOne) |> List.length
                        let passed = count (fun outcome -> outcome = Passed)
                        let refused = count _.IsRefused
                        printfn $"ONNX's own tests: {passed} passed, {refused} refused, {failed.Length} failed"
                        Expect.isEmpty failed "failed"
                        Expect.isGreaterThanOrEqual passed 1100 "passed"
                        // One of each kind that networks are made of.
                        let names =
                            set [
                                for name, outcome in results do
                                    if outcome = Passed then
                                        name
                            ]

                        for needed in
                            [
                                "test_conv_with_strides_and_asymmetric_padding"
                                "test_gemm_all_attributes"
                                "test_matmul_4d"
                                "test_softmax_axis_1"
                                "test_lstm_with_initial_bias"
                                "test_gru_defaults"
                                "test_attention_4d_gqa"
                                "test_rotary_embedding"
                                "test_resize_upsample_sizes_nearest"
                                "test_averagepool_2d_ceil"
                                "test_reduce_log_sum_exp_keepdims_random"
                                "test_gather_negative_indices"
                                "test_group_normalization_example"
                                "test_rms_normalization_2d_axis1"
                                "test_layer_normalization_2d_axis1_expanded"
                            ] do
                            Expect.contains names needed "passed")
                | _ -> skiptest "ONNX's own tests are not there: $LMC_DATA/onnx-tests/onnx-backend-tests.tar.gz"
            }
        ]
    )
