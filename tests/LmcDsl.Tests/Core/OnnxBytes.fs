/// ONNX files byte by byte: the messages of onnx.proto that tests write, with the numbers of their fields.
module LmcDsl.Tests.Core.OnnxBytes

open System
open System.Text

let varint (value: int64) : byte[] =
    let mutable rest = uint64 value

    [|
        while rest >= 128UL do
            byte (rest ||| 128UL)
            rest <- rest >>> 7

        byte rest
    |]

/// A field of bytes: a string or a nested message.
let field (number: int) (content: byte[]) : byte[] =
    Array.concat [ varint (int64 (number * 8 + 2)); varint (int64 content.Length); content ]

/// A field that is a whole number.
let number (at: int) (value: int64) : byte[] = Array.concat [ varint (int64 (at * 8)); varint value ]

let text (at: int) (value: string) : byte[] = field at (Encoding.UTF8.GetBytes value)

/// An attribute of a node: a whole number.
let attribute (name: string) (value: int64) : byte[] = field 5 (Array.append (text 1 name) (number 3 value))

/// A node of a graph.
let node (operator: string) (inputs: string list) (output: string) (attributes: byte[] list) : byte[] =
    field 1 (Array.concat [ yield! List.map (text 1) inputs; text 2 output; text 4 operator; yield! attributes ])

/// The content of a tensor of a type (1 float32, 7 int64).
let tensorOf (name: string) (kind: int64) (sizes: int64 list) (raw: byte[]) : byte[] =
    Array.concat [ yield! sizes |> List.map (number 1); number 2 kind; text 8 name; field 9 raw ]

/// Weights of a graph, in float32.
let weight (name: string) (sizes: int64 list) (values: float32 list) : byte[] =
    field 5 (tensorOf name 1L sizes (values |> List.map BitConverter.GetBytes |> Array.concat))

/// The content of what a graph says of an input or an output of float32; a size of -1 is left open.
let valueOf (name: string) (sizes: int64 list) : byte[] =
    let shape = Array.concat [ for size in sizes -> field 1 (if size = -1L then text 2 "open" else number 1 size) ]
    Array.concat [ text 1 name; field 2 (field 1 (Array.append (number 1 1L) (field 2 shape))) ]

/// A function of a model: what calls it gives its inputs in order.
let functionOf (domain: string) (name: string) (inputs: string list) (output: string) (nodes: byte[] list) : byte[] =
    // Nodes are field 7 here, and 1 in a graph.
    let inside (node: byte[]) = Array.append [| byte (7 * 8 + 2) |] node[1..]

    [
        [ text 1 name ]
        List.map (text 4) inputs
        [ text 5 output ]
        List.map inside nodes
        [ text 10 domain ]
    ]
    |> List.concat
    |> Array.concat
    |> field 25

/// A model of one graph of an opset, from the parts of the graph.
let model (opset: int64) (graph: byte[] list) : byte[] =
    Array.concat [ field 7 (Array.concat graph); field 8 (number 2 opset) ]
