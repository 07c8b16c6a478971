module LmcDsl.Tests.Core.LayerBoundTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Spectra
open LmcDsl.Tests.Fixtures
open TorchSharp

let tests =
    testList "LayerBound" [
        testPropertyWithConfig
            (config 30)
            "no input of any layer of random architectures exceeds the bound, whatever gamma"
        <| fun (seed: int64) ->
            let random = Random(int (seed % 100000L))
            let network = Network(randomArchitecture random)
            use a = randomParameters network seed
            use b = randomParameters network (seed + 1L)
            use task = toyTask network 40 seed

            for gamma in [ 0.0; random.NextDouble(); 1.0 ] do
                for layer in LayerBound.Between(a, b, task, gamma, 40) do
                    Expect.isLessThanOrEqual layer.LargestRatio 1.0001 $"{layer.Name}, gamma {gamma}"
                    Expect.isLessThanOrEqual layer.Measured (layer.Bound * 1.0001) layer.Name
                    Expect.isLessThanOrEqual layer.DominantPart (layer.Bound * 1.0001) layer.Name

        test "the bound is reached: weights of rank one with the same input direction, and no activation" {
            let network = Network(Catalogue.Mlp([| 1; 1; 2 |], [||], 2))
            use a = randomParameters network 1L
            use b = randomParameters network 2L
            a["fc1.weight"].copy_(torch.tensor([| 3f; 0f; 0f; 0f |]).view(2L, 2L)) |> ignore
            b["fc1.weight"].copy_(torch.tensor([| 1f; 0f; 0f; 0f |]).view(2L, 2L)) |> ignore
            b["fc1.bias"].copy_(a["fc1.bias"]) |> ignore

            use task =
                new LmcDsl.Core.Data.DataSplit(
                    torch.tensor([| 5f; 0f |]).view(1L, 1L, 1L, 2L),
                    torch.zeros (1L, torch.int64)
                )

            let layer = LayerBound.Between(a, b, task, 0.0, 1) |> Seq.head
            Expect.floatClose Accuracy.medium layer.Measured 10.0 "(3 - 1) 5"
            Expect.floatClose Accuracy.medium layer.Bound 10.0 "and no more"
        }

        test "the largest ratio is that of all samples, however many are read at once" {
            use a = randomParameters smallMlp 1L
            use b = randomParameters smallMlp 2L
            use task = toyTask smallMlp 240 3L
            // Batches are of a hundred.
            let last = task.Images.narrow (0L, 100L, 140L), task.Labels.narrow (0L, 100L, 140L)
            use rest = new LmcDsl.Core.Data.DataSplit(fst last, snd last)
            use turned = new LmcDsl.Core.Data.DataSplit(task.Images.flip 0L, task.Labels.flip 0L)
            let ratios data examples = [ for l in LayerBound.Between(a, b, data, 0.5, examples) -> l.LargestRatio ]

            let expected = List.map2 max (ratios task 100) (ratios rest 140)

            for found in [ ratios task 240; ratios turned 240 ] do
                for x, y in List.zip found expected do
                    Expect.floatClose Accuracy.medium x y $"{found} and {expected}"
        }

        test "where others read a layer too its outputs are those before the activation" {
            let network =
                Network(
                    Architecture.FromJson
                        """{"name":"read twice","input":[3],"nodes":[
                           {"name":"a","layer":{"kind":"dense","units":4},"inputs":["input"]},
                           {"name":"r","layer":{"kind":"activation","function":"Relu"},"inputs":["a"]},
                           {"name":"s","layer":{"kind":"sum"},"inputs":["a","r"]},
                           {"name":"b","layer":{"kind":"dense","units":2},"inputs":["s"]}]}"""
                )

            use _ = torch.NewDisposeScope()
            use _ = torch.no_grad ()
            use a = randomParameters network 1L
            use b = randomParameters network 2L
            use task = toyTask network 20 3L

            let sums (model: ParameterSet) =
                torch.nn.functional.linear (task.Images, model["a.weight"], model["a.bias"])

            let expected = (sums a - sums b).norm(1).mean().ToDouble()
            let found = LayerBound.Between(a, b, task, 0.5, 20) |> Seq.find (fun layer -> layer.Name = "a")
            Expect.floatClose Accuracy.medium found.Measured expected "before it"
        }

        test "it is the definition, sample by sample, on a hidden layer and the last one" {
            use _ = torch.NewDisposeScope()
            use a = randomParameters smallMlp 1L
            use b = randomParameters smallMlp 2L
            use task = toyTask smallMlp 30 3L
            let gamma, examples = 0.5, 20
            let wide (t: torch.Tensor) = t.``to`` torch.ScalarType.Float64

            // The dominant part and the tail of a weight, as matrices.
            let split (weight: torch.Tensor) =
                let struct (u, s, vh) = torch.linalg.svd (wide weight, fullMatrices = false)

                let kept =
                    s.data<float>().ToArray() |> Array.filter (fun x -> x >= gamma * s[0].ToDouble()) |> Array.length

                let part at count = (u.narrow (1L, at, count) * s.narrow (0L, at, count)).mm(vh.narrow (0L, at, count))
                let rest = s.shape[0] - int64 kept
                part 0L (int64 kept), (if rest = 0L then torch.zeros_like (wide weight) else part (int64 kept) rest)

            let length (t: torch.Tensor) = t.square().sum(0L).sqrt()
            let images = task.Images.narrow(0L, 0L, int64 examples).flatten 1L
            let inputs = (wide images).t()
            let hidden = (wide (a["fc1.weight"])).mm inputs + (wide (a["fc1.bias"])).unsqueeze 1L
            let hidden2 = (wide (a["fc2.weight"])).mm(hidden.relu ()) + (wide (a["fc2.bias"])).unsqueeze 1L
            let found = LayerBound.Between(a, b, task, gamma, examples)

            for k, x, isLast in [ 1, inputs, false; 2, hidden.relu (), false; 3, hidden2.relu (), true ] do
                let parameter (m: ParameterSet) what = wide (m[$"fc{k}.{what}"])
                let out m = (parameter m "weight").mm x + (parameter m "bias").unsqueeze 1L
                let active (t: torch.Tensor) = if isLast then t else t.relu ()
                let (da, ta), (db, tb) = split a[$"fc{k}.weight"], split b[$"fc{k}.weight"]
                let dominant = length x * (da - db).square().sum().sqrt()
                let bias = (parameter a "bias" - parameter b "bias").square().sum().sqrt()
                let bound = dominant + length (ta.mm x) + length (tb.mm x) + bias
                let measured = length (active (out a) - active (out b))
                let layer = found[k - 1]
                let mean (t: torch.Tensor) = t.mean().ToDouble()

                for what, value, wanted in
                    [
                        "measured", layer.Measured, mean measured
                        "bound", layer.Bound, mean bound
                        "dominant part", layer.DominantPart, mean dominant
                        "largest ratio", layer.LargestRatio, (measured / bound).max().ToDouble()
                    ] do
                    Expect.isLessThan (abs (value - wanted)) (1e-4 * (1.0 + wanted)) $"fc{k}: {what}"
        }

        test "the Lipschitz constants are not exceeded between neighbouring points" {
            for activation in Enum.GetValues<ActivationFunction>() do
                let layer = Activation activation
                use x = torch.linspace (-6.0, 6.0, 12001L, dtype = torch.float64)
                use y = layer.Forward([||], [| x |], Mode.Evaluation)

                let steepest =
                    ((y.slice (0, 1, 12001, 1) - y.slice (0, 0, 12000, 1)).abs().max() / (12.0 / 12000.0)).ToDouble()

                Expect.isLessThanOrEqual steepest (layer.Lipschitz.Value + 1e-6) (string activation)
                Expect.isGreaterThan steepest (layer.Lipschitz.Value - 1e-3) $"{activation}: and nearly reached"
        }

        test "a threshold out of range is refused" {
            use a = randomParameters smallMlp 1L
            use task = toyTask smallMlp 10 2L
            failsWith [ "gamma"; "found 2" ] (fun () -> LayerBound.Between(a, a, task, 2.0) |> ignore)
        }
    ]
