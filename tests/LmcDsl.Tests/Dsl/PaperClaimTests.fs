/// Every rule of the paper's claims, on made-up reports on both sides of its threshold, and on some that cannot decide it.
module LmcDsl.Tests.Dsl.PaperClaimTests

open Expecto
open LmcDsl
open LmcDsl.Paper

let private mlp = "MLP / MNIST"
let private vgg = "VGG11 / CIFAR-10"

let private row measure models aligned labels (value: string) =
    {
        Measure = measure
        Models = models
        Aligned = aligned
        Labels = labels
        Value = Json.parse value
    }

let private ab = [ "0"; "1" ]
let private bc = [ "1"; "2" ]
let private naive network = [ "network", network ]
let private by search network = [ "network", network; "search", search ]

let private l2 models aligned labels value = row "distance" models aligned labels $$"""{"l2":{{value}}}"""

let private barrier models aligned labels (loss: float) (midpoint: float) =
    row
        "barrier"
        models
        aligned
        labels
        $$"""{"loss":{{loss}},"accuracy":0,"midpointLoss":{{midpoint}},"midpointAccuracy":0,"curve":[{"lambda":0.5,"loss":1,"accuracy":0.5}]}"""

let private r models aligned labels (all: float) (dominant: float) =
    row
        "singularVectors"
        models
        aligned
        labels
        $$"""{"thresholds":[{"gamma":0,"r":{{all}},"layers":[]},{"gamma":0.3,"r":{{dominant}},"layers":[]}]}"""

let private accuracy models labels (value: float) =
    row "score" models true labels $$"""{"loss":1,"accuracy":{{value}}}"""

let private spectrum models labels (values: string) =
    row "singularValues" models false labels $$"""{"layers":[{"name":"fc1.weight","values":{{values}}}]}"""

/// Distances before and after a search, for the drop in per cent.
let private drop search (percent: float) =
    [ l2 ab false (naive mlp) "100"; l2 ab true (by search mlp) (string (100.0 - percent)) ]

let private barriers search before after =
    [ barrier ab false (naive mlp) before before; barrier ab true (by search mlp) after after ]

let private estimate (estimate: float) (excess: float) =
    let labels = by "Sinkhorn" mlp

    [
        row "taylor" ab true labels $$"""{"estimate":{{estimate}},"firstOrder":0,"secondOrder":0}"""
        barrier ab true labels 9.0 excess
    ]

let private energy shares =
    [
        row
            "inputProjections"
            [ "0" ]
            false
            (naive mlp)
            $$"""{"layers":[{"name":"fc1.weight","values":[10,5,1],"shares":{{shares}}}]}"""
    ]

let private landscape (mean: float) =
    [
        row
            "landscape"
            [ "0"; "1"; "2" ]
            true
            (by "WM" mlp)
            $$"""{"models":[{"x":0,"y":0},{"x":3,"y":0},{"x":0,"y":3}],"x":[0,1,3],"y":[0,1,3],
                "loss":[[1,1,1],[1,1,1],[1,1,1]],"accuracy":[[0.9,0.1,0.9],[0.1,{{mean}},0.1],[0.9,0.1,0.1]]}"""
    ]

/// One value for each of 1, 2, .. of a label.
let private along name (make: (string * string) list -> float -> Row) (values: float list) =
    [ for k, value in List.indexed values -> make [ "network", mlp; name, string (k + 1) ] value ]

/// As many of 10 singular values above the threshold as said.
let private dominant labels (count: float) =
    [ for k in 1..10 -> if float k <= count then "10" else "1" ]
    |> String.concat ","
    |> fun s -> spectrum [ "0" ] labels $"[{s}]"

let private excessWith loss labels value = barrier ab true (labels @ [ "search", "WM" ]) loss value

// Rank correlations with 1 .. 5: -0.9, and -0.7.
let private falling, hardly = [ 5.0; 4.0; 3.0; 1.0; 2.0 ], [ 5.0; 3.0; 2.0; 4.0; 1.0 ]

let private forms (spectral: string) =
    [
        row
            "distanceForms"
            ab
            false
            (naive mlp)
            $$"""{"layers":[{"name":"fc1.weight","direct":100,"spectral":100},{"name":"fc2.weight","direct":100,"spectral":{{spectral}}}]}"""
    ]

