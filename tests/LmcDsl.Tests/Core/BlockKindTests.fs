module LmcDsl.Tests.Core.BlockKindTests

open Expecto
open LmcDsl.Core.Architectures

let private small = TransformerOptions(Layers = 1, Width = 8, Heads = 2, Hidden = 6, Context = 5, Gated = true)

let private kinds (architecture: Architecture) =
    let found = BlockKind.Of architecture

    [
        for parameter in (Network architecture).Parameters do
            if parameter.Role = ParameterRole.Weight then
                parameter.Layer, found[parameter.Layer]
    ]

let tests =
    testList "BlockKind" [
        test "each layer of a transformer with weights has the kind that its place in the graph says" {
            Expect.equal
                (kinds (Catalogue.Gpt(7, small)))
                [
                    "tokens", "embedding"
                    "positions", "embedding"
                    "block1.query", "query, key"
                    "block1.key", "query, key"
                    "block1.value", "value, output"
                    "block1.output", "value, output"
                    "block1.up", "feed-forward in"
                    "block1.gate", "feed-forward in"
                    "block1.down", "feed-forward out"
                    "head", "classifier"
                ]
                "GPT with gates"

            let vit = Catalogue.Vit([| 1; 4; 4 |], 2, 3, small)
            Expect.equal (List.head (kinds vit)) ("patches", "embedding") "patches"
            Expect.equal (List.last (kinds vit)) ("head", "classifier") "head"
        }

        test
            "of other networks dense layers, convolutions and the classifier are told apart, and every kind is among all" {
            Expect.equal
                (kinds (Catalogue.Mlp([| 4 |], [| 3; 3 |], 2)))
                [ "fc1", "dense"; "fc2", "dense"; "fc3", "classifier" ]
                "MLP"

            let resnet = kinds (Catalogue.ResNet20([| 3; 8; 8 |], 0.25)) |> List.map snd |> List.distinct
            Expect.equal resnet [ "convolution"; "classifier" ] "ResNet"

            for kind in resnet @ (kinds (Catalogue.Gpt(7, small)) |> List.map snd) do
                Expect.contains BlockKind.All kind "a known one"
        }
    ]
