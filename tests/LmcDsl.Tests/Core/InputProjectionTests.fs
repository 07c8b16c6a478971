module LmcDsl.Tests.Core.InputProjectionTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Spectra
open LmcDsl.Tests.Fixtures
open TorchSharp

let private convolutional = Network(Catalogue.ResNet20([| 2; 8; 8 |], 0.125, 3, Norm.Batch))

let tests =
    testList "InputProjection" [
        test "of the first layer it is the mean square of the inner products, by the definition" {
            use a = randomParameters smallMlp 1L
            use task = toyTask smallMlp 250 2L
            use _ = torch.NewDisposeScope()
            let found = Seq.head (InputProjection.Of(a, task, 250))
            let svd = ThinSvd.Of("fc1", a["fc1.weight"])
            let inputs = task.Images.flatten 1L
            let products = inputs.mm(svd.V).square().mean([| 0L |]) / inputs.square().sum(1L).mean()

            for k, share in Seq.indexed found.Shares do
                Expect.isLessThan (abs (share - products[int64 k].ToDouble())) float32Rounding $"vector {k}"
        }

        test "shares are 0 or more and sum to at most 1, on an MLP and on convolutions" {
            for network in [ smallMlp; convolutional ] do
                use a = randomParameters network 3L
                use task = toyTask network 120 4L
                let layers = InputProjection.Of(a, task, 120)
                Expect.equal layers.Length (ThinSvd.WeightsOf a |> Seq.length) "one for each weight"

                for layer in layers do
                    Expect.isTrue (layer.Shares |> Seq.forall (fun s -> s >= -1e-9)) layer.Name
                    Expect.isLessThan (Seq.sum layer.Shares) (1.0 + 1e-6) layer.Name
                    Expect.isGreaterThan (Seq.sum layer.Shares) 0.0 layer.Name
        }

        test "a convolution is its weight times its patches: a full set of vectors holds all the energy" {
            // 2 x 3 x 3 = 18 inputs and 20 channels: the right vectors span the space.
            let nodes =
                [
                    LayerNode(
                        "conv",
                        Convolution(20, stride = 2),
                        System.Collections.Immutable.ImmutableArray.Create "input"
                    )
                    LayerNode(
                        "pool",
                        Pooling(PoolingFunction.Average, 0),
                        System.Collections.Immutable.ImmutableArray.Create "conv"
                    )
                    LayerNode("flatten", Flatten(), System.Collections.Immutable.ImmutableArray.Create "pool")
                    LayerNode("fc", Dense(3), System.Collections.Immutable.ImmutableArray.Create "flatten")
                ]

            let input = System.Collections.Immutable.ImmutableArray.Create(2, 6, 6)

            let network =
                Network(Architecture("conv", input, System.Collections.Immutable.ImmutableArray.CreateRange nodes))

            use a = randomParameters network 5L
            use task = toyTask network 30 6L
            let first = Seq.head (InputProjection.Of(a, task, 30))
            Expect.floatClose Accuracy.medium (List.sum [ for s in first.Shares -> s ]) 1.0 "all"
        }

        testPropertyWithConfig
            (config 20)
            "a layer is its weight times its inputs, of so many examples, whatever the layer"
        <| fun (seed: int) ->
            use _ = torch.NewDisposeScope()
            use _ = torch.no_grad ()
            let network = Network(randomArchitecture (System.Random seed))
            use a = randomParameters network (int64 seed)
            use task = toyTask network 7 (int64 seed)
            use images = task.Images.narrow (0L, 0L, 5L)
            let outputs = System.Collections.Generic.Dictionary<string, torch.Tensor>()
            network.Forward(a.Views, images, Mode.Evaluation, (fun name out -> outputs[name] <- out.alias ())) |> ignore
            let has name = network.Parameters |> Seq.exists (fun p -> p.Name = name)

            LayerInputs.Visit(
                a,
                task,
                5,
                (fun node inputs ->
                    let out = a[$"{node.Name}.weight"].flatten(1L).mm inputs
                    let bias = $"{node.Name}.bias"
                    let out = if has bias then out + a[bias].unsqueeze 1L else out
                    let wanted = outputs[node.Name].transpose(0L, 1L).flatten(1L)
                    Expect.equal out.shape wanted.shape $"{node.Name}: samples"
                    let size = max 1.0 (wanted.abs().max().ToDouble())
                    Expect.isLessThan (difference out wanted / size) 1e-4 node.Name)
            )

        test "only so many examples are read" {
            use a = randomParameters smallMlp 1L
            use task = toyTask smallMlp 250 2L
            use first = task.First 120L

            for some, all in Seq.zip (InputProjection.Of(a, task, 120)) (InputProjection.Of(a, first, 120)) do
                for x, y in Seq.zip some.Shares all.Shares do
                    Expect.floatClose Accuracy.high x y some.Name
        }

        test "no example is refused" {
            use a = randomParameters smallMlp 1L
            use task = toyTask smallMlp 10 2L
            failsWith [ "layer inputs"; "found 0" ] (fun () -> InputProjection.Of(a, task, 0) |> ignore)
        }
    ]
