namespace LmcDsl

open LmcDsl.Core.Matching

/// A search for the permutations that bring one model into another's basin.
[<RequireQualifiedAccess>]
type Search =
    /// Weight matching by coordinate descent.
    | WeightMatching of WeightMatchingOptions
    /// Activation matching on training data.
    | ActivationMatching of ActivationMatchingOptions
    /// The straight-through estimator on training data.
    | StraightThrough of StraightThroughOptions

/// Something to measure on a population.
type Metric =
    /// R, the agreement of singular vectors, for each threshold gamma; in total and for each layer.
    | SingularVectors of gammas: float list
    /// Loss and accuracy barrier on the test set along the line between two models, on this many points.
    | BarrierOnTest of points: int
    /// L2 distance over all learned parameters.
    | WeightDistance
    /// Loss and accuracy of the models themselves on the test set.
    | TestScore

/// The words of a script that are values.
[<AutoOpen>]
module Vocabulary =

    /// Weight matching (Git Re-Basin, 2209.04836) with its default options.
    let WM = Search.WeightMatching(WeightMatchingOptions())

    /// Activation matching by covariance (Li et al., 1511.07543) with its default options.
    let AM = Search.ActivationMatching(ActivationMatchingOptions())

    /// The straight-through estimator (Git Re-Basin, 2209.04836, algorithm 3) with its default options.
    let STE = Search.StraightThrough(StraightThroughOptions())

    /// R at gamma = 0 and 0.3, as 2402.04051 shows it.
    let R = SingularVectors [ 0.0; 0.3 ]

    /// The barrier on a grid of 25 lambdas.
    let Barrier = BarrierOnTest 25

    /// The L2 distance, and how much alignment lowers it.
    let L2 = WeightDistance

    /// Loss and accuracy on the test set.
    let Accuracy = TestScore
