namespace LmcDsl.Beyond

open LmcDsl
open LmcDsl.Beyond.Sentence

/// Whether the paper's mechanism holds in transformers, and what rotations do there, as sentences that measurements decide by rule.
[<RequireQualifiedAccess>]
module LanguageClaims =

    let private alike = "rotations, each weight alike"

    // The share of the naive barrier that a search leaves, pair by pair.
    let private left: Quantity =
        { Quantity.lossBarrier with
            Of =
                fun s ->
                    match Quantity.lossBarrier.Of s, Quantity.naiveBarrier.Of s with
                    | Some after, Some before when before > 0.0 -> Some(after / before)
                    | _ -> None
        }

    let private keysOf (keys: string list) (report: Report) =
        Subject.ofReport report
        |> List.filter (fun s -> s.Models.Length = 2 && s.Aligned)
        |> List.map (fun s -> keys |> List.map s.Key)
        |> List.distinct

    // In each group of subjects, a search's number less a share of another's.
    let private lessIn keys search share other quantity words range report =
        [
            for group in keysOf keys report do
                let within (s: Subject) = keys |> List.map s.Key = group

                yield!
                    less within search share other quantity report |> evidence range (String.concat ", " group) words 3
        ]

    // The rank correlation of two quantities over groups of subjects, pairs averaged.
    let private correlation keys (searches: string list) (one: Quantity) (other: Quantity) range (report: Report) =
        [
            for _, own in
                Subject.ofReport report
                |> List.filter (fun s -> s.Models.Length = 2 && s.Aligned && List.contains (s.Key "search") searches)
                |> List.groupBy (fun s -> keys |> List.map s.Key) do
                match mean one own, mean other own with
                | Some x, Some y -> x, y
                | _ -> ()
        ]
        |> ranked range "networks and searches"

    let private attention =
        let parts = [ "positions"; "heads"; "norm" ]

        [
            claim
                "attention"
                "barrier-by-positions"
                "Weight matching over all symmetries leaves a lower barrier between language models than over permutations alone, whatever their attention and positions."
                "The barrier after rotations in which each weight counts alike, less that after permutations, is below 0 nats."
                (lessIn
                    parts
                    alike
                    1.0
                    "permutations"
                    Quantity.lossBarrier
                    "barrier less permutations' (nats)"
                    (Bounds.below 0.0))
            claim
                "attention"
                "r-by-positions"
                "Among searches without data, the better dominant singular vectors are aligned the lower is the barrier, as the paper says of classifiers."
                "Over networks and searches without data, the rank correlation of R at γ = 0.3 with the share of the naive barrier that is left is at most -0.8."
                (correlation
                    (parts @ [ "search" ])
                    (List.map fst Language.withoutData)
                    (Quantity.r 0.3)
                    left
                    (Bounds.atMost -0.8))
            claim
                "attention"
                "barrier-by-positions"
                "Rotations that are learned on the loss leave a lower barrier than those by weights."
                "The barrier after learned rotations less that after those in which each weight counts alike is below 0 nats."
                (lessIn
                    parts
                    "learned"
                    1.0
                    alike
                    Quantity.lossBarrier
                    "barrier less matching's (nats)"
                    (Bounds.below 0.0))
            claim
                "attention"
                "r-by-positions"
                "Rotations that are learned on the loss align dominant singular vectors less than those by weights."
                "R at γ = 0.3 after learned rotations less that after those in which each weight counts alike is below 0."
                (lessIn parts "learned" 1.0 alike (Quantity.r 0.3) "R less matching's" (Bounds.below 0.0))
            claim
                "attention"
                "r-by-positions"
                "The straight-through estimator does not align dominant singular vectors of language models, as the paper says of classifiers."
                "R at γ = 0.3 after it is below half of that after weight matching over permutations."
                (lessIn
                    parts
                    "straight-through"
                    0.5
                    "permutations"
                    (Quantity.r 0.3)
                    "R less half of matching's"
                    (Bounds.below 0.0))
        ]

    let private means =
        let isMean (s: Subject) = s.Models = [ "mean" ]
        let merged (n: int) (s: Subject) = isMean s && s.Key "models merged" = string n
        let unseen (s: Subject) = s.Models.Length = 2

        let lower figure sentence rule keep search other quantity words range =
            claim
                "languageMeans"
                figure
                sentence
                rule
                (less keep search 1.0 other quantity >> evidence range search words 3)

        [
            lower
                "mean-of-n"
                "The mean of six language models brought together by rotations is better than by permutations."
                "The loss of the mean of six, each weight counting alike, less that by permutations, is below 0 nats."
                (merged 6)
                alike
                "permutations"
                Quantity.loss
                "loss less permutations' (nats)"
                (Bounds.below 0.0)
            lower
                "mean-of-n"
                "Matching six language models together beats matching each to the first."
                "The loss of the mean of six by RotatedMergeMany less that by rotations is below 0 nats."
                (merged 6)
                "RotatedMergeMany"
                "rotations"
                Quantity.loss
                "loss less pairwise matching's (nats)"
                (Bounds.below 0.0)
            lower
                "unseen"
                "Between language models that no search saw as a pair the straight-through estimator leaves a higher barrier than weight matching, as the paper says of classifiers."
                "The barrier of unseen pairs after it, less that after weight matching over permutations, is above 0 nats."
                unseen
                "straight-through"
                "permutations"
                Quantity.lossBarrier
                "barrier less weight matching's (nats)"
                (Bounds.above 0.0)
            claim
                "languageMeans"
                "mean-of-n"
                "The mean of six aligned language models is as good as they are."
                "Its loss is at most 0.1 nats above the mean of its models', by search."
                (fun report ->
                    let subjects = Subject.ofReport report
                    let models = subjects |> List.filter (fun s -> s.Models.Length = 1 && not (isMean s))

                    match mean Quantity.loss models with
                    | None -> []
                    | Some own ->
                        [
                            for search, rows in
                                subjects
                                |> List.filter (fun s -> s.Aligned && merged 6 s)
                                |> List.groupBy _.Key("search") do
                                yield!
                                    Judge.byMeasurement Quantity.loss rows
                                    |> Map.values
                                    |> Seq.map (fun loss -> loss - own)
                                    |> List.ofSeq
                                    |> evidence (Bounds.atMost 0.1) search "loss less the models' (nats)" 3
                        ])
        ]

    let private vision =
        [
            claim
                "vision"
                "barrier-by-norm"
                "Rotations lower the barrier of vision transformers below what permutations leave."
                "The barrier after rotations in which each weight counts alike, less that after permutations, is below 0 nats."
                (lessIn
                    [ "norm" ]
                    alike
                    1.0
                    "permutations"
                    Quantity.lossBarrier
                    "barrier less permutations' (nats)"
                    (Bounds.below 0.0))
            claim
                "vision"
                "barrier-by-norm"
                "With norms on the residual stream itself, as BERT has them, a larger share of the barrier is left than with norms before each part."
                "The share of the naive barrier that rotations leave, of norms after less of layer norms before, is above 0."
                (fun report ->
                    let shares norm =
                        Subject.ofReport report
                        |> List.filter (fun s -> s.Aligned && by alike s && s.Key "norm" = norm)
                        |> List.groupBy _.Key("seeds")
                        |> List.choose (fun (seeds, own) -> mean left own |> Option.map (fun share -> seeds, share))
                        |> Map

                    let before = shares "layer norm before"

                    [
                        for KeyValue(seeds, after) in shares "layer norm after" do
                            match before.TryFind seeds with
                            | Some share -> after - share
                            | None -> ()
                    ]
                    |> evidence (Bounds.above 0.0) "norms after" "share left less that of norms before" 3)
        ]

    let private published =
        let shareLeft search =
            Subject.ofReport
            >> List.filter (fun s -> s.Aligned && by search s)
            >> Judge.byMeasurement left
            >> Map.values
            >> List.ofSeq

        [
            claim
                "publishedRow"
                "published-row"
                "Without data and within the architecture, matching over all symmetries leaves less of GPT-2's barrier than the published weight matching."
                "The share of the naive barrier that is left is below 0.17, which 2506.22712 reports (0.34 of 2.02 nats)."
                (fun report ->
                    [
                        for search in [ "rotations"; alike ] do
                            yield!
                                shareLeft search report
                                |> evidence (Bounds.below 0.17) search "share of the naive barrier" 3
                    ])
            claim
                "publishedRow"
                "published-row"
                "Learned rotations leave as little as published: 0.02 of 2.02 nats."
                "The share of the naive barrier that is left is at most 0.01."
                (shareLeft "learned" >> evidence (Bounds.atMost 0.01) "learned" "share of the naive barrier" 3)
        ]

    /// All of them, in the order of the experiments.
    let all: Claim list = attention @ means @ vision @ published
