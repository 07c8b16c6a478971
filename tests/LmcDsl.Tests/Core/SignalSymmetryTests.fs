/// What may move in networks of layers that take their weights as signals: groups counted by hand, and the law.
module LmcDsl.Tests.Core.SignalSymmetryTests

open System.Collections.Immutable
open Expecto
open LmcDsl.Core.Architectures

let private ints (items: int list) = ImmutableArray.CreateRange items

let private node name layer (inputs: string list) = LayerNode(name, layer, ImmutableArray.CreateRange inputs)

let private parameter name shape = node name (Parameter(ints shape)) [ Architecture.InputName ]

let private product = MatrixProduct()
let private relu = Activation ActivationFunction.Relu

/// How many units may move in each group, in ascending order, once the law is known to hold.
let private moving input nodes =
    let network = Network(Architecture("signals", ints input, ImmutableArray.CreateRange<LayerNode> nodes))
    Expect.equal (Option.ofNullable (LmcDsl.Core.Permutations.SymmetryCheck.FirstBreak network)) None "the law"
    [ for group in network.Groups -> group.Units ] |> List.sort

/// Four rows of three through a product, and what is between it and the next.
let private between shape nodes last =
    moving [ 4; 3 ] [
        parameter "w" [ 3; 5 ]
        node "h" product [ Architecture.InputName; "w" ]
        node "r" relu [ "h" ]
        yield! nodes
        parameter "v" shape
        node "y" product [ last; "v" ]
    ]

