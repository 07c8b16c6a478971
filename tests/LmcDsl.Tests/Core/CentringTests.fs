/// Means that layer norms do not see, taken away.
module LmcDsl.Tests.Core.CentringTests

open System
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Runtime
open LmcDsl.Core.Symmetries
open LmcDsl.Tests.Fixtures
open TorchSharp

/// A model and what it is without its means, both folded.
let private centred (network: Network) (seed: int64) =
    use p = randomParameters network seed
    let folding = Folding.Of(network, doubles p)
    let before, after = folding.Fold(doubles p), folding.Fold(doubles p)
    Centring.ApplyInPlace(folding.Folded, after)
    folding.Folded, before, after

let private gpt =
    Network(Catalogue.Gpt(11, TransformerOptions(Layers = 2, Width = 8, Heads = 2, Hidden = 6, Context = 5)))

let tests =
    testList "Centring" [
        test "a random transformer computes the same without its means, in double" {
            let mutable moved = 0

            for seed in 1..200 do
                use _ = torch.NewDisposeScope()
                let folded, before, after = centred (Network(randomTransformer (Random seed))) (int64 seed)
                Expect.isLessThan (outputsApart folded before after) 1e-10 $"seed {seed}"

                if Array.exists2 (fun x y -> difference x y > 0.01) before after then
                    moved <- moved + 1

            Expect.isGreaterThan moved 20 "where there is a stream between layer norms"
        }

        test "what is written into GPT's stream, and what is read from it, sums to 0 over its units" {
            use _ = torch.NewDisposeScope()
            let folded, before, after = centred gpt 1L

            for name, dimension in
                [
                    "tokens.weight", 1L
                    "positions.weight", 1L
                    "block1.output.weight", 0L
                    "block1.query.weight", 1L
                    "block2.down.weight", 0L
                ] do
                let k = folded.Parameters |> Seq.findIndex (fun p -> p.Name = name)
                let sums (model: torch.Tensor[]) = model[k].sum(dimension).abs().max().ToDouble()
                Expect.isGreaterThan (sums before) 0.1 $"{name} before"
                Expect.isLessThan (sums after) 1e-12 name
        }

        test "models that differ in their means alone are found to be one, where means are taken away" {
            use _ = torch.NewDisposeScope()
            use a = randomParameters gpt 1L
            use b = a.Clone()
            use generator = Seeds.Generator(3L, "test")

            for name in [ "block1.output.weight"; "block1.output.bias"; "block2.down.weight" ] do
                b[name].add_(torch.randn (b[name].shape[1..], generator = generator) * (torch.tensor 3f)) |> ignore

            let value centred =
                let found = RotatedMatching.Match(a, b, RotatedMatchingOptions(Centred = centred, Normalised = true))
                Seq.last found.Objective / float (Seq.length gpt.Parameters)

            Expect.isGreaterThan (value true) (value false + 0.01) "their objective"
        }
    ]
