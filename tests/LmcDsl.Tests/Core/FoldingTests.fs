module LmcDsl.Tests.Core.FoldingTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Symmetries
open LmcDsl.Tests.Fixtures
open TorchSharp

let private output (network: Network) (parameters: torch.Tensor[]) =
    use _ = torch.no_grad ()
    network.Forward(parameters, inputInDouble network)

let private relative (one: torch.Tensor) (other: torch.Tensor) =
    difference one other / max 1.0 (one.abs().max().ToDouble())

let private drawn = [ for seed in 1..100 -> int64 seed, Network(randomTransformer (Random seed)) ]

let private value (network: Network) (parameters: torch.Tensor[]) name =
    let k = network.Parameters |> Seq.findIndex (fun p -> p.Name = name)
    parameters[k]

let tests =
    testList "Folding" [
        test "a folded model computes the same, and unfolded with its own gains it is the same function again" {
            for seed, network in drawn do
                use _ = torch.NewDisposeScope()
                use p = randomParameters network seed
                let own = doubles p
                let folding = Folding.Of(network, own)
                let folded = folding.Fold own
                let expected = output network own
                Expect.isLessThan (relative expected (output folding.Folded folded)) 1e-9 $"seed {seed}, folded"
                let again = folding.Unfold(folded, own)
                Expect.isLessThan (relative expected (output network again)) 1e-9 $"seed {seed}, unfolded"
        }

        test "a gain that is nothing in any of the models stays where it is" {
            let network = Network(Catalogue.Gpt(7, TransformerOptions(Layers = 1, Width = 8, Heads = 2, Context = 3)))

            use one = randomParameters network 1L
            use other = randomParameters network 2L
            let folded models = (Folding.Of(network, List.toArray models)).Layers |> List.ofSeq
            let all = folded [ doubles one; doubles other ]

            let norm =
                all
                |> List.find (fun name ->
                    Seq.exists
                        (fun (p: ParameterSpec) -> p.Name = $"{name}.weight" && p.Shape.Length = 1)
                        network.Parameters)

            use _ = torch.no_grad ()
            (other[$"{norm}.weight"])[0] <- torch.tensor 0.0f
            let left = all |> List.filter ((<>) norm)
            Expect.equal (folded [ doubles other; doubles one ]) left "in the first"
            Expect.equal (folded [ doubles one; doubles other ]) left "in the second"
        }

        test "unfolded with another model's gains it computes the same, and has its gains, shifts and biases of values" {
            for seed, network in drawn do
                use _ = torch.NewDisposeScope()
                use p = randomParameters network seed
                use other = randomParameters network (seed + 1000L)
                let own, reference = doubles p, doubles other
                let folding = Folding.Of(network, own, reference)
                let moved = folding.Unfold(folding.Fold own, reference)
                Expect.isLessThan (relative (output network own) (output network moved)) 1e-6 $"seed {seed}"
        }

        test "the mixture of two models with one's gains is, folded, the mixture of the folded models" {
            for seed, network in drawn do
                use _ = torch.NewDisposeScope()
                use p = randomParameters network seed
                use other = randomParameters network (seed + 1000L)
                let a, b = doubles p, doubles other
                let folding = Folding.Of(network, a, b)
                let foldedA, foldedB = folding.Fold a, folding.Fold b
                let mean (xs: torch.Tensor[]) (ys: torch.Tensor[]) = Array.map2 (fun x y -> (x + y) / 2) xs ys
                let moved = folding.Unfold(foldedB, a)
                let one = output network (mean a moved)
                let other = output folding.Folded (mean foldedA foldedB)
                Expect.isLessThan (relative one other) 1e-6 $"seed {seed}"
        }

        test "gains, shifts and biases of GPT go where they should, in numbers by hand" {
            use _ = torch.NewDisposeScope()

            let network =
                Network(Catalogue.Gpt(5, TransformerOptions(Layers = 1, Width = 4, Heads = 2, Hidden = 3, Context = 3)))

            use p = randomParameters network 1L
            let own = doubles p
            let folding = Folding.Of(network, own)
            let folded = folding.Fold own
            let before, after = value network own, value folding.Folded folded
            let gain, shift = before "block1.norm1.weight", before "block1.norm1.bias"
            let same (x: torch.Tensor) (y: torch.Tensor) what = Expect.isLessThan (difference x y) 1e-12 what
            same (after "block1.query.weight") (before "block1.query.weight" * gain) "a reader's columns"

            same
                (after "block1.query.bias")
                (before "block1.query.bias" + (before "block1.query.weight").mv shift)
                "a reader's bias"

            same (after "block1.key.bias") (torch.zeros (4L, dtype = torch.float64)) "keys have none"
            same (after "block1.value.bias") (torch.zeros (4L, dtype = torch.float64)) "values have none"

            same
                (after "norm.bias")
                (before "norm.bias" / before "norm.weight")
                "before an output without bias the shift stays"

            same (after "head.weight") (before "head.weight" * before "norm.weight") "the output's columns"
            let class' = [ for turn in folding.Folded.Turns -> turn.Class ] |> List.head
            Expect.equal class' SymmetryClass.Centred "the stream may be rotated"
        }

        test "balanced, what writes the units of heads is as large as what reads them" {
            let network = Network(Catalogue.Gpt(7, TransformerOptions(Layers = 1, Width = 8, Heads = 2, Context = 5)))
            use p = randomParameters network 3L
            let own = doubles p
            use balance = Balance.Of(network, own)
            balance.ApplyInPlace own

            for turn in network.Turns do
                if turn.Class = SymmetryClass.Invertible then
                    let size dual =
                        turn.Axes
                        |> Seq.filter (fun axis -> axis.IsDual = dual)
                        |> Seq.sumBy (fun axis -> own[axis.Parameter].square().sum().ToDouble())

                    Expect.floatClose Accuracy.high (size false) (size true) turn.Name
        }

        test "a norm that is read through pooling is folded: a vision transformer's stream may be rotated" {
            for position in [ SequencePoolingFunction.First; SequencePoolingFunction.Mean ] do
                let options = TransformerOptions(Layers = 1, Width = 8, Heads = 2, Hidden = 12, Context = 5)

                let architecture =
                    match position with
                    | SequencePoolingFunction.First -> Catalogue.Vit([| 1; 4; 4 |], 2, 3, options)
                    | _ -> Catalogue.Bert(7, 3, options)

                let network = Network architecture
                use p = randomParameters network 1L
                let own = doubles p
                let folding = Folding.Of(network, own)
                Expect.contains folding.Layers "norm" "the last norm"
                let turns = [ for turn in folding.Folded.Turns -> turn.Class, turn.Units ]
                Expect.contains turns (SymmetryClass.Centred, 8) "the stream"
                let expected = output network own

                Expect.isLessThan
                    (relative expected (output folding.Folded (folding.Fold own)))
                    1e-10
                    "the same function"
        }

        test "a norm with a gain of nearly 0 stays, and so does one that something else than a dense layer reads" {
            use _ = torch.NewDisposeScope()

            let network =
                Network(Catalogue.Gpt(5, TransformerOptions(Layers = 1, Width = 4, Heads = 2, Hidden = 3, Context = 3)))

            use p = randomParameters network 1L
            p["block1.norm1.weight"].[1] <- torch.tensor 1e-9f
            let kept = Folding.Of(network, doubles p).Folded.Parameters |> Seq.map _.Name |> set
            Expect.isTrue (kept.Contains "block1.norm1.weight") "nearly 0"
            Expect.isFalse (kept.Contains "block1.norm2.weight") "the other one goes"

            let tied =
                Network(
                    Catalogue.Gpt(
                        5,
                        TransformerOptions(Layers = 1, Width = 4, Heads = 2, Hidden = 3, Context = 3, Tied = true)
                    )
                )

            use q = randomParameters tied 1L
            let kept = Folding.Of(tied, doubles q).Folded.Parameters |> Seq.map _.Name |> set
            Expect.isTrue (kept.Contains "norm.weight") "the embedding's table is not the output's alone"
        }

        test
            "heads are balanced: what writes a head's units and what reads them have the same singular values, and its function stays" {
            for seed, network in drawn do
                use _ = torch.NewDisposeScope()
                use p = randomParameters network seed
                let own = doubles p
                let expected = output network own
                use balance = Balance.Of(network, own)
                balance.ApplyInPlace own
                Expect.isLessThan (relative expected (output network own)) 1e-8 $"seed {seed}"
                use again = Balance.Of(network, own)

                for turn, matrix in Seq.zip network.Turns again.Matrices do
                    match matrix with
                    | null -> ()
                    | matrix ->
                        // Balanced once, only signs are left.
                        let one = torch.eye (matrix.shape[1], dtype = torch.float64)

                        Expect.isLessThan
                            (difference (matrix.abs ()) (one.expand matrix.shape))
                            1e-5
                            $"seed {seed}, {turn.Name}"

                use back = Balance.Inverse balance
                back.ApplyInPlace own
                Expect.isLessThan (relative expected (output network own)) 1e-8 $"seed {seed}, undone"
        }
    ]
