module LmcDsl.Tests.Core.PermutationTests

open System
open Expecto
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private draw seed n = Permutation.Random(n, Random(seed: int))
let private sizes = config 200
let private entries (shape: int64[]) = Array.fold (*) 1L shape

let tests =
    testList "Permutation" [
        test "it puts entry Sources[i] at place i" {
            use x = torch.tensor [| 10f; 20f; 30f |]
            use moved = Permutation([ 2; 0; 1 ]).Apply x
            Expect.equal (moved.data<float32>().ToArray()) [| 30f; 10f; 20f |] "by hand"
        }

        test "blocks move as one" {
            use x = torch.arange (6L)
            use moved = Permutation([ 2; 0; 1 ]).Apply(x, 0, 2)
            Expect.equal (moved.data<int64>().ToArray()) [| 4L; 5L; 0L; 1L; 2L; 3L |] "by hand"
        }

        testPropertyWithConfig sizes "a permutation after its inverse moves nothing"
        <| fun (seed: int) (FsCheck.PositiveInt n) ->
            let p = draw seed n
            p.After(p.Inverse()).IsIdentity && p.Inverse().After(p).IsIdentity

        testPropertyWithConfig sizes "composition is associative"
        <| fun (a: int) (b: int) (c: int) (FsCheck.PositiveInt n) ->
            let p, q, r = draw a n, draw b n, draw c n
            p.After(q).After(r).Equals(p.After(q.After r))

        testPropertyWithConfig sizes "applying a composition is applying one after the other"
        <| fun (a: int) (b: int) (FsCheck.PositiveInt n) ->
            use _ = torch.NewDisposeScope()
            let p, q = draw a n, draw b n
            let x = torch.arange (int64 n)
            let both = p.After(q).Apply x
            let each = p.Apply(q.Apply x)
            both.equal(each).all().item<bool>()

        testPropertyWithConfig sizes "where it lies it gives the same as a copy"
        <| fun (seed: int) (FsCheck.PositiveInt n) (FsCheck.PositiveInt width) ->
            use _ = torch.NewDisposeScope()
            let random = Random seed
            let block = 1 + random.Next 3
            let dimension = random.Next 3
            // Some stay where they are.
            let staying = random.Next n

            let p =
                Permutation [ yield! [ 0 .. staying - 1 ]; for s in (draw seed (n - staying)).Sources -> staying + s ]

            let shape = [| for d in 0..2 -> if d = dimension then int64 (n * block) else int64 (1 + width % (3 + d)) |]
            let x = torch.arange(entries shape).view shape
            let expected = p.Apply(x, dimension, block)
            p.ApplyInPlace(x, dimension, block)
            x.equal(expected).all().item<bool>()

        test "where it lies a large tensor is permuted in several parts" {
            use _ = torch.NewDisposeScope()

            for shape, dimension in [ [| 3000L; 2000L |], 0; [| 2000L; 3000L |], 1; [| 6_000_000L |], 0 ] do
                let x = torch.arange(entries shape).view shape
                let p = draw 3 (int shape[dimension])
                let expected = p.Apply(x, dimension)
                p.ApplyInPlace(x, dimension)
                Expect.isTrue (x.equal(expected).all().item<bool>()) $"{shape}, {dimension}"
                failsWith [ $"dimension {dimension}"; "3" ] (fun () -> draw 1 3 |> _.ApplyInPlace(x, dimension))
        }

        testPropertyWithConfig sizes "the inverse of a composition is the inverses' the other way round"
        <| fun (a: int) (b: int) (FsCheck.PositiveInt n) ->
            let p, q = draw a n, draw b n
            p.After(q).Inverse().Equals(q.Inverse().After(p.Inverse()))

        test "what is no permutation is refused" {
            failsWith [ "each of 0..2 once"; "found 1" ] (fun () -> Permutation([ 0; 1; 1 ]) |> ignore)
            failsWith [ "found 3" ] (fun () -> Permutation([ 0; 1; 3 ]) |> ignore)
            failsWith [ "one size" ] (fun () -> draw 1 3 |> _.After(draw 1 4) |> ignore)
        }

        test "the identity of a set applied gives the same bytes" {
            use p = randomParameters smallMlp 3L
            use moved = PermutationSet.Identity(smallMlp).Apply p
            Expect.equal (bytes moved) (bytes p) "nothing moves"
        }

        testPropertyWithConfig (config 30) "applying a set and then its inverse gives the same bytes"
        <| fun (seed: int64) ->
            let network = randomArchitecture (Random(int (seed % 1000L))) |> LmcDsl.Core.Architectures.Network
            use p = randomParameters network seed
            let set = PermutationSet.Random(network, seed)
            use there = set.Apply p
            use back = set.Inverse().Apply there
            bytes back = bytes p

        test "the groups of a set are drawn apart, and by the seed" {
            let network =
                LmcDsl.Core.Architectures.Network(
                    LmcDsl.Core.Architectures.Catalogue.Mlp([| 1; 2; 3 |], [| 20; 20 |], 3)
                )

            let sources seed = [ for p in PermutationSet.Random(network, seed).Permutations -> List.ofSeq p.Sources ]
            Expect.notEqual ((sources 1L)[0]) ((sources 1L)[1]) "two groups"
            Expect.notEqual ((sources 1L)[0]) ((sources 2L)[0]) "two seeds"
            Expect.equal (sources 1L) (sources 1L) "one seed"
        }

        test "a set of other sizes is refused, and the group named" {
            failsWith [ "group 'fc1'"; "of 5"; "of 4" ] (fun () ->
                PermutationSet(smallMlp, [ draw 1 4; draw 1 4 ]) |> ignore)
        }
    ]
