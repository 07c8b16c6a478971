namespace LmcDsl

open LmcDsl.Core.Matching

/// Weight matching over all symmetries of a network: permutations, and rotations where nothing forbids them, as in transformers.
[<AutoOpen>]
module RotatedSearch =

    let private op =
        Search.op<RotatedMatchingOptions> "rotatedMatching" 1 2.0 (fun context options a b _ ->
            RotatedMatching.Match(a, b, options, Search.passes context))

    /// Rotated weight matching with options of its own.
    let rotatedMatching (options: RotatedMatchingOptions) : Search =
        Search.make "RotatedWM" op "match weights over all symmetries of" options |> Search.turning

    /// Weight matching over permutations of units and heads, and rotations of the residual stream and within heads. Of networks that have
    /// permutations only, weight matching.
    let RotatedWM = rotatedMatching (RotatedMatchingOptions())

/// Weight matching over all symmetries in which each token's rows count as often as the token occurs in the training examples.
[<AutoOpen>]
module TokenMatchingSearch =

    let private op =
        Search.opOnTraining<RotatedMatchingOptions> "tokenMatching" 1 2.0 (fun context options a b _ ->
            let frequencies: float array | null =
                if a.Network.Vocabulary.HasValue then
                    TokenFrequencies.Of(a.Network, Take.split context)
                else
                    null

            RotatedMatching.Match(a, b, options, Search.passes context, frequencies))

    /// The search with options of its own.
    let tokenMatching (options: RotatedMatchingOptions) : Search =
        Search.make "TokenWM" op "match weights, tokens by their frequency, of" options
        |> Search.onTraining
        |> Search.turning

    /// Rotated weight matching, each parameter counting alike, tokens by their frequency. Of networks that read
    /// no tokens, the same without data.
    let TokenWM = tokenMatching (RotatedMatchingOptions(Normalised = true))

/// Rotations of the residual stream and within heads learned on training examples, from where RotatedWM is (in the manner of 2506.22712).
[<AutoOpen>]
module LearnedRotationSearch =

    let private op =
        Search.opOnTraining<LearnedRotationOptions> "learnedRotation" 2 30.0 (fun context options a b _ ->
            LearnedRotation.Match(a, b, Take.split context, options, Search.leastLoss context))

    /// Learned rotations with options of their own.
    let learnedRotation (options: LearnedRotationOptions) : Search =
        Search.make "Learned" op "learn rotations of" options |> Search.onTraining |> Search.turning

    /// Learned rotations with their default options.
    let Learned = learnedRotation (LearnedRotationOptions())

/// Weight matching of several models over all symmetries: MergeMany with rotations, generalised Procrustes.
[<AutoOpen>]
module RotatedMergeManySearch =

    let private op version =
        JointSearch.op<RotatedMatchingOptions> "rotatedMergeMany" version 4.0 (fun options models tell ->
            RotatedMergeManyMatching.Match(models, options, tell))

    let private first = op 1
    let private second = op 2 // of two options that meant something else before

    /// The search with options of its own.
    let rotatedMergeMany (options: RotatedMatchingOptions) : JointSearch =
        let own = if options.Normalised || options.Centred then second else first

        JointSearch.make "RotatedMergeMany" own (fun n -> $"match {n} models over all symmetries") options
        |> JointSearch.turning

    /// The search with its default options.
    let RotatedMergeMany = rotatedMergeMany (RotatedMatchingOptions())
