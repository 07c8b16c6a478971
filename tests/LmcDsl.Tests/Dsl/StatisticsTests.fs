module LmcDsl.Tests.Dsl.StatisticsTests

open Expecto
open LmcDsl
open LmcDsl.Tests.Fixtures

let private close (expected: float) (found: float) what = Expect.isLessThan (abs (found - expected)) 1e-4 what

let tests =
    testList "Statistics" [
        test "mean, deviation and confidence of 2, 4, 4, 4, 5, 5, 7, 9" {
            let s = Statistics.summarise [ 2.0; 4.0; 4.0; 4.0; 5.0; 5.0; 7.0; 9.0 ]
            Expect.equal (s.Count, s.Mean) (8, 5.0) "n and mean"
            close 2.13809 s.Deviation "n - 1 below"
            close (2.364624 * 2.13809 / sqrt 8.0) s.Margin "t of 7 degrees of freedom is 2.3646"
        }

        test "one measurement has no deviation and no confidence" {
            let s = Statistics.summarise [ 3.0 ]
            Expect.equal (s.Mean, s.Deviation, s.Margin) (3.0, 0.0, infinity) "one"
        }

        test "the paired t-test of Student's sleep data (1908): t = -4.0621, p = 0.00283" {
            let one = [ 0.7; -1.6; -0.2; -1.2; -0.1; 3.4; 3.7; 0.8; 0.0; 2.0 ]
            let other = [ 1.9; 0.8; 1.1; 0.1; -0.1; 4.4; 5.5; 1.6; 4.6; 3.4 ]
            let p = Statistics.pairedT (List.zip one other) |> Option.get
            Expect.isLessThan (abs (p - 0.002833)) 1e-6 "as R's t.test gives it"
        }

        test "too few pairs, and pairs that all differ by the same, have no test" {
            Expect.isNone (Statistics.pairedT [ 1.0, 2.0 ]) "one pair"
            Expect.isNone (Statistics.pairedT [ 1.0, 2.0; 3.0, 4.0 ]) "no spread"
        }

        testPropertyWithConfig (config 50) "the test does not care which comes first, nor about a common shift"
        <| fun (pairs: (int * int) list) (shift: int) ->
            let pairs = pairs |> List.map (fun (x, y) -> float x, float y)
            let p = Statistics.pairedT pairs
            let swapped = Statistics.pairedT (pairs |> List.map (fun (x, y) -> y, x))
            let shifted = Statistics.pairedT (pairs |> List.map (fun (x, y) -> x + float shift, y + float shift))

            let same (a: float option) (b: float option) =
                Option.map2 (fun x y -> abs (x - y) < 1e-9) a b |> Option.defaultValue (a = b)

            Expect.isTrue (same p swapped && same p shifted) "same p"
    ]
