namespace LmcDsl

open System
open MathNet.Numerics.Distributions
open MathNet.Numerics.Statistics

/// A number with its 95 % confidence interval.
type Interval =
    {
        /// The number: a mean, a correlation, a slope.
        Value: float
        /// Lower end; -infinity where one measurement says nothing of the spread.
        Low: float
        /// Upper end.
        High: float
        /// Measurements behind it.
        Count: int
    }

/// Which numbers a rule asks for; both ends belong to it where they are finite.
type Bounds =
    {
        /// The least.
        From: float
        /// The largest.
        To: float
    }

/// Ranges of numbers.
[<RequireQualifiedAccess>]
module Bounds =

    /// The number or less.
    let atMost (most: float) = { From = -infinity; To = most }

    /// The number or more.
    let atLeast (least: float) = { From = least; To = infinity }

    /// Below the number.
    let below (bound: float) = atMost (Math.BitDecrement bound)

    /// Above the number.
    let above (bound: float) = atLeast (Math.BitIncrement bound)

    /// From one number to another.
    let between (least: float) (most: float) = { From = least; To = most }

/// Where an interval lies to a range.
type Place =
    /// All of it in the range.
    | Within
    /// All of it outside.
    | Without
    /// Across an end of the range.
    | Across

/// Confidence intervals, by Math.NET Numerics.
[<RequireQualifiedAccess>]
module Interval =

    /// The mean of measurements with the interval of Student's t; of one measurement the whole line.
    let ofValues (values: float list) : Interval =
        let summary = Statistics.summarise values
        let margin = if summary.Count >= 2 && summary.Deviation = 0.0 then 0.0 else summary.Margin

        {
            Value = summary.Mean
            Low = summary.Mean - margin
            High = summary.Mean + margin
            Count = summary.Count
        }

    /// Where it lies to a range.
    let place (range: Bounds) (interval: Interval) : Place =
        if range.From <= interval.Low && interval.High <= range.To then Within
        elif interval.High < range.From || range.To < interval.Low then Without
        else Across

    /// About how many measurements of the same spread would put the interval on one side of the range's nearest end: the least n for which
    /// t(n - 1) s / √n is below the distance. None where no number up to a thousand does.
    let needed (range: Bounds) (values: float list) : int option =
        let summary = Statistics.summarise values
        let distance = [ range.From; range.To ] |> List.map (fun bound -> abs (summary.Mean - bound)) |> List.min

        let margin n = StudentT.InvCDF(0.0, 1.0, float (n - 1), 0.975) * summary.Deviation / sqrt (float n)

        seq { max 2 (summary.Count + 1) .. 1000 } |> Seq.tryFind (fun n -> margin n < distance)

    /// The number that a function gives of measurements, with the interval between the 2.5 % and the 97.5 % quantile of what it gives of
    /// 2,000 resamples of them, drawn with replacement (Efron's percentile bootstrap); the same for the same measurements. Resamples of
    /// which it gives no number are left out. Of one measurement the whole line.
    let bootstrap (value: 'item list -> float) (items: 'item list) : Interval =
        let own = value items

        if items.Length < 2 then
            { Value = own; Low = -infinity; High = infinity; Count = items.Length }
        else
            let random = Random 1
            let source = List.toArray items
            let resample () = List.init source.Length (fun _ -> source[random.Next source.Length])

            let drawn =
                Array.init 2000 (fun _ -> value (resample ())) |> Array.filter (Double.IsNaN >> not) |> Array.sort
            // The nearest rank: numbers may be infinite.
            let quantile share = drawn[max 0 (int (ceil (share * float drawn.Length)) - 1)]

            if drawn.Length = 0 then
                { Value = own; Low = -infinity; High = infinity; Count = items.Length }
            else
                {
                    Value = own
                    Low = quantile 0.025
                    High = quantile 0.975
                    Count = items.Length
                }

    /// The straight line y = intercept + slope x of least squares, both with the intervals of Student's t on n - 2 degrees of freedom; of
    /// two points the whole line. None for fewer than two places x.
    let line (points: (float * float) list) : (Interval * Interval) option =
        let n = float points.Length
        let x = points |> List.map fst
        let mean = if points.IsEmpty then 0.0 else List.average x
        let spread = x |> List.sumBy (fun x -> (x - mean) ** 2.0)

        if spread = 0.0 then
            None
        else
            let slope = (points |> List.sumBy (fun (x, y) -> (x - mean) * y)) / spread
            let intercept = (points |> List.averageBy snd) - slope * mean
            let rest = points |> List.sumBy (fun (x, y) -> (y - intercept - slope * x) ** 2.0)

            let margin share =
                if points.Length < 3 then
                    infinity
                else
                    StudentT.InvCDF(0.0, 1.0, n - 2.0, 0.975) * sqrt (rest / (n - 2.0) * share)

            let around value share =
                {
                    Value = value
                    Low = value - margin share
                    High = value + margin share
                    Count = points.Length
                }

            Some(around intercept (1.0 / n + mean * mean / spread), around slope (1.0 / spread))

    /// Spearman's rank correlation; 0 where one side does not vary.
    let rankCorrelation (pairs: (float * float) list) : float =
        let found = Correlation.Spearman(List.map fst pairs, List.map snd pairs)
        if Double.IsNaN found then 0.0 else found

    /// As tables show it: the number, and its interval where there is one.
    let show (digits: int) (interval: Interval) : string =
        let number (value: float) = if Double.IsInfinity value then "no end" else Number.fixedPoint digits value

        if interval.Low = -infinity && interval.High = infinity then
            number interval.Value
        else
            $"{number interval.Value} ({number interval.Low} to {number interval.High})"
