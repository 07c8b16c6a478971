/// Graphs read with checkpoints beside them: what of a graph's numbers is the network, and what is one model's.
module LmcDsl.Tests.Core.OnnxConstantsTests

open System
open System.IO
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Importing
open LmcDsl.Tests.Core.OnnxBytes
open LmcDsl.Tests.Fixtures
open TorchSharp

let private dense name input weights output =
    let named = text 3 name
    node "Gemm" [ input; weights ] output [ attribute "transB" 1L; named ]

let private ofParts (parts: byte[] list) =
    model 13L (parts @ [ field 11 (valueOf "x" [ 1L; 2L ]); field 12 (valueOf "y" [ 1L; 2L ]) ])

let private first = [ 1f; 2f; 3f; 4f; 5f; 6f ] // of three units
let private last = [ 1f; 0f; -1f; 2f; 1f; 1f ]

let private save (path: string) (tensors: (string * torch.Tensor) list) =
    use file = File.Create path

    SafeTensors.Write(file, [| for name, tensor in tensors -> struct (name, tensor) |])

let private floats (sizes: int64 list) (values: float32 list) =
    torch.tensor(Array.ofList values).reshape(Array.ofList sizes)

/// A graph and checkpoints of tensors; does something with the model and each checkpoint's placement.
let private beside (graph: byte[]) (checkpoints: (string * torch.Tensor) list list) work =
    inFolder (fun folder ->
        use _ = torch.NewDisposeScope()
        let path = Path.Combine(folder, "model.onnx")
        File.WriteAllBytes(path, graph)
        let read = OnnxModel.Read path
        let network = Network read.Architecture

        for k, tensors in List.indexed checkpoints do
            let file = Path.Combine(folder, $"{k}.safetensors")
            save file tensors
            let names = (NameMap.For network).WithConstants read.Constants
            let placement = Checkpoint.Open(file, network, names)
            use _ = placement.Source
            work k read placement)

/// An attribute `to` of `Cast`: float32.
let private toFloat = attribute "to" 1L

let private wholes name (values: int64 list) =
    field 5 (tensorOf name 7L [ int64 values.Length ] (values |> List.map BitConverter.GetBytes |> Array.concat))

// Two layers, of whose units a mask of whole numbers lets some through.
let private masked (mask: int64 list) =
    [
        dense "/a/Gemm" "x" "a.weight" "h"
        node "Cast" [ "mask" ] "m" [ toFloat ]
        node "Mul" [ "h"; "m" ] "g" []
        dense "/o/Gemm" "g" "o.weight" "y"
        weight "a.weight" [ 3L; 2L ] first
        weight "o.weight" [ 2L; 3L ] last
        wholes "mask" mask
    ]