let private ratio (largest: string) =
    [
        row
            "outputBound"
            ab
            false
            (naive mlp)
            $$"""{"layers":[{"name":"fc1","measured":1,"bound":2,"dominantPart":1,"largestRatio":0.5},{"name":"fc2","measured":1,"bound":2,"dominantPart":1,"largestRatio":{{largest}}}]}"""
    ]

/// R or a drop by another search, beside that of weight matching.
let private besideWm make own reference = make "AM" own @ make "WM" reference
let private rBy search value = [ r ab true (by search mlp) 0.0 value ]

/// What rows that a rule must pass over would say.
let private merged n labels = labels @ [ "models merged", n ]

/// What evidence says, in a letter: as claimed, not, undecided, shown beside.
let private letter (e: Evidence) =
    match e.Finding with
    | AsClaimed -> 'y'
    | NotAsClaimed -> 'n'
    | Undecided _ -> '?'
    | Beside -> '-'

/// The same rows of two pairs of models.
let private twice (rows: Row list) =
    [
        for seeds in [ "0, 1"; "2, 3" ] do
            for row in rows -> { row with Labels = row.Labels @ [ "seeds", seeds ] }
    ]

/// Rows of one pair of models, and others of another.
let private apart (one: Row list) (other: Row list) =
    [
        for seeds, rows in [ "0, 1", one; "2, 3", other ] do
            for row in rows -> { row with Labels = row.Labels @ [ "seeds", seeds ] }
    ]

type private Case =
    {
        /// How the claim's sentence begins.
        Begins: string
        /// Reports, and what each piece of evidence of them must say.
        Reports: (Row list * string) list
    }

let private case begins reports = { Begins = begins; Reports = reports }

/// A threshold: a report on its good side, one on its bad side, each of two pairs alike; across it, and of one pair, nothing is decided.
let private sides good bad = [ twice good, "y"; twice bad, "n"; apart good bad, "?"; good, "?" ]

let private rising = [ 1.0; 2.0; 3.0; 4.0; 5.0 ]

let private trend begins name make =
    case begins [
        twice (along name make falling), "y"
        twice (along name make hardly), "n"
        twice (along name make rising), "n"
        apart (along name make falling) (along name make rising), "?"
        along name make falling, "?"
        // Four values are no trend, and one is nothing.
        twice (along name make [ 5.0; 4.0; 3.0; 2.0 ]), "?"
        twice (along name make [ 5.0 ]), ""
    ]

/// A trend of the barrier: without one there is nothing to lower.
let private barrierTrend begins name =
    let cases = trend begins name (excessWith 0.03)

    { cases with
        Reports =
            cases.Reports
            @ [
                twice (along name (excessWith 0.01) falling), "?"
                twice (along name (excessWith 0.01) rising), "?"
            ]
    }

let private variants =
    [
        "STE", "The straight-through estimator with a free copy"
        "Sinkhorn STE", "The straight-through estimator over Sinkhorn logits"
    ]

let private other search = if search = "STE" then "Sinkhorn STE" else "STE"

/// What weight matching leaves of a barrier of 4 between a and b.
let private seen network search after =
    [ barrier ab false (naive network) 4.0 4.0; barrier ab true (by search network) after after ]

