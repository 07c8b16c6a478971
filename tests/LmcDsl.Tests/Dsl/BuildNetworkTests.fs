/// Networks in a few lines.
module LmcDsl.Tests.Dsl.BuildNetworkTests

open System.IO
open Expecto
open LmcDsl
open LmcDsl.Build
open LmcDsl.Core.Architectures
open LmcDsl.Tests.Fixtures

let private small =
    network "small" [
        conv 8 3
        batchNorm
        relu
        maxPool 2
        residual [ conv 8 3; batchNorm; relu; conv 8 3; batchNorm ]
        relu
        residualBy [ convStride 2 12 1 ] [ convStride 2 12 3; batchNorm ]
        relu
        concatenated [ [ conv 4 3 ]; [ conv 6 1; relu; depthwise 6 3 ] ]
        globalPool
        dense 16
        gelu
        output
    ]

/// The fenced blocks of a language in a page of the documentation.
let private blocks (page: string) (language: string) =
    let text = File.ReadAllText(Path.Combine(__SOURCE_DIRECTORY__, "..", "..", "..", "docs", page))

    [
        for m in System.Text.RegularExpressions.Regex.Matches(text, $"(?s)```{language}\n(.*?)```") -> m.Groups[1].Value
    ]

let tests =
    testList "Networks in a few lines" [
        test "an MLP is that of the catalogue, but for names" {
            let own = network "mlp 5-4" [ flatten; dense 5; relu; dense 4; relu; output ] Glyphs
            let theirs = mlp [ 5; 4 ] Glyphs
            let shapes a = [ for p in (Network(a: Architecture)).Parameters -> List.ofArray p.Shape ]
            Expect.equal (shapes own) (shapes theirs) "the same parameters"
            let names = [ for node in own.Nodes -> node.Name ]
            Expect.equal names [ "flatten1"; "fc1"; "relu1"; "fc2"; "relu2"; "out1" ] "named by what they are"
        }

        test "each word makes the layer that it names" {
            let found =
                network "words" [ conv 4 3; depthwise 4 3; groupNorm 2; averagePool 2; maxPool 2; output ] Glyphs

            let layers: (string * Layer) list =
                [
                    "conv1", Convolution(4, 3, padding = 1)
                    "conv2", Convolution(4, 3, padding = 1, groups = 4)
                    "norm1", GroupNorm 2
                    "pool1", Pooling(PoolingFunction.Average, 2)
                    "pool2", Pooling(PoolingFunction.Max, 2)
                    "out1", Dense 10
                ]

            let chain = Chain()

            for name, layer in layers do
                chain.Add(name, layer) |> ignore

            Expect.equal
                (found.ToJson())
                ((chain.Build("words", List.toArray Glyphs.Shape)).ToJson())
                "one after another"
        }

        test "blocks read what stands before them, and join what their branches give" {
            let architecture = small Glyphs

            let reads name =
                [
                    for n in architecture.Nodes do
                        if n.Name = name then
                            yield! n.Inputs
                ]

            Expect.equal (reads "block1.conv1") [ "pool1" ] "the branch"
            Expect.equal (reads "block1.sum") [ "block1.norm2"; "pool1" ] "the branch and the input"
            Expect.equal (reads "block2.sum") [ "block2.norm1"; "block2.conv2" ] "the branch and the shortcut"
            Expect.equal (reads "join1.concatenation") [ "join1.conv1"; "join1.conv3" ] "both branches"
            Expect.equal (reads "fc1") [ "flatten1" ] "the pool's features"
        }

        test "the law of permutation symmetry holds on it, and it trains" {
            checkSymmetry (small Glyphs) |> ignore
            let network' = Network(small Cifar10)
            Expect.isGreaterThan network'.Groups.Length 5 "groups"
            use model = randomParameters network' 1L
            let images = TorchSharp.torch.randn ([| 2L; 3L; 32L; 32L |])
            let outputs = network'.Forward(model.Views, images, Mode.Evaluation)
            Expect.equal (List.ofArray outputs.shape) [ 2L; 10L ] "as many outputs as classes"
        }

        test "the description's example in the documentation is a network, and every kind of layer is listed" {
            let example = blocks "networks.md" "json" |> List.head |> Architecture.FromJson
            checkSymmetry example |> ignore
            let text = File.ReadAllText(Path.Combine(__SOURCE_DIRECTORY__, "..", "..", "..", "docs", "networks.md"))

            // Other tests have layers of their own.
            for kind in typeof<Layer>.Assembly.GetTypes() do
                if kind.IsSubclassOf typeof<Layer> && not kind.IsAbstract then
                    Expect.stringContains text $"`{LayerKinds.NameOf kind}`" "its kind"
        }
    ]
