namespace LmcDsl

open LmcDsl.Core.Matching

/// A search for the permutations that bring one model into another's basin.
[<RequireQualifiedAccess>]
type Search =
    /// Weight matching by coordinate descent.
    | WeightMatching of WeightMatchingOptions
    /// Weight matching by Sinkhorn relaxation.
    | Sinkhorn of SinkhornMatchingOptions
    /// Activation matching on training data.
    | ActivationMatching of ActivationMatchingOptions
    /// The straight-through estimator on training data.
    | StraightThrough of StraightThroughOptions
    /// The straight-through estimator over Sinkhorn logits, on training data.
    | SinkhornStraightThrough of SinkhornStraightThroughOptions
    /// A search that begins at what another one found.
    | From of start: Search * search: Search

    /// What tables call it.
    member this.Name =
        match this with
        | WeightMatching _ -> "WM"
        | Sinkhorn _ -> "Sinkhorn"
        | ActivationMatching _ -> "AM"
        | StraightThrough _ -> "STE"
        | SinkhornStraightThrough _ -> "Sinkhorn STE"
        | From(start, search) -> $"{search.Name} from {start.Name}"

/// A search for permutations of several models at once, whose maps between any two models compose without error.
[<RequireQualifiedAccess>]
type JointSearch =
    /// Each model in turn to the mean of the others, by weight matching.
    | MergeMany of MergeManyOptions
    /// All models to a shared order of units, by Frank-Wolfe.
    | Universe of UniverseMatchingOptions

    /// What tables call it.
    member this.Name =
        match this with
        | MergeMany _ -> "MergeMany"
        | Universe _ -> "Universe"

/// Something to measure on a population.
type Metric =
    /// R, the agreement of singular vectors, for each threshold gamma; in total and for each layer.
    | SingularVectors of gammas: float list
    /// Loss and accuracy barrier on the test set along the line between two models, on this many points.
    | BarrierOnTest of points: int
    /// The same on the training set.
    | BarrierOnTraining of points: int
    /// Taylor estimate of the loss barrier at the midpoint, on the test set, beside the barrier itself.
    | TaylorOnTest
    /// L2 distance over all learned parameters.
    | WeightDistance
    /// The distance of each weight from its entries, and from singular values and vectors (theorem 4.1 of 2402.04051).
    | DistanceForms
    /// How far each layer's outputs differ on so many test images, and the bound on it for a threshold gamma (theorem 4.2).
    | OutputBound of gamma: float * examples: int
    /// Loss and accuracy of the models themselves on the test set.
    | TestScore
    /// Singular values of each weight of the models as trained.
    | SingularValues
    /// How the inputs of each layer lie to the right singular vectors of its weight, on so many test images.
    | InputProjections of examples: int
    /// Scores over the plane through three models, on a grid of this many points on each side.
    | LandscapeOnTest of points: int
    /// The share of units that another search maps alike, in each group and in total.
    | AgreementWith of Search

/// The words of a script that are values.
[<AutoOpen>]
module Vocabulary =

    /// Weight matching (Git Re-Basin, 2209.04836) with its default options.
    let WM = Search.WeightMatching(WeightMatchingOptions())

    /// Weight matching by Sinkhorn relaxation (Sinkhorn re-basin, 2212.12042), the solver of 2402.04051, as it ends.
    /// `WM |> startingFrom SinkhornWM` goes on to where no single group can do better.
    let SinkhornWM = Search.Sinkhorn(SinkhornMatchingOptions())

    /// Activation matching by covariance (Li et al., 1511.07543) with its default options.
    let AM = Search.ActivationMatching(ActivationMatchingOptions())

    /// The straight-through estimator (Git Re-Basin, 2209.04836, algorithm 3) with its default options.
    let STE = Search.StraightThrough(StraightThroughOptions())

    /// The straight-through estimator over Sinkhorn logits (the loss objective of 2212.12042), which begins at the identity and
    /// never looks at the distance of weights.
    let SinkhornSTE = Search.SinkhornStraightThrough(SinkhornStraightThroughOptions())

    /// Matching of several models, each in turn to the mean of the others (Git Re-Basin, 2209.04836, algorithm 2).
    let MergeMany = JointSearch.MergeMany(MergeManyOptions())

    /// Cycle-consistent matching of several models to a shared universe (C2M3, 2405.17897), then polished by `MergeMany`.
    let Universe = JointSearch.Universe(UniverseMatchingOptions())

    /// A search that begins at what another one found: `STE |> startingFrom AM`.
    let startingFrom (start: Search) (search: Search) = Search.From(start, search)

    /// R at gamma = 0 and 0.3, as 2402.04051 shows it.
    let R = SingularVectors [ 0.0; 0.3 ]

    /// The barrier on a grid of 25 lambdas.
    let Barrier = BarrierOnTest 25

    /// The Taylor estimate of the barrier (2402.04051): what the expansion of the loss to second order says of it.
    let Taylor = TaylorOnTest

    /// The L2 distance, and how much alignment lowers it.
    let L2 = WeightDistance

    /// Loss and accuracy on the test set.
    let Accuracy = TestScore
