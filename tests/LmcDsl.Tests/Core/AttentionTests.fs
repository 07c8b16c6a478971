module LmcDsl.Tests.Core.AttentionTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Tests.Fixtures
open TorchSharp

let private drawn (shape: int64 list) (seed: int64) =
    use generator = LmcDsl.Core.Runtime.Seeds.Generator(seed, "attention")
    torch.randn (List.toArray shape, dtype = torch.float64, generator = generator)

let private run (layer: Layer) (parameters: torch.Tensor list) (inputs: torch.Tensor list) =
    use _ = torch.no_grad ()
    layer.Forward(List.toArray parameters, List.toArray inputs, Mode.Evaluation)

let private same (one: torch.Tensor) (other: torch.Tensor) what =
    Expect.equal one.shape other.shape $"{what}: shape"
    Expect.isLessThan (difference one other) 1e-10 what

let private item (tensor: torch.Tensor) (at: int list) =
    tensor[[| for k in at -> torch.TensorIndex.Single(int64 k) |]].ToDouble()

// Attention in loops over numbers: heads of queries in order, each with the keys and values of its group.
let private byHand
    heads
    keyHeads
    causal
    (angle: int -> int -> float)
    (q: torch.Tensor)
    (k: torch.Tensor)
    (v: torch.Tensor)
    =
    let batch, positions = int q.shape[0], int q.shape[1]
    let size, carried = int q.shape[2] / heads, int v.shape[2] / keyHeads
    let half = size / 2

    // A head's vector at a position, its pairs turned by the position's angles.
    let vector (x: torch.Tensor) b t head =
        let at j = item x [ b; t; head * size + j ]

        [|
            for j in 0 .. size - 1 ->
                let pair = j % half
                let cosine, sine = cos (angle t pair), sin (angle t pair)

                if j < half then
                    at j * cosine - at (j + half) * sine
                else
                    at j * cosine + at (j - half) * sine
        |]

    let result = torch.zeros ([| q.shape[0]; q.shape[1]; int64 (heads * carried) |], dtype = torch.float64)

    for b in 0 .. batch - 1 do
        for head in 0 .. heads - 1 do
            let group = head / (heads / keyHeads)

            for t in 0 .. positions - 1 do
                let query = vector q b t head
                let last = if causal then t else positions - 1

                let scores =
                    [|
                        for s in 0..last ->
                            exp ((Array.map2 (*) query (vector k b s group) |> Array.sum) / sqrt (float size))
                    |]

                for c in 0 .. carried - 1 do
                    let sum = Seq.sum (seq { for s in 0..last -> scores[s] * item v [ b; s; group * carried + c ] })
                    result[int64 b, int64 t, int64 (head * carried + c)] <- torch.tensor (sum / Array.sum scores)

    result

