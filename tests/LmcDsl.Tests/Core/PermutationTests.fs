module LmcDsl.Tests.Core.PermutationTests

open System
open Expecto
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures
open TorchSharp

let private draw seed n = Permutation.Random(n, Random(seed: int))
let private sizes = config 200

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

        test "a set of other sizes is refused, and the group named" {
            failsWith [ "group 'fc1'"; "of 5"; "of 4" ] (fun () ->
                PermutationSet(smallMlp, [ draw 1 4; draw 1 4 ]) |> ignore)
        }
    ]