/// A comparison of a straight-through search with weight matching that asks for a line that weight matching flattens.
let private compared begins (make: string -> string -> float -> Row list) search good bad =
    let of' network wm value = make "WM" network wm @ make search network value
    let flat = seen mlp "WM" 0.5

    case begins [
        for report, letter in sides (of' mlp 0.5 good) (of' mlp 0.5 bad) do
            report @ twice flat, letter
        // Weight matching's own barrier: a quarter of the naive one or more, across that, and not measured.
        twice (of' mlp 0.5 good @ seen mlp "WM" 1.01), "?"
        twice (of' mlp 0.5 good) @ apart (seen mlp "WM" 0.5) (seen mlp "WM" 1.5), "?"
        twice (of' mlp 0.5 good), "?"
        twice (of' mlp 0.5 good @ seen vgg "WM" 0.5), "?"
        // The line between a and c is not asked about.
        twice (
            of' mlp 0.5 good
            @ flat
            @ [ barrier [ "0"; "2" ] false (naive mlp) 4.0 4.0; barrier [ "0"; "2" ] true (by "WM" mlp) 4.0 4.0 ]
        ),
        "y"
        // The paper's solver is the one that is judged, and asked about, where it was measured.
        twice (of' vgg 0.1 bad @ make "Sinkhorn" vgg 0.5 @ seen vgg "WM" 4.0 @ seen vgg "Sinkhorn" 0.5), "n-"
        twice (of' vgg 0.9 good @ make "Sinkhorn" vgg 0.5 @ seen vgg "WM" 4.0 @ seen vgg "Sinkhorn" 0.5), "y-"
        twice (of' vgg 0.5 good @ make "Sinkhorn" vgg 0.5 @ seen vgg "WM" 0.5 @ seen vgg "Sinkhorn" 4.0), "?-"
        // The other straight-through search is not asked about.
        twice (make "WM" mlp 0.5 @ make (other search) mlp good @ flat), ""
    ]

let private cases =
    [
        case "Weight matching hardly brings" [
            yield! sides (drop "Sinkhorn" 29.0) (drop "Sinkhorn" 31.0)
            yield! sides (drop "Sinkhorn" 6.0) (drop "Sinkhorn" 4.0)
            twice (drop "Sinkhorn" 10.0 @ drop "WM" 40.0), "y-"
            twice (drop "WM" 10.0), "-"
        ]
        case "Weight matching nevertheless flattens" [
            yield! sides (barriers "Sinkhorn" 4.0 0.99) (barriers "Sinkhorn" 4.0 1.01)
            twice (barriers "Sinkhorn" 4.0 0.99 @ barriers "WM" 4.0 3.0), "y-"
            // Of a narrow convolutional network a barrier that stays says nothing, one that falls does.
            twice (seen vgg "Sinkhorn" 1.01), "?"
            twice (seen vgg "Sinkhorn" 0.99), "y"
        ]
        case "The Taylor estimate" [
            // Off by 5.1 and 4.9, where half of the larger is 5.
            yield! sides (estimate 10.0 4.9) (estimate 10.0 5.1)
            yield! sides (estimate 4.9 10.0) (estimate 5.1 10.0)
            twice (estimate 1.0 -1.0), "y"
        ]
        case "Singular values of independently trained" [
            // |(0, 0.49)| / 5, and 0.51; models 0, 1 and 2 are three pairs.
            let of' third =
                [
                    for k, values in [ "0", "[4,3]"; "1", third ] do
                        spectrum [ k ] (naive mlp) values
                ]

            twice (of' "[4,2.51]"), "y"
            twice (of' "[4,2.49]"), "n"
            apart (of' "[4,2.51]") (of' "[4,2.4]"), "?"
        ]
        case "Singular vectors of independently trained" [
            let of' all dominant = [ r ab false (naive mlp) all dominant; r ab true (by "WM" mlp) 0.5 0.5 ]
            yield! sides (of' 0.09 -0.09) (of' 0.11 0.0)
            twice (of' 0.0 -0.11), "n"
            twice (of' -0.11 0.0), "n"
        ]
        case "Weight matching makes the dominant" [
            let of' value = [ r ab true (by "WM" mlp) 0.9 value; r ab false (naive mlp) 0.0 0.0 ]
            yield! sides (of' 0.11) (of' 0.09)
            // Searches of other seeds on one pair are one measurement.
            [
                for seed in [ "0"; "1"; "2" ] do
                    r ab true (by "WM" mlp @ [ "seed of the search", seed; "seeds", "0, 1" ]) 0.0 0.5
            ],
            "?"
        ]
        case "Weight matching aligns singular vectors of large" [
            let of' dominant = [ r ab true (by "WM" mlp) 0.3 dominant; r ab false (naive mlp) 0.9 0.0 ]
            yield! sides (of' 0.31) (of' 0.29)
        ]
        case "The merged MLP keeps" [
            let of' value =
                [
                    for parent in [ "0"; "1" ] do
                        r [ "mean"; parent ] true (by "WM" mlp) 0.9 value
                        r [ "mean"; parent ] true (by "WM" vgg) 0.0 0.1
                        r [ "mean"; parent ] false (naive mlp) 1.0 1.0
                    r ab true (by "WM" mlp) 1.0 1.0
                ]

            yield! sides (of' 0.81) (of' 0.79)
        ]
        case "Layer inputs lie along" [
            // 0.8 and 0.6 of the energy for 2/3 of the vectors.
            yield! sides (energy "[0.5,0.3,0.2]") (energy "[0.3,0.3,0.4]")
        ]
        trend "Wider networks have a smaller share" "width" dominant
        barrierTrend "Wider networks have a lower barrier" "width"
        trend "Larger weight decay leaves" "weight decay" dominant
        barrierTrend "Larger weight decay gives" "weight decay"
        trend "A larger learning rate leaves" "learning rate" dominant
        barrierTrend "A larger learning rate gives" "learning rate"
        case "Activation matching gives nearly the singular-vector" [
            yield! sides (besideWm rBy 0.31 0.4) (besideWm rBy 0.29 0.4)
            yield! sides (besideWm rBy 0.49 0.4) (besideWm rBy 0.51 0.4)
        ]
        case "Activation matching gives nearly the distances" [
            yield! sides (besideWm drop 15.1 20.0) (besideWm drop 14.9 20.0)
            yield! sides (besideWm drop 24.9 20.0) (besideWm drop 25.1 20.0)
        ]
        for search, name in variants do
            case $"{name}|reaches" [
                yield! sides (barriers search 4.0 0.99) (barriers search 4.0 1.01)
                twice (barriers search 4.0 0.99 @ barriers "WM" 4.0 3.0 @ barriers (other search) 4.0 3.0), "y"
                twice (seen vgg search 1.01), "?"
            ]

            case $"{name}|does not align" [
                yield! sides (rBy search 0.09) (rBy search 0.11)
                twice (rBy search 0.09 @ rBy "WM" 0.9 @ rBy (other search) 0.9), "y"
            ]

            let pairBC s network value = [ barrier bc true (by s network) 0.7 value ]
            compared $"{name}|higher barrier between b and c" pairBC search 0.51 0.49

            case $"{name}|leaves the singular vectors" [
                let of' own = [ r bc true (by search mlp) 0.9 own; r bc true (by "WM" mlp) 0.0 0.3 ]
                yield! sides (of' 0.29) (of' 0.31)
            ]

            for words, own, others in [ "mean of three", id, merged "10"; "mean of ten", merged "10", id ] do
                let means s network value =
                    [
                        accuracy [ "mean" ] (own (by s network)) value
                        // The models' own, and means of another number, are not asked about.
                        accuracy [ "0" ] (own (by s network)) 0.9
                        accuracy [ "mean" ] (others (by s network)) (1.0 - value)
                    ]

                compared $"{name}|{words}" means search 0.49 0.51
        case "After weight matching three models lie" [
            yield! sides (landscape 0.881) (landscape 0.879)
            twice (landscape 0.95), "y"
        ]
        case "Theorem 4.1" [ forms "100.0099", "y"; forms "99.9901", "y"; forms "100.011", "n"; forms "99.989", "n" ]
        case "Theorem 4.2" [ ratio "1.0001", "y"; ratio "1.0002", "n" ]
    ]

// A claim is told by what its sentence holds: a name without its first letter, whose case differs, and words.
let private isOf (case: Case) (claim: Claim) =
    case.Begins.Split '|' |> Array.forall (fun part -> claim.Sentence.Contains(part.Substring 1))

let tests =
    testList "PaperClaims" [
        for case in cases do
            test $"by its rule: {case.Begins} ..." {
                let claim = Claims.all |> List.filter (isOf case) |> List.exactlyOne

                for k, (rows, expected) in List.indexed case.Reports do
                    let found = claim.Judge { Rows = rows }

                    Expect.equal
                        (found |> List.map letter |> List.toArray |> System.String)
                        expected
                        $"report {k}: {found}"
            }

        test "no claim is without such reports" {
            for claim in Claims.all do
                Expect.isTrue (cases |> List.exists (fun case -> isOf case claim)) claim.Sentence
        }

        test "theorems are checks of the code, and nothing else is" {
            let checks = Claims.all |> List.filter (fun claim -> claim.Kind = OfCode)
            Expect.all checks (fun claim -> claim.Sentence.StartsWith "Theorem") "theorems"
            Expect.hasLength checks 2 "both"
        }

        test "at the smallest scale nothing is decided but theorems" {
            let judged rows sentence =
                Claims.at Smoke
                |> List.filter (fun claim -> claim.Sentence.StartsWith(sentence: string))
                |> List.exactlyOne
                |> fun claim -> claim.Judge { Rows = rows } |> List.map letter

            Expect.equal (judged (twice (drop "Sinkhorn" 10.0)) "Weight matching hardly") [ '?' ] "a finding"
            Expect.equal (judged (ratio "1.0001") "Theorem 4.2") [ 'y' ] "a theorem"
            Expect.equal (Claims.at Laptop |> List.map _.Sentence) (Claims.all |> List.map _.Sentence) "else all"
        }
    ]