let tests =
    testList "Attention" [
        for heads, keyHeads, causal, rotary in
            [ 1, 1, false, false; 4, 4, true, false; 4, 2, false, false; 6, 2, true, true; 2, 1, false, true ] do
            test $"{heads} heads on {keyHeads}, causal {causal}, rotary {rotary}: as written in loops over numbers" {
                use _ = torch.NewDisposeScope()

                let q, k, v =
                    drawn [ 2L; 5L; int64 heads * 4L ] 1L,
                    drawn [ 2L; 5L; int64 keyHeads * 4L ] 2L,
                    drawn [ 2L; 5L; int64 keyHeads * 3L ] 3L

                let angle t pair = if rotary then float t * (10000.0 ** (-2.0 * float pair / 4.0)) else 0.0
                let layer = DotProductAttention(heads, keyHeads, causal, rotary)
                same (run layer [] [ q; k; v ]) (byHand heads keyHeads causal angle q k v) "attention"
            }

        test
            "pairs turn by rates of their own, and queries and keys are longer by a gain: as written in loops over numbers" {
            use _ = torch.NewDisposeScope()
            let q, k, v = drawn [ 2L; 5L; 8L ] 1L, drawn [ 2L; 5L; 8L ] 2L, drawn [ 2L; 5L; 6L ] 3L
            let rates = [| 0.7; 0.02 |]
            let layer = DotProductAttention(2, 2, true, true, 10000.0, rates, 1.5)
            // The gain is of queries and of keys, so that their products have its square.
            let expected = byHand 2 2 true (fun t pair -> float t * rates[pair]) (q * (torch.tensor 2.25)) k v
            same (run layer [] [ q; k; v ]) expected "attention"
        }

        test "rates are as many as a head has pairs, and none without rotary positions" {
            let network rotary rates =
                let dense name = $$"""{"name":"{{name}}","layer":{"kind":"dense","units":8},"inputs":["wte"]}"""

                $$"""{"name":"t","input":[3],"nodes":[
                       {"name":"wte","layer":{"kind":"embedding","tokens":5,"units":8},"inputs":["input"]},
                       {{dense "q"}}, {{dense "k"}}, {{dense "v"}},
                       {"name":"a","layer":{"kind":"dotProductAttention","heads":2,"rotary":{{rotary}},"rotaryRates":{{rates}}},"inputs":["q","k","v"]}]}"""
                |> Architecture.FromJson
                |> Network

            network "true" "[1, 0.5]" |> ignore
            failsWith [ "2 pairs"; "found 1" ] (fun () -> network "true" "[1]" |> ignore)
            failsWith [ "rotary positions alone"; "found 2" ] (fun () -> network "false" "[1, 0.5]" |> ignore)
        }

        test "norms, embeddings, positions, class token and pooling, by their formulas" {
            use _ = torch.NewDisposeScope()
            let x, gain = drawn [ 2L; 3L; 4L ] 1L, drawn [ 4L ] 2L
            let rms = (x * x).mean([| 2L |], keepdim = true).sqrt()
            same (run (RmsNorm 0.0) [ gain ] [ x ]) (x / rms * gain) "RMS norm"
            same (run (RmsNorm(0.0, false)) [] [ x ]) (x / rms) "without gain"
            let centred = x - x.mean ([| 2L |], keepdim = true)
            let deviation = (centred * centred).mean([| 2L |], keepdim = true).sqrt()
            let shift = drawn [ 4L ] 3L
            same (run (LayerNorm 0.0) [ gain; shift ] [ x ]) (centred / deviation * gain + shift) "layer norm"
            same (run (LayerNorm(0.0, true, false)) [ shift ] [ x ]) (centred / deviation + shift) "a shift alone"
            same (run (LayerNorm(0.0, false)) [] [ x ]) (centred / deviation) "neither"
            let table = drawn [ 7L; 4L ] 4L
            let tokens = torch.tensor([| 3L; 0L; 6L; 6L; 1L; 2L |]).view(2L, 3L)
            let found = run (Embedding(7, 4)) [ table ] [ tokens ]
            same (found.[1L, 0L]) (table.[6L]) "a token's vector"
            same (found.[0L, 1L]) (table.[0L]) "another"
            let positions = drawn [ 3L; 4L ] 5L
            same (run (LearnedPositions()) [ positions ] [ x ]) (x + positions) "positions"
            let longer = torch.cat [| positions; drawn [ 2L; 4L ] 9L |]
            same (run (LearnedPositions 5) [ longer ] [ x ]) (x + positions) "the first rows of a longer table"
            let image = drawn [ 1L; 4L; 2L; 3L ] 6L
            let sequence = run (Sequence()) [] [ image ]
            same (sequence.[0L, 4L]) (image.select(3, 1).select(2, 1).[0L]) "row by row: position 4 is row 1, column 1"
            let token = run (ClassToken()) [ gain ] [ x ]
            same (token.[1L, 0L]) gain "the token first"
            same (token.narrow (1, 1, 3)) x "then the rest"
            same (run (SequencePooling SequencePoolingFunction.First) [] [ x ]) (x.select (1, 0)) "the first"
            same (run (SequencePooling SequencePoolingFunction.Mean) [] [ x ]) (x.mean [| 1L |]) "the mean"
            same (run (TiedOutput("t", 7)) [ table ] [ x ]) (x.matmul (table.t ())) "a tied output"
            let weight, bias = drawn [ 5L; 4L ] 7L, drawn [ 5L ] 8L
            same (run (Dense 5) [ weight; bias ] [ x ]) (x.matmul (weight.t ()) + bias) "a dense layer at each position"
            same (run (TurnedDense 5) [ weight.t (); bias ] [ x ]) (x.matmul (weight.t ()) + bias) "the other way round"
            same (run (TurnedDense(5, false)) [ weight.t () ] [ x ]) (x.matmul (weight.t ())) "without a bias"
            same (run (Outputs()) [] [ x; table ]) x "the first of several outputs"
        }

        test "units that are one of several outputs stay" {
            let groups further =
                let chain = Chain()
                let hidden = chain.Add("a", Dense 4)
                let logits = chain.Add("b", Dense 3)

                if further then
                    chain.Add("outputs", Outputs(), logits, hidden) |> ignore

                [ for group in (Network(chain.Build("", [| 2 |]))).Groups -> group.Units ]

            Expect.equal (groups false) [ 4 ] "of one output"
            Expect.equal (groups true) [] "of two"
        }

        test "sines and cosines stand where the paper has them" {
            let network =
                Network(
                    Catalogue.Gpt(
                        5,
                        TransformerOptions(
                            Layers = 1,
                            Width = 6,
                            Heads = 1,
                            Context = 4,
                            Positions = PositionEncoding.Sinusoidal
                        )
                    )
                )

            use p = ParameterSet.Initialize(network, 0L)
            let table = p["positions.table"]
            let at (t: int) (j: int) = item (table.``to`` torch.float64) [ t; j ]
            Expect.floatClose Accuracy.medium (at 3 0) (sin 3.0) "unit 0"
            Expect.floatClose Accuracy.medium (at 3 1) (cos 3.0) "unit 1"
            Expect.floatClose Accuracy.medium (at 2 4) (sin (2.0 / (10000.0 ** (4.0 / 6.0)))) "unit 4"

            Expect.isFalse
                (network.Parameters |> Seq.find (fun s -> s.Name = "positions.table")).Learned
                "never learned"
        }

        test "a block with norms after its parts computes what Torch's own encoder layer does" {
            use _ = torch.NewDisposeScope()
            use _ = torch.no_grad ()

            let options =
                TransformerOptions(
                    Layers = 1,
                    Width = 12,
                    Heads = 3,
                    Hidden = 20,
                    Context = 5,
                    Norm = TransformerNorm.LayerAfter
                )

            let network = Network(Catalogue.Bert(7, 4, options))
            use p = randomParameters network 1L
            let peer = torch.nn.TransformerEncoderLayer(12L, 3L, 20L, 0.0, torch.nn.Activations.GELU)
            peer.eval ()
            let own = dict [ for struct (name, tensor) in peer.named_parameters () -> name, tensor :> torch.Tensor ]
            let set name (value: torch.Tensor) = own[name].copy_ value |> ignore
            let three kind = torch.cat [| for part in [ "query"; "key"; "value" ] -> p[$"block1.{part}.{kind}"] |]
            set "self_attn.in_proj_weight" (three "weight")
            set "self_attn.in_proj_bias" (three "bias")

            for theirs, ours in
                [
                    "self_attn.out_proj", "output"
                    "linear1", "up"
                    "linear2", "down"
                    "norm1", "norm1"
                    "norm2", "norm2"
                ] do
                for kind in [ "weight"; "bias" ] do
                    set $"{theirs}.{kind}" p[$"block1.{ours}.{kind}"]

            let outputs = System.Collections.Generic.Dictionary<string, torch.Tensor>()
            let x = randomInput network 2 1L

            network.Forward(p.Views, x, Mode.Evaluation, (fun name output -> outputs[name] <- output.alias ()))
            |> ignore
            // Theirs has positions first.
            let expected = peer.call(outputs["norm"].transpose(0, 1)).transpose(0, 1)
            Expect.isLessThan (difference expected outputs["block1.norm2"]) 1e-4 "the block"
        }

        test "a causal model's output at a position does not depend on what comes after, another's does" {
            let changed (architecture: Architecture) =
                let network = Network architecture
                use p = randomParameters network 1L
                let x = randomInput network 1 1L
                let y = x.clone ()
                y[0L, 4L] <- torch.tensor ((x[0L, 4L].ToInt64() + 1L) % 7L)
                let one, other = network.Forward(p.Views, x), network.Forward(p.Views, y)
                difference (one.flatten(0, -2).narrow(0, 0, 1)) (other.flatten(0, -2).narrow(0, 0, 1))

            let options = TransformerOptions(Layers = 2, Width = 8, Heads = 2, Context = 5)
            Expect.equal (changed (Catalogue.Gpt(7, options))) 0.0 "causal"
            Expect.isGreaterThan (changed (Catalogue.Bert(7, 3, options))) 1e-4 "in both directions"
        }

        test "a tied output shares the embedding's numbers, and both of its uses reach the gradient" {
            let options = TransformerOptions(Layers = 1, Width = 8, Heads = 2, Context = 5, Tied = true)
            let network = Network(Catalogue.Gpt(7, options))
            Expect.isFalse (network.Parameters |> Seq.exists (fun p -> p.Layer = "head")) "no table of its own"
            let free = Network(Catalogue.Gpt(7, TransformerOptions(Layers = 1, Width = 8, Heads = 2, Context = 5)))
            Expect.equal (free.TotalCount - network.TotalCount) (7L * 8L) "as many numbers fewer"

            failsWith [ "'head'"; "'wte.weight'" ] (fun () ->
                Network(
                    Architecture.FromJson
                        """{"name":"t","input":[3],"nodes":[
                           {"name":"t","layer":{"kind":"embedding","tokens":5,"units":4},"inputs":["input"]},
                           {"name":"head","layer":{"kind":"tiedOutput","embedding":"wte","tokens":5},"inputs":["t"]}]}"""
                )
                |> ignore)
        }

        test "layers of transformers are written and read back" {
            for seed in 1..40 do
                let architecture = randomTransformer (System.Random seed)
                let again = Architecture.FromJson(architecture.ToJson())
                Expect.equal (again.ToJson()) (architecture.ToJson()) $"seed {seed}"
        }
    ]
