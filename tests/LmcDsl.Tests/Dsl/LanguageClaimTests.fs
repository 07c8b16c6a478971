/// Every rule of the claims on transformers, on made-up reports on both sides of its threshold.
module LmcDsl.Tests.Dsl.LanguageClaimTests

open Expecto
open LmcDsl

open LmcDsl.Paper
open LmcDsl.Tests.Dsl.BeyondClaimTests

let private alike = "rotations, each weight alike"

let private attention search seeds =
    [
        "positions", "rotary"
        "heads", "multi-head"
        "norm", "RMS norm"
        "seeds", seeds
        "search", search
    ]

let private naive labels = labels |> List.filter (fun (name, _) -> name <> "search")

/// Barriers and R of searches on one network, before a naive barrier of 1.
let private network labels (searches: (string * float * float) list) =
    twice (fun seeds ->
        [
            for search, left, aligned in searches do
                let labels = labels search seeds
                barrier false (naive labels) 1.0 1.0
                barrier true labels left left
                r ab true labels aligned
        ])

let private left search (value: float) other (another: float) =
    network attention [ search, value, 0.1; other, another, 0.1 ]

let private aligned search (value: float) other (another: float) =
    network attention [ search, 0.5, value; other, 0.5, another ]

/// Five networks with R and barriers by weight matching.
let private five (values: (float * float) list) =
    [
        for k, (aligned, left) in List.indexed values do
            yield!
                network
                    (fun search seeds ->
                        [ "positions", string k; "heads", "h"; "norm", "n"; "seeds", seeds; "search", search ])
                    [ "permutations", left, aligned ]
    ]

let private loss models labels aligned (value: float) =
    row "score" models aligned labels $$"""{"loss":{{value}},"accuracy":0}"""

/// The losses of means of six by searches, of models whose own is 2.
let private means (searches: (string * float) list) =
    twice (fun seeds ->
        [
            for search, value in searches do
                let labels = [ "models merged", "6"; "seeds", seeds ]
                loss [ "0" ] labels false 2.0
                loss [ "mean" ] (labels @ [ "search", search ]) true value
                // Means of fewer say nothing of six.
                loss [ "mean" ] [ "models merged", "2"; "seeds", seeds; "search", search ] true 1.0
        ])

let private unseen (searches: (string * float) list) =
    twice (fun seeds ->
        [ for search, value in searches -> barrier true [ "seeds", seeds; "search", search ] value value ])

let private vision (norms: (string * float) list) =
    twice (fun seeds ->
        [
            for norm, left in norms do
                let labels = [ "norm", norm; "seeds", seeds; "search", alike ]
                barrier false (naive labels) 2.0 2.0
                barrier true labels (2.0 * left) left
        ])

let private byNorm search (value: float) other (another: float) =
    network (fun search seeds -> [ "norm", "after"; "seeds", seeds; "search", search ]) [
        search, value, 0.0
        other, another, 0.0
    ]

let private published search (share: float) =
    twice (fun seeds ->
        let labels = [ "network", "GPT-2"; "seeds", seeds; "search", search ]
        [ barrier false (naive labels) 2.0 2.0; barrier true labels (2.0 * share) share ])

let tests =
    testList "Language claims" [
        test "attention" {
            judges [ "over all symmetries leaves a lower barrier between language models" ] [
                left alike 0.4 "permutations" 0.5, "y"
                left alike 0.5 "permutations" 0.5, "n"
                left "rotations" 0.4 "permutations" 0.5, ""
            ]

            judges [ "the better dominant singular vectors are aligned the lower" ] [
                five [ 0.1, 0.9; 0.2, 0.8; 0.3, 0.7; 0.4, 0.6; 0.5, 0.5; 0.6, 0.4 ], "y"
                five [ 0.1, 0.4; 0.2, 0.5; 0.3, 0.6; 0.4, 0.7; 0.5, 0.8; 0.6, 0.9 ], "n"
                five (loosely |> List.map (fun (x, y) -> x / 200.0, 0.9 - y / 250.0)), "n"
                five [ 0.1, 0.9; 0.2, 0.8 ], ""
            ]

            judges [ "learned on the loss leave a lower barrier" ] [
                left "learned" 0.4 alike 0.5, "y"
                left "learned" 0.6 alike 0.5, "n"
            ]

            judges [ "learned on the loss align dominant singular vectors less" ] [
                aligned "learned" 0.2 alike 0.3, "y"
                aligned "learned" 0.3 alike 0.3, "n"
            ]

            judges [ "does not align dominant singular vectors of language models" ] [
                aligned "straight-through" 0.04 "permutations" 0.1, "y"
                aligned "straight-through" 0.06 "permutations" 0.1, "n"
            ]
        }

        test "means of several" {
            judges [ "brought together by rotations is better than by permutations" ] [
                means [ alike, 2.4; "permutations", 2.5 ], "y"
                means [ alike, 2.5; "permutations", 2.5 ], "n"
            ]

            judges [ "Matching six language models together" ] [
                means [ "RotatedMergeMany", 2.4; "rotations", 2.5 ], "y"
                means [ "RotatedMergeMany", 2.6; "rotations", 2.5 ], "n"
            ]

            judges [ "no search saw as a pair the straight-through" ] [
                unseen [ "straight-through", 1.1; "permutations", 1.0 ], "y"
                unseen [ "straight-through", 1.0; "permutations", 1.0 ], "n"
            ]

            judges [ "mean of six aligned language models is as good" ] [
                means [ "permutations", 2.05 ], "y"
                means [ "permutations", 2.2 ], "n"
            ]
        }

        test "norms on images" {
            judges [ "barrier of vision transformers below what permutations" ] [
                byNorm alike 0.4 "permutations" 0.5, "y"
                byNorm alike 0.6 "permutations" 0.5, "n"
            ]

            judges [ "as BERT has them" ] [
                vision [ "layer norm after", 0.6; "layer norm before", 0.5 ], "y"
                vision [ "layer norm after", 0.5; "layer norm before", 0.5 ], "n"
            ]
        }

        test "what was published of a network is not judged by a smaller one" {
            let finding size =
                LmcDsl.Beyond.Claims.at size
                |> List.find _.Sentence.Contains("less of GPT-2's barrier than the published")
                |> fun claim -> claim.Judge { Rows = published alike 0.16 } |> List.map _.Finding

            for found in finding Smoke do
                match found with
                | Undecided takes -> Expect.stringContains takes "--scale laptop" "what it takes"
                | other -> failtest $"{other}"

            Expect.isFalse (finding Laptop |> List.exists _.IsUndecided) "else it is"
        }

        test "the published row" {
            judges [ "less of GPT-2's barrier than the published" ] [
                published alike 0.16, "y"
                published "rotations" 0.2, "n"
            ]

            judges [ "as little as published" ] [ published "learned" 0.009, "y"; published "learned" 0.05, "n" ]
        }
    ]