let tests =
    testList "OnnxConstants" [
        test "whole numbers of a graph are the network: a checkpoint with others is a model of another one" {
            let parts = masked [ 1L; 1L; 0L ]

            let graph = ofParts parts

            let checkpoint prefix (mask: int64 list) =
                [
                    $"{prefix}a.weight", floats [ 3L; 2L ] last
                    $"{prefix}o.weight", floats [ 2L; 3L ] first
                    $"{prefix}mask", torch.tensor (Array.ofList mask)
                ]

            let all =
                [
                    checkpoint "" [ 1L; 1L; 0L ]
                    checkpoint "net." [ 1L; 1L; 0L ]
                    checkpoint "" [ 1L; 0L; 1L ]
                    checkpoint "net." [ 1L; 1L; 1L ]
                    checkpoint "module." [ 1L; 1L ]
                ]

            let other =
                ofParts (
                    List.map
                        (fun part ->
                            if part = wholes "mask" [ 1L; 1L; 0L ] then
                                wholes "mask" [ 0L; 1L; 0L ]
                            else
                                part)
                        parts
                )

            inFolder (fun folder ->
                let file k (content: byte[]) =
                    let path = Path.Combine(folder, $"{k}.onnx")
                    File.WriteAllBytes(path, content)
                    OnnxModel.Read path

                let models = [ file 0 graph; file 1 other ]

                Expect.equal
                    [
                        for a in models do
                            for b in models -> a.OtherConstant b |> Option.ofObj
                    ]
                    [ None; Some "mask"; Some "mask"; None ]
                    "two files of two networks")

            beside graph all (fun k read placement ->
                let check () = read.RequireConstants(placement, NameMap.For placement.Network)

                if k < 2 then
                    check ()
                else
                    failsWith [ $"{k}.safetensors"; "mask'"; "expected the numbers"; "model.onnx"; "others" ] check)
        }

        test "the tool refuses checkpoints of another graph than it was given" {
            inFolder (fun folder ->
                use _ = torch.NewDisposeScope()
                let file name = Path.Combine(folder, name)
                let masks = [ "a", [ 1L; 1L; 0L ]; "b", [ 1L; 0L; 1L ] ]

                for name, mask in masks do
                    File.WriteAllBytes(file $"{name}.onnx", (ofParts (masked mask)))

                    save (file $"{name}.safetensors") [
                        "a.weight", floats [ 3L; 2L ] last
                        "o.weight", floats [ 2L; 3L ] first
                        "mask", torch.tensor (Array.ofList mask)
                    ]

                let refused (words: string list) =
                    let code, _, errors = lmc folder ([ "measure" ] @ words)
                    Expect.equal code 1 "a mistake in what was given"

                    for part in [ "mask"; "expected the numbers"; "another network" ] do
                        Expect.stringContains errors part $"{words}"

                refused [ "a.onnx"; "b.onnx" ]
                refused [ "a.safetensors"; "b.safetensors"; "--graph"; "a.onnx" ]
                refused [ "a.safetensors"; "b.safetensors"; "--graph"; "b.onnx" ])
        }

        test "the tool reads checkpoints that hold a number which the graph has as a constant" {
            inFolder (fun folder ->
                use _ = torch.NewDisposeScope()
                let file name = Path.Combine(folder, name)

                File.WriteAllBytes(
                    file "model.onnx",
                    ofParts [
                        dense "/a/Gemm" "x" "a.weight" "h"
                        node "Pad" [ "h"; "sides"; "fill" ] "p" []
                        dense "/o/Gemm" "p" "o.weight" "y"
                        weight "a.weight" [ 3L; 2L ] first
                        weight "o.weight" [ 2L; 4L ] (first @ [ 7f; 8f ])
                        weight "fill" [ 1L ] [ 5f ]
                        wholes "sides" [ 0L; 1L; 0L; 0L ]
                    ]
                )

                for name, fill in [ "a", 5f; "b", 5f; "c", 6f ] do
                    save (file $"{name}.safetensors") [
                        "a.weight", floats [ 3L; 2L ] last
                        "o.weight", floats [ 2L; 4L ] (last @ [ 3f; 4f ])
                        "fill", floats [ 1L ] [ fill ]
                    ]

                let measured one other =
                    lmc folder [ "measure"; $"{one}.safetensors"; $"{other}.safetensors"; "--graph"; "model.onnx" ]

                let code, output, errors = measured "a" "b"
                Expect.equal code 0 (output + errors)
                let code, _, errors = measured "a" "c"
                Expect.equal code 1 "another network"
                Expect.stringContains errors "'fill'" "by its number")
        }

        test "where a model's sums are other ones in another order of its units, nothing is aligned" {
            // Terms of about 1e7 that all but cancel: what is left is their rounding, which follows no permutation.
            let units = 64
            let sizes = [ for k in 0 .. units - 1 -> 1e4f * (1f + float32 (k * 37 % 64) / 64f) ]
            let signs = [ for k in 0 .. units - 1 -> 1e3f * MathF.Sin(float32 (k * k + 1)) ]
            let whole = List.map2 (fun a b -> float a * float b) sizes signs |> List.sum

            let write path scale =
                let graph =
                    [
                        node "Gemm" [ "x"; "a.weight"; "a.bias" ] "h" [ attribute "transB" 1L ]
                        node "Gemm" [ "h"; "o.weight"; "o.bias" ] "y" [ attribute "transB" 1L ]
                        weight "a.weight" [ int64 units; 2L ] (List.replicate (2 * units) 0.01f)
                        weight "a.bias" [ int64 units ] sizes
                        weight "o.weight" [ 2L; int64 units ] (signs @ List.map (fun w -> scale * w) signs)
                        weight "o.bias" [ 2L ] [ float32 -whole; -scale * float32 whole ]
                    ]

                File.WriteAllBytes(path, ofParts graph)

            inFolder (fun folder ->
                let file name = Path.Combine(folder, name)
                write (file "a.onnx") 1f
                write (file "b.onnx") 2f
                let code, _, errors = lmc folder [ "align"; "a.onnx"; "b.onnx"; "-o"; "c.onnx" ]
                Expect.equal code 1 "refused"
                Expect.stringContains errors "its symmetries are not those that were derived" "why"
                Expect.isFalse (File.Exists(file "c.onnx")) "nothing is written")
        }

        test "numbers that a checkpoint learns and a graph computes with at once are compared too" {
            // The same tensor moves with the units and is added up along them.
            let graph =
                ofParts [
                    dense "/a/Gemm" "x" "a.weight" "h"
                    node "CumSum" [ "t"; "axis" ] "sums" []
                    node "Add" [ "h"; "sums" ] "g" []
                    node "Mul" [ "g"; "t" ] "k" []
                    dense "/o/Gemm" "k" "o.weight" "y"
                    weight "a.weight" [ 3L; 2L ] first
                    weight "o.weight" [ 2L; 3L ] last
                    weight "t" [ 3L ] [ 1f; 2f; 3f ]
                    field 5 (tensorOf "axis" 7L [] (BitConverter.GetBytes 0L))
                ]

            let checkpoint (t: float32 list) =
                [ "a.weight", floats [ 3L; 2L ] last; "o.weight", floats [ 2L; 3L ] first; "t", floats [ 3L ] t ]

            beside graph [ checkpoint [ 1f; 2f; 3f ]; checkpoint [ 1f; 2f; 4f ] ] (fun k read placement ->
                let check () = read.RequireConstants(placement, NameMap.For placement.Network)
                if k = 0 then check () else failsWith [ "'t'"; "expected the numbers" ] check)
        }

        test "a number that a rule takes from a tensor is compared, whether it is a parameter too or not" {
            for scales in [ true; false ] do
                let graph =
                    ofParts [
                        dense "/a/Gemm" "x" "a.weight" "h"
                        node "Pad" [ "h"; "sides"; "fill" ] "p" []
                        node
                            (if scales then "Mul" else "Relu")
                            [
                                "p"
                                if scales then
                                    "fill"
                            ]
                            "g"
                            []
                        dense "/o/Gemm" "g" "o.weight" "y"
                        weight "a.weight" [ 3L; 2L ] first
                        weight "o.weight" [ 2L; 4L ] (first @ [ 7f; 8f ])
                        weight "fill" [ 1L ] [ 5f ]
                        wholes "sides" [ 0L; 1L; 0L; 0L ]
                    ]

                let checkpoint (fill: float32) =
                    [
                        "a.weight", floats [ 3L; 2L ] last
                        "o.weight", floats [ 2L; 4L ] (last @ [ 3f; 4f ])
                        "fill", floats [ 1L ] [ fill ]
                    ]

                beside graph [ checkpoint 5f; checkpoint 6f ] (fun k read placement ->
                    let names = [ for parameter in placement.Network.Parameters -> parameter.Name ]
                    Expect.equal (List.contains "fill" names) scales "a parameter"

                    Expect.equal
                        [ for entry in placement.PassedOver -> entry.Name ]
                        [
                            if not scales then
                                "fill"
                        ]
                        "beside"

                    let check () = read.RequireConstants(placement, NameMap.For placement.Network)
                    if k = 0 then check () else failsWith [ "'fill'"; "expected the numbers" ] check)
        }

        test "a tensor that the graph does not read at all is not expected" {
            let graph = ofParts (masked [ 1L; 1L; 0L ])

            let checkpoint =
                [
                    "a.weight", floats [ 3L; 2L ] last
                    "o.weight", floats [ 2L; 3L ] first
                    "fill", floats [ 1L ] [ 5f ]
                ]

            failsWith [ "not expected: fill" ] (fun () -> beside graph [ checkpoint ] (fun _ _ _ -> ()))
        }

        test "a bound that a module calls its own is learned, and others are the graph's" {
            use _ = torch.NewDisposeScope()

            for name, learned in [ "act.alpha", true; "onnx::Clip_8", false ] do
                let graph =
                    ofParts [
                        dense "/a/Gemm" "x" "a.weight" "h"
                        node "Clip" [ "h"; ""; name ] "g" []
                        dense "/o/Gemm" "g" "o.weight" "y"
                        weight "a.weight" [ 3L; 2L ] first
                        weight "o.weight" [ 2L; 3L ] last
                        weight name (if learned then [ 1L ] else []) [ 8f ]
                    ]

                inFolder (fun folder ->
                    let path = Path.Combine(folder, "model.onnx")
                    File.WriteAllBytes(path, graph)
                    let read = OnnxModel.Read path
                    let network = Network read.Architecture
                    use weights = read.Load network
                    let names = [ for p in network.Parameters -> p.Name ]
                    Expect.equal (List.contains name names) learned $"{name} among {names}"
                    // Units of (1, 1): 3, 7 and 11, the last cut at 8; readers (1, 0, -1) and (2, 1, 1).
                    let output = network.Forward(weights.Views, torch.ones (1L, 2L))
                    Expect.equal (List.ofArray (output.data<float32>().ToArray())) [ -5f; 21f ] name)
        }

        test "a tensor that lost its name fits its place by its numbers alone, where the export is of that checkpoint" {
            let graphOf (a: float32 list) (o: float32 list) =
                ofParts [
                    dense "/a/Gemm" "x" "onnx::Gemm_7" "h"
                    node "Relu" [ "h" ] "g" []
                    dense "/o/Gemm" "g" "o.weight" "y"
                    weight "onnx::Gemm_7" [ 3L; 2L ] a
                    weight "o.weight" [ 2L; 3L ] o
                ]

            let graph a = graphOf a last
            let ones = List.replicate 6 1f

            let checkpoint a o = [ "a.weight", floats [ 3L; 2L ] a; "o.weight", floats [ 2L; 3L ] o ]
            let halves = first |> List.map (fun x -> x / 2f)
            let found = Collections.Generic.List<string option>()
            let look _ (read: OnnxModel) placement = found.Add(read.Computed placement |> Option.ofObj)
            beside (graph first) [ checkpoint first last; checkpoint halves first; checkpoint first first ] look
            beside (graph halves) [ checkpoint first last; checkpoint first first; checkpoint halves last ] look
            beside (graphOf first ones) [ checkpoint halves ones ] look // anybody's ones
            // Of the checkpoint; of another one; of one that shares a layer with it; computed from it; of another one; of it.
            Expect.equal (List.ofSeq found) [ None; None; None; Some "a.weight"; None; None; None ] "which are computed"
        }
    ]
