module LmcDsl.Tests.Core.TokenFrequencyTests

open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Matching
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private network =
    lazy
        Network(
            Catalogue.Gpt(
                30,
                TransformerOptions(
                    Layers = 1,
                    Width = 8,
                    Heads = 2,
                    Hidden = 12,
                    Context = 4,
                    Norm = TransformerNorm.RmsBefore
                )
            )
        )

let private examples (rows: int64 list list) =
    let tokens = array2D rows |> torch.tensor
    new DataSplit(tokens, tokens.clone ())

let tests =
    testList "TokenFrequencies" [
        test "each token's share of all that occur" {
            use data = examples [ [ 0L; 1L; 1L; 1L ]; [ 0L; 1L; 2L; 29L ] ]
            let shares = TokenFrequencies.Of(network.Value, data)
            Expect.equal shares.Length 30 "one for each"
            Expect.equal (List.ofArray shares[..3]) [ 0.25; 0.5; 0.125; 0.0 ] "by hand"
            Expect.equal shares[29] 0.125 "the last"
        }

        test "rows of tokens that never occur do not lead the search astray" {
            use _ = torch.NewDisposeScope()
            use a = randomParameters network.Value 1L
            // The same model, rotated, and then other rows for the tokens from 10 on, in both tables, larger than all others.
            let folded = RotatedMatching.NetworkOf(a, a)
            use element = Transformation.Random(folded, 3L)
            use b = RotatedMatching.Apply(a, a, element)

            for spec, view in Seq.zip network.Value.Parameters b.Views do
                if spec.Name = "tokens.weight" || spec.Name = "head.weight" then
                    use generator = LmcDsl.Core.Runtime.Seeds.Generator(5L, "test")
                    use noise = torch.randn ([| 20L; 8L |], generator = generator)
                    view.narrow(0L, 10L, 20L).copy_(noise * 20.0f.ToScalar()) |> ignore

            let shares = [| for token in 0..29 -> if token < 10 then 0.1 else 0.0 |]

            // How far what is no row of such a token is from a's.
            let apart (found: SearchResult) =
                use moved = RotatedMatching.Apply(a, b, found.Transformation)

                Seq.zip3 network.Value.Parameters a.Views moved.Views
                |> Seq.sumBy (fun (spec, own, other) ->
                    if spec.Name = "tokens.weight" || spec.Name = "head.weight" then
                        difference (own.narrow (0L, 0L, 10L)) (other.narrow (0L, 0L, 10L))
                    else
                        difference own other)

            let by shares = apart (RotatedMatching.Match(a, b, RotatedMatchingOptions(Normalised = true), null, shares))
            Expect.isLessThan (by shares) 1e-2 "found again by those that occur"
            Expect.isGreaterThan (by null) 1.0 "and not by all alike"
        }

        test "rows of tokens are those of tables, and of a last layer with one output for each token" {
            let tables (outputs: int) =
                $$$"""{"name":"tokens","input":[3],"nodes":[
                    {"name":"e","layer":{"kind":"embedding","tokens":5,"units":4},"inputs":["input"]},
                    {"name":"p","layer":{"kind":"sequencePooling","function":"Mean"},"inputs":["e"]},
                    {"name":"c","layer":{"kind":"dense","units":{{{outputs}}}},"inputs":["p"]}]}"""
                |> Architecture.FromJson
                |> TokenFrequencies.TablesOf
                |> Seq.sort
                |> List.ofSeq

            Expect.equal (tables 5) [ "c.weight"; "e.weight" ] "five tokens, five outputs"
            Expect.equal (tables 3) [ "e.weight" ] "a classifier's classes are no tokens"
        }

        test "networks that read no tokens, and shares of another number, are refused" {
            let mlp = Network(Catalogue.Mlp([| 3 |], [| 2 |], 8))
            use data = examples [ [ 0L; 1L; 1L; 1L ] ]
            failsWith [ "reads tokens"; "mlp" ] (fun () -> TokenFrequencies.Of(mlp, data) |> ignore)
            use a = randomParameters network.Value 1L

            failsWith [ "30 tokens"; "found 2" ] (fun () ->
                RotatedMatching.Match(a, a, null, null, [| 0.5; 0.5 |]) |> ignore)
        }
    ]
