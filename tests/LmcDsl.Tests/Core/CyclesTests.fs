module LmcDsl.Tests.Core.CyclesTests

open Expecto
open LmcDsl.Core.Permutations

let tests =
    testList "Cycles" [
        test "lengths of cycles, the longest first, units that stay among them" {
            let lengths (sources: int list) = List.ofSeq (Cycles.Lengths(Permutation sources))
            Expect.equal (lengths [ 0; 1; 2 ]) [ 1; 1; 1 ] "nothing moves"
            Expect.equal (lengths [ 1; 2; 0 ]) [ 3 ] "one round"
            Expect.equal (lengths [ 1; 0; 2; 5; 3; 4 ]) [ 3; 2; 1 ] "a pair, one that stays, a round of three"
            Expect.equal (lengths []) [] "no units"
        }

        test "they sum to the units, and applied as often as their least common multiple says nothing has moved" {
            for seed in 1..20 do
                let permutation = Permutation.Random(12, System.Random seed)
                let lengths = Cycles.Lengths permutation
                Expect.equal (Seq.sum lengths) 12 "every unit once"
                let rec gcd a b = if b = 0 then a else gcd b (a % b)
                let order = lengths |> Seq.fold (fun a b -> a / gcd a b * b) 1
                let mutable power = permutation

                for _ in 2..order do
                    power <- permutation.After power

                Expect.isTrue power.IsIdentity "its order"
        }
    ]
