module LmcDsl.Tests.Core.StatisticsResetTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Merging
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private network = Network(Catalogue.ResNet20([| 3; 8; 8 |], 0.25))

/// Two norms one after the other, with a layer between them.
let private twoNorms =
    Network(
        Architecture.FromJson
            """{"name":"two norms","input":[1,2,3],"nodes":[
               {"name":"f","layer":{"kind":"flatten"},"inputs":["input"]},
               {"name":"a","layer":{"kind":"dense","units":4,"bias":true},"inputs":["f"]},
               {"name":"n","layer":{"kind":"batchNorm"},"inputs":["a"]},
               {"name":"r","layer":{"kind":"activation","function":"Relu"},"inputs":["n"]},
               {"name":"b","layer":{"kind":"dense","units":3,"bias":false},"inputs":["r"]},
               {"name":"m","layer":{"kind":"batchNorm"},"inputs":["b"]}]}"""
    )

let private rows (t: torch.Tensor) =
    t.data<float32>().ToArray() |> Array.map float |> Array.chunkBySize (int t.shape[1])

let private mean (batch: float[][]) = batch |> Array.transpose |> Array.map Array.average

// n - 1 below, or n.
let private variance unbiased (batch: float[][]) =
    let below = float batch.Length - (if unbiased then 1.0 else 0.0)

    batch
    |> Array.transpose
    |> Array.map (fun column -> (column |> Array.sumBy (fun x -> (x - Array.average column) ** 2.0)) / below)

/// Both norms' statistics by hand: of each batch its own, those before normalised by the batch; then the mean over batches.
let private byHand (model: ParameterSet) (images: float[][]) batch =
    let weight name = rows model[$"{name}.weight"]
    let vector (name: string) = model[name].data<float32>().ToArray() |> Array.map float
    let times (w: float[][]) x = w |> Array.map (fun row -> Array.fold2 (fun s u v -> s + u * v) 0.0 row x)

    let ofBatch (part: float[][]) =
        let first = part |> Array.map (times (weight "a") >> Array.map2 (+) (vector "a.bias"))
        let centre, spread = mean first, variance false first
        let scale, shift = vector "n.weight", vector "n.bias"

        let normed (x: float[]) =
            Array.init x.Length (fun k -> max 0.0 ((x[k] - centre[k]) / sqrt (spread[k] + 1e-5) * scale[k] + shift[k]))

        let second = first |> Array.map (normed >> times (weight "b"))

        [
            "n.running_mean", mean first
            "n.running_var", variance true first
            "m.running_mean", mean second
            "m.running_var", variance true second
        ]

    images
    |> Array.chunkBySize batch
    |> Array.map ofBatch
    |> List.concat
    |> List.groupBy fst
    |> List.map (fun (name, values) -> name, values |> List.map snd |> Array.ofList |> mean)

let tests =
    testList "StatisticsReset" [
        test "over several batches it is the average of each batch's own, checked by hand on two norms in a row" {
            use model = randomParameters twoNorms 1L
            use task = toyTask twoNorms 30 2L
            let images = rows (task.Images.flatten 1L)

            // 26 of 30 images: batches of 8, 8, 8 and 2.
            for examples, batch in [ 26, 8; 30, 15; 100, 10 ] do
                use reset = model.Clone()
                StatisticsReset.Apply(reset, task, examples, batch)

                for name, wanted in byHand model (Array.truncate examples images) batch do
                    let found = reset[name].data<float32>().ToArray() |> Array.map float

                    for x, y in Array.zip found wanted do
                        Expect.isLessThan (abs (x - y)) (1e-4 * (1.0 + abs y)) $"{name}, batches of {batch}"
        }

        test "on one batch, evaluation is then what training mode computes, up to the unbiased variance" {
            use model = randomParameters network 1L
            use task = toyTask network 400 2L
            StatisticsReset.Apply(model, task, 400, 400)
            use _ = torch.no_grad ()
            use scratch = model.Clone()
            use training = network.Forward(scratch.Views, task.Images, Mode.Training)
            use evaluation = network.Forward(model.Views, task.Images, Mode.Evaluation)
            Expect.isLessThan (difference training evaluation / training.abs().max().ToDouble()) 1e-2 "same outputs"
        }

        test "learned parameters stay, and what the statistics were before does not matter" {
            use model = randomParameters network 1L
            use other = model.Clone()

            for spec, view in Seq.zip network.Parameters other.Views do
                if not spec.Learned then
                    view.fill_ (5f) |> ignore

            use task = toyTask network 100 2L
            use before = model.Learned().clone()
            StatisticsReset.Apply(model, task, 100, 30)
            StatisticsReset.Apply(other, task, 100, 30)
            Expect.equal (difference before (model.Learned())) 0.0 "learned"
            Expect.equal (bytes model) (bytes other) "statistics"
        }

        test "it commutes with permutations" {
            use model = randomParameters network 1L
            use task = toyTask network 60 2L
            let set = PermutationSet.Random(network, 3L)
            use first = set.Apply model
            StatisticsReset.Apply(first, task)
            StatisticsReset.Apply(model, task)
            use then' = set.Apply model
            Expect.isLessThan (difference first.Flat then'.Flat) 1e-2 "either way"
        }

        test "a network without statistics is left as it is" {
            use model = randomParameters smallMlp 1L
            let before = bytes model
            StatisticsReset.Apply(model, toyTask smallMlp 10 1L)
            Expect.equal (bytes model) before "nothing to do"
            Expect.isFalse (StatisticsReset.Concerns smallMlp) "says so"
            Expect.isTrue (StatisticsReset.Concerns network) "and here it has"
            // A table of positions is stored and not learned; counts of batches and means are of norms.
            let options =
                TransformerOptions(
                    Layers = 1,
                    Width = 8,
                    Heads = 2,
                    Context = 4,
                    Positions = PositionEncoding.Sinusoidal
                )

            let gpt = Network(Catalogue.Gpt(7, options))
            Expect.isGreaterThan gpt.TotalCount gpt.LearnedCount "a table"
            Expect.isFalse (StatisticsReset.Concerns gpt) "is no statistic"
        }

        test "too few examples are refused" {
            use model = randomParameters network 1L
            use task = toyTask network 10 1L
            failsWith [ "statistics reset"; "found 0" ] (fun () -> StatisticsReset.Apply(model, task, 0))
            failsWith [ "batch of 2"; "and 1" ] (fun () -> StatisticsReset.Apply(model, task, 10, 1))
        }
    ]