let tests =
    testList "Symmetry of signal layers" [
        test "places that windows read stay where they are, wherever an image came from" {
            for shape, layer in
                [
                    "[3,2,2]", """{"kind":"convolution","channels":4,"kernel":1}"""
                    "[3,2,2]", """{"kind":"convolution","channels":4,"kernel":2}"""
                    "[3,2,2]", """{"kind":"transposedConvolution","channels":4,"kernel":2,"stride":2}"""
                    "[3,2,2]", """{"kind":"pooling","function":"Max","kernel":2}"""
                    "[3,2,2]", """{"kind":"pooling","function":"Average","kernel":0}"""
                    "[3,2,2]", """{"kind":"adaptivePooling","function":"Average","height":1,"width":2}"""
                    "[3,2,2]", """{"kind":"channelPadding","before":1,"after":1}"""
                    "[3,4]", """{"kind":"convolution1d","channels":4,"kernel":3}"""
                    "[3,4]", """{"kind":"classToken"}"""
                    "[3,4]", """{"kind":"sinusoidalPositions"}"""
                    "[3,4]", """{"kind":"sequencePooling","function":"First"}"""
                    "[3,4]", """{"kind":"dense","units":2}"""
                ] do
                $$"""{"name":"t","input":[5],"nodes":[
                       {"name":"a","layer":{"kind":"dense","units":12},"inputs":["input"]},
                       {"name":"r","layer":{"kind":"activation","function":"Tanh"},"inputs":["a"]},
                       {"name":"v","layer":{"kind":"reshaping","shape":{{shape}}},"inputs":["r"]},
                       {"name":"w","layer":{{layer}},"inputs":["v"]},
                       {"name":"f","layer":{"kind":"flatten"},"inputs":["w"]},
                       {"name":"h","layer":{"kind":"dense","units":2},"inputs":["f"]}]}"""
                |> Architecture.FromJson
                |> Network
                |> LmcDsl.Core.Permutations.SymmetryCheck.FirstBreak
                |> fun found -> Expect.equal (Option.ofNullable found) None layer
        }

        test "units between two products move" { Expect.equal (between [ 5; 2 ] [] "r") [ 5 ] "five units" }

        test "units of which some are taken by place do not" {
            Expect.isEmpty (between [ 3; 2 ] [ node "some" (Gathering(1, ints [ 0; 2; 4 ])) [ "r" ] ] "some") "none"
        }

        test "a table's columns move, its rows do not" {
            let groups =
                moving [ 4 ] [
                    parameter "table" [ 6; 5 ]
                    node "rows" (Lookup 0) [ "table"; Architecture.InputName ]
                    node "r" relu [ "rows" ]
                    parameter "v" [ 5; 2 ]
                    node "y" product [ "r"; "v" ]
                ]

            Expect.equal groups [ 5 ] "five columns"
        }

        test "copies of one entry have an order of their own" {
            let groups =
                between
                    [ 5; 2 ]
                    [
                        parameter "one" [ 1; 5 ]
                        node "copies" (Expansion(ints [ 3; 5 ])) [ "one" ]
                        parameter "three" [ 3; 5 ]
                        node "each" (Arithmetic ArithmeticFunction.Multiply) [ "copies"; "three" ]
                        node "all" (Reduction(ReductionFunction.Sum, ints [ 0 ])) [ "each" ]
                        node "sum" (Arithmetic ArithmeticFunction.Add) [ "h"; "all" ]
                        node "again" relu [ "sum" ]
                    ]
                    "again"

            Expect.equal groups [ 5; 15 ] "five units, and three rows in an order of their own for each"
        }

        test "axes that are parted in ways that do not fit keep their places where they meet" {
            // Six units, two of three in one branch and three of two in the other.
            let branch name parts =
                [
                    parameter $"{name}.w" [ 3; 6 ]
                    node $"{name}.h" product [ Architecture.InputName; $"{name}.w" ]
                    node $"{name}.parted" (Reshaping(ints (4 :: parts))) [ $"{name}.h" ]
                    parameter $"{name}.scale" [ List.last parts ]
                    node $"{name}.scaled" (Arithmetic ArithmeticFunction.Multiply) [ $"{name}.parted"; $"{name}.scale" ]
                    node $"{name}.whole" (Reshaping(ints [ 4; 6 ])) [ $"{name}.scaled" ]
                ]

            let groups =
                moving [ 4; 3 ] [
                    yield! branch "a" [ 2; 3 ]
                    yield! branch "b" [ 3; 2 ]
                    node "sum" (Arithmetic ArithmeticFunction.Add) [ "a.whole"; "b.whole" ]
                    node "r" relu [ "sum" ]
                    parameter "v" [ 6; 2 ]
                    node "y" product [ "r"; "v" ]
                ]

            Expect.isEmpty groups "nothing moves"
        }

        test "units beside two axes of one order have one order themselves" {
            let groups =
                moving [ 4; 3 ] [
                    parameter "w" [ 3; 2 ]
                    node "h" product [ Architecture.InputName; "w" ]
                    node "r" relu [ "h" ]
                    // Its rows are the two units, and so are the halves of its columns.
                    parameter "p" [ 2; 6 ]
                    node "q" product [ "r"; "p" ]
                    node "parted" (Reshaping(ints [ 4; 2; 3 ])) [ "q" ]
                    node "beside" (Reshaping(ints [ 4; 2; 1 ])) [ "r" ]
                    node "both" (Arithmetic ArithmeticFunction.Multiply) [ "parted"; "beside" ]
                    node "whole" (Reshaping(ints [ 4; 6 ])) [ "both" ]
                    node "s" relu [ "whole" ]
                    parameter "v" [ 6; 2 ]
                    node "y" product [ "s"; "v" ]
                ]

            Expect.equal groups [ 2; 3 ] "two units, and three in one order for both"
        }

        test "groups of a convolution move with the channels that they read" {
            let convolve groups = Correlation(ints [ 1 ], ints [ 1 ], ints [ 1 ], ints [ 1 ], groups)

            let groups =
                moving [ 2; 8 ] [
                    parameter "a" [ 4; 2; 3 ]
                    node "first" (convolve 1) [ Architecture.InputName; "a" ]
                    node "r" relu [ "first" ]
                    parameter "b" [ 6; 2; 3 ]
                    node "second" (convolve 2) [ "r"; "b" ]
                    node "s" relu [ "second" ]
                    parameter "c" [ 2; 6; 3 ]
                    node "third" (convolve 1) [ "s"; "c" ]
                ]

            Expect.equal groups [ 2; 4; 6 ] "two groups, with two channels and three within each"
        }
    ]
