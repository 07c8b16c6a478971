module LmcDsl.Tests.Core.WideningTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Tests.Fixtures

let private learned (architecture: Architecture) = Network(architecture).LearnedCount

let tests =
    testList "Widening" [
        test "an MLP at another width is the MLP of those widths, name and all" {
            let mlp hidden = Catalogue.Mlp([| 1; 28; 28 |], hidden, 10)
            Expect.equal ((Widening.Of(mlp [| 512; 512 |], 64)).ToJson()) ((mlp [| 64; 64 |]).ToJson()) "narrower"
            Expect.equal ((Widening.Of(mlp [| 8; 4 |], 16)).ToJson()) ((mlp [| 16; 8 |]).ToJson()) "in proportion"
        }

        test "a network of convolutions is that of the catalogue with a multiplier" {
            for name in [ "resnet20"; "vgg11" ] do
                let at (width: float) = Catalogue.Named(name, [| 3; 32; 32 |], width, 10, Norm.Batch)

                let first =
                    ((at 1.0).Nodes
                     |> Seq.pick (fun n ->
                         match n.Layer with
                         | :? Convolution as c -> Some c
                         | _ -> None))
                        .Channels

                let narrow = Widening.Of(at 1.0, first / 4)
                Expect.equal (learned narrow) (learned (at 0.25)) "as many numbers"
                Expect.stringContains narrow.Name $"width {first / 4}" "its name says so"
        }

        test "channels that are groups of their own stay so, and padding follows" {
            let depthwise =
                Architecture.FromJson
                    """{"name":"d","input":[3,8,8],"nodes":[
                   {"name":"a","layer":{"kind":"convolution","channels":4},"inputs":["input"]},
                   {"name":"b","layer":{"kind":"convolution","channels":4,"groups":4},"inputs":["a"]},
                   {"name":"c","layer":{"kind":"channelPadding","before":2,"after":2},"inputs":["b"]},
                   {"name":"p","layer":{"kind":"pooling","function":"Average","kernel":8},"inputs":["c"]},
                   {"name":"f","layer":{"kind":"flatten"},"inputs":["p"]},
                   {"name":"o","layer":{"kind":"dense","units":10},"inputs":["f"]}]}"""

            let wide = Widening.Of(depthwise, 12)
            let weight = Network(wide).Parameters |> Seq.map (fun p -> p.Name, List.ofArray p.Shape) |> dict
            Expect.equal weight["b.weight"] [ 12L; 1L; 3L; 3L ] "depthwise"
            Expect.equal weight["o.weight"] [ 10L; 24L ] "the outputs stay"
        }

        test "what has no such width is refused" {
            let mlp = Catalogue.Mlp([| 1; 2; 3 |], [| 8; 3 |], 3)
            failsWith [ "whole numbers"; "3 x 4 / 8" ] (fun () -> Widening.Of(mlp, 4) |> ignore)
            failsWith [ "1 or more" ] (fun () -> Widening.Of(mlp, 0) |> ignore)
            failsWith [ "hidden layer" ] (fun () -> Widening.Of(Catalogue.Mlp([| 1; 2; 3 |], [||], 3), 4) |> ignore)

            let sliced =
                Architecture.FromJson
                    """{"name":"s","input":[4,1,1],"nodes":[{"name":"f","layer":{"kind":"flatten"},"inputs":["input"]},
                   {"name":"a","layer":{"kind":"dense","units":4},"inputs":["f"]},
                   {"name":"s","layer":{"kind":"slice","start":0,"length":2},"inputs":["a"]},
                   {"name":"o","layer":{"kind":"dense","units":2},"inputs":["s"]}]}"""

            failsWith [ "layer kind 'slice'" ] (fun () -> Widening.Of(sliced, 8) |> ignore)
        }
    ]
