namespace LmcDsl.Bench

open System
open System.Diagnostics
open LmcDsl

/// Our way of doing something beside a reference's, to be timed alternately in one run.
type Comparison =
    {
        /// What is measured.
        Name: string
        /// Its size: examples, width, ...
        N: int
        /// Our way; gives the seconds that it took.
        Ours: unit -> float
        /// What it is compared with.
        Reference: string
        /// The reference's way; gives the seconds that it took.
        Theirs: unit -> float
        /// How often each is timed; where more than once, after one run that is not.
        Rounds: int
    }

/// What timing gave.
type Timing =
    {
        Comparison: Comparison
        /// Our seconds, one for each round.
        Ours: float list
        /// The reference's seconds, one for each round.
        Theirs: float list
    }

/// Timing comparisons.
[<RequireQualifiedAccess>]
module Timing =

    /// How long something takes.
    let seconds (work: unit -> 'a) =
        let clock = Stopwatch.StartNew()
        work () |> ignore
        clock.Elapsed.TotalSeconds

    /// The middle of some numbers.
    let median (values: float list) =
        let sorted = List.sort values
        let n = sorted.Length
        (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0

    /// Times both ways in turn, so that what else the machine does falls on both.
    let run (comparison: Comparison) : Timing =
        if comparison.Rounds > 1 then
            comparison.Ours() |> ignore
            comparison.Theirs() |> ignore

        let rounds = [ for _ in 1 .. comparison.Rounds -> comparison.Ours(), comparison.Theirs() ]

        {
            Comparison = comparison
            Ours = List.map fst rounds
            Theirs = List.map snd rounds
        }

    /// How many times faster ours is: reference over ours, by the medians.
    let ratio timing = median timing.Theirs / median timing.Ours

    /// An entry of bench.json.
    let toJson (timing: Timing) =
        Json.Object [
            "name", Json.Text timing.Comparison.Name
            "n", Json.int (int64 timing.Comparison.N)
            "seconds_median", Json.float (median timing.Ours)
            "seconds_min", Json.float (List.min timing.Ours)
            "reference", Json.Text timing.Comparison.Reference
            "reference_seconds_median", Json.float (median timing.Theirs)
            "ratio", Json.float (ratio timing)
        ]

    /// The exponent by which our median grows with n over timings of one name, by least squares on logarithms.
    let exponent (timings: Timing list) : float =
        let points = timings |> List.map (fun t -> log (float t.Comparison.N), log (median t.Ours))
        let x, y = List.averageBy fst points, List.averageBy snd points

        (points |> List.sumBy (fun (u, v) -> (u - x) * (v - y)))
        / (points |> List.sumBy (fun (u, _) -> (u - x) ** 2.0))
