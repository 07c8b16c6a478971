namespace LmcDsl

open MathNet.Numerics.Distributions
open MathNet.Numerics.Statistics

/// Repeated measurements of one number in short.
type Summary =
    {
        /// How many measurements.
        Count: int
        /// Their mean.
        Mean: float
        /// Their standard deviation (n - 1 below); 0 for one measurement.
        Deviation: float
    }

    /// Half the width of the mean's 95 % confidence interval by Student's t; infinite for one measurement.
    member this.Margin =
        if this.Count < 2 then
            infinity
        else
            StudentT.InvCDF(0.0, 1.0, float (this.Count - 1), 0.975) * this.Deviation / sqrt (float this.Count)

/// Statistics of repeated measurements, by Math.NET Numerics.
[<RequireQualifiedAccess>]
module Statistics =

    /// Mean and deviation of one or more numbers.
    let summarise (values: float list) : Summary =
        {
            Count = values.Length
            Mean = ArrayStatistics.Mean(List.toArray values)
            Deviation =
                if values.Length < 2 then
                    0.0
                else
                    ArrayStatistics.StandardDeviation(List.toArray values)
        }

    /// The two-sided p-value of the paired t-test that two measurements of the same things have one mean; none for fewer than two
    /// pairs, or where all pairs differ by the same.
    let pairedT (pairs: (float * float) list) : float option =
        let differences = pairs |> List.map (fun (x, y) -> x - y) |> summarise

        if differences.Count < 2 || differences.Deviation = 0.0 then
            None
        else
            let t = differences.Mean / (differences.Deviation / sqrt (float differences.Count))
            Some(2.0 * StudentT.CDF(0.0, 1.0, float (differences.Count - 1), -abs t))
