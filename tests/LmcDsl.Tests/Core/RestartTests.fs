module LmcDsl.Tests.Core.RestartTests

open System
open System.Collections.Immutable
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Permutations
open LmcDsl.Tests.Fixtures

/// A search that finds what it begins at, in two seconds, as good as its turn says; and what it was asked.
let private asked (values: float list) (start: PermutationSet | null) =
    let told = ResizeArray<PermutationSet * int64>()

    let search (from: PermutationSet) (seed: int64) =
        let value = values[told.Count]
        told.Add(from, seed)
        SearchResult(from, 1, ImmutableArray.Create value, StopReason.NothingChanged, 2.0)

    let found =
        Restarts.Best(
            "a search",
            values.Length,
            5L,
            smallMlp,
            start,
            Func<_, _, _>(search),
            (fun r -> r.Objective[0]),
            null
        )

    found, List.ofSeq told

let tests =
    testList "Restarts" [
        test "the best of all starts counts, the first of two alike, with the seconds of all" {
            for values, best in [ [ 1.0; 3.0; 2.0 ], 1; [ 3.0; 1.0; 3.0 ], 0; [ -3.0; -2.0; -1.0 ], 2 ] do
                let found, told = asked values null
                Expect.equal found.Permutations (fst told[best]) $"{values}"
                Expect.isTrue (found.Seconds >= 6.0 && found.Seconds < 7.0) "all of them took two"
        }

        test "the first begins where it is told with the seed itself, the others elsewhere with their own" {
            let start = PermutationSet.Random(smallMlp, 9L)
            let _, told = asked [ 1.0; 2.0; 3.0 ] start
            Expect.equal told[0] (start, 5L) "the first"
            Expect.hasLength (told |> List.map snd |> List.distinct) 3 "seeds"
            Expect.hasLength (told |> List.distinctBy (fun (from, _) -> string from.Permutations[0])) 3 "places"
            let _, again = asked [ 1.0; 2.0; 3.0 ] start
            Expect.equal (List.map snd again) (List.map snd told) "the same again"
            let _, free = asked [ 1.0 ] null
            Expect.isTrue (fst free[0]).Permutations[0].IsIdentity "the identity where nothing is told"
        }

        test "no starts, and objectives that are no numbers, are refused" {
            failsWith [ "1 or more starts" ] (fun () -> asked [] null |> ignore)
            failsWith [ "finite objective" ] (fun () -> asked [ 1.0; nan ] null |> ignore)
        }
    ]
