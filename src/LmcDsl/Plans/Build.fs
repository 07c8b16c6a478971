/// Networks in a few lines, layer by layer: `open LmcDsl.Build`.
module LmcDsl.Build

open System.Collections.Generic
open LmcDsl
open LmcDsl.Core.Architectures

/// Some of a network: a layer, or branches that come together.
type Part =
    private
    /// What its name begins with, and the layer for a number of classes.
    | One of prefix: string * (int -> Layer)
    /// Branches that read the same, each of some parts, and the layer that brings them together.
    | Together of prefix: string * Part list list * joint: string * Layer
    /// Parts one after another.
    | Several of Part list

/// Any layer, of the library or a script's own, under a name: numbered, for names must differ.
let layer (name: string) (layer: Layer) : Part = One(name, (fun _ -> layer))

/// A convolution of so many channels with a square kernel, whose output is as large as its input.
let conv (channels: int) (kernel: int) : Part = layer "conv" (Convolution(channels, kernel, padding = kernel / 2))

/// The same with a stride, whose output is smaller by that.
let convStride (stride: int) (channels: int) (kernel: int) : Part =
    layer "conv" (Convolution(channels, kernel, stride, kernel / 2))

/// A convolution of each channel by itself, of which there must be so many.
let depthwise (channels: int) (kernel: int) : Part =
    layer "conv" (Convolution(channels, kernel, padding = kernel / 2, groups = channels))

/// A dense layer of so many units, with biases.
let dense (units: int) : Part = layer "fc" (Dense units)

/// A dense layer of as many units as the data has classes: what networks end with.
let output: Part = One("out", (fun classes -> Dense classes))

/// All that a layer gives as one list of features.
let flatten: Part = layer "flatten" (Flatten())

/// max(0, x).
let relu: Part = layer "relu" (Activation ActivationFunction.Relu)

/// x Φ(x).
let gelu: Part = layer "gelu" (Activation ActivationFunction.Gelu)

/// x σ(x).
let silu: Part = layer "silu" (Activation ActivationFunction.Silu)

/// The hyperbolic tangent.
let tanh: Part = layer "tanh" (Activation ActivationFunction.Tanh)

/// Batch normalisation.
let batchNorm: Part = layer "norm" (BatchNorm())

/// Normalisation over the features of each example; of images, over channels and positions.
let layerNorm: Part = layer "norm" (LayerNorm())

/// Normalisation of groups of channels.
let groupNorm (groups: int) : Part = layer "norm" (GroupNorm groups)

/// The largest entry of each square of that side.
let maxPool (side: int) : Part = layer "pool" (Pooling(PoolingFunction.Max, side))

/// The mean of each square of that side.
let averagePool (side: int) : Part = layer "pool" (Pooling(PoolingFunction.Average, side))

/// The mean of each channel over the whole image, as a list of features.
let globalPool: Part = Several [ layer "pool" (Pooling(PoolingFunction.Average, 0)); flatten ]

/// Some parts as one, to be used more than once.
let several (parts: Part list) : Part = Several parts

/// What some parts make of their input, and the input itself, summed.
let residual (parts: Part list) : Part = Together("block", [ parts; [] ], "sum", Sum())

/// The same with parts on the shortcut, where the shape changes: `residualBy [ convStride 2 32 1 ] [ ... ]`.
let residualBy (shortcut: Part list) (parts: Part list) : Part = Together("block", [ parts; shortcut ], "sum", Sum())

/// Branches that read the same, whose channels are put one after another.
let concatenated (branches: Part list list) : Part = Together("join", branches, "concatenation", Concatenation())

/// A network of these parts, for a data set's shape and classes: `Network = network "small" [ conv 16 3; relu; globalPool; output ]`. Layers
/// are named by what they are and numbered, those of blocks after their block: `conv1`, `block1.conv2`.
let network (name: string) (parts: Part list) (data: DataSet) : Architecture =
    let chain = Chain()
    let counts = Dictionary<string, int>()

    let fresh (within: string) (prefix: string) =
        let full = within + prefix

        counts[full] <-
            match counts.TryGetValue full with
            | true, count -> count + 1
            | _ -> 1

        $"{full}{counts[full]}"

    let rec add (within: string) (from: string) (part: Part) : string =
        match part with
        | One(prefix, layer) -> chain.Add(fresh within prefix, layer data.Classes, from)
        | Several parts -> parts |> List.fold (add within) from
        | Together(prefix, branches, name, joint) ->
            let block = fresh within prefix
            let ends = branches |> List.map (List.fold (add $"{block}.") from)
            chain.Add($"{block}.{name}", joint, List.toArray ends)

    parts |> List.fold (add "") Architecture.InputName |> ignore
    chain.Build(name, List.toArray data.Shape)
