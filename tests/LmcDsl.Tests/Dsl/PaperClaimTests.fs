/// Every rule of the paper's claims, on made-up reports on both sides of its threshold.
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

/// Estimates and excesses that differ by these, seed by seed.
let private estimates (differences: float list) =
    [
        for k, difference in List.indexed differences do
            let labels = by "WM" mlp @ [ "seeds", string k ]
            row "taylor" ab true labels $$"""{"estimate":{{5.0 + difference}},"firstOrder":0,"secondOrder":0}"""
            barrier ab true labels 9.0 5.0
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

/// One value for each of 1 .. 5 of a label.
let private along name (make: (string * string) list -> float -> Row) (values: float list) =
    [ for k, value in List.indexed values -> make [ "network", mlp; name, string (k + 1) ] value ]

/// As many of 10 singular values above the threshold as said.
let private dominant labels (count: float) =
    [ for k in 1..10 -> if float k <= count then "10" else "1" ]
    |> String.concat ","
    |> fun s -> spectrum [ "0" ] labels $"[{s}]"

let private excess labels value = barrier ab true (labels @ [ "search", "WM" ]) 9.0 value

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

type private Case =
    {
        /// How the claim's sentence begins.
        Begins: string
        /// Reports, and what each piece of evidence of them must say.
        Reports: (Row list * bool list) list
    }

let private case begins reports = { Begins = begins; Reports = reports }

let private trend begins name make =
    case begins [
        along name make falling, [ true ]
        along name make hardly, [ false ]
        along name make [ 5.0; 4.0 ], []
    ]

let private stes make = make "STE" @ make "Sinkhorn STE"

let private cases =
    [
        case "Weight matching hardly brings" [
            drop "WM" 29.0, [ true ]
            drop "WM" 31.0, [ false ]
            drop "WM" 6.0, [ true ]
            drop "WM" 4.0, [ false ]
            drop "WM" 10.0 @ drop "Sinkhorn" 40.0, [ true; false ]
        ]
        case "Weight matching nevertheless flattens" [
            barriers "WM" 4.0 0.99, [ true ]
            barriers "WM" 4.0 1.01, [ false ]
        ]
        // t = 3 sqrt 3, p = 0.035; t = 2 sqrt 3, p = 0.074.
        case "The Taylor estimate" [
            estimates [ 2.0; 3.0; 4.0 ], [ true ]
            estimates [ -2.0; -3.0; -4.0 ], [ true ]
            estimates [ 1.0; 2.0; 3.0 ], [ false ]
        ]
        case "Singular values of independently trained" [
            // |(0, 0.49)| / 5, and 0.51.
            [ spectrum [ "0" ] (naive mlp) "[4,3]"; spectrum [ "1" ] (naive mlp) "[4,2.51]" ], [ true ]
            [ spectrum [ "0" ] (naive mlp) "[4,3]"; spectrum [ "1" ] (naive mlp) "[4,2.49]" ], [ false ]
        ]
        case "Singular vectors of independently trained" [
            [ r ab false (naive mlp) 0.09 -0.09; r ab true (by "WM" mlp) 0.5 0.5 ], [ true ]
            [ r ab false (naive mlp) 0.11 0.0 ], [ false ]
            [ r ab false (naive mlp) 0.0 -0.11 ], [ false ]
        ]
        case "Weight matching makes the dominant" [
            [ r ab true (by "WM" mlp) 0.0 0.11; r ab false (naive mlp) 0.0 0.0 ], [ true ]
            [ r ab true (by "WM" mlp) 0.9 0.09 ], [ false ]
        ]
        case "Weight matching aligns singular vectors of large" [
            [ r ab true (by "WM" mlp) 0.3 0.31; r ab false (naive mlp) 0.9 0.0 ], [ true ]
            [ r ab true (by "WM" mlp) 0.3 0.29 ], [ false ]
        ]
        case "The merged MLP keeps" [
            [ r [ "mean"; "0" ] true (by "WM" mlp) 0.0 0.81; r [ "mean"; "0" ] true (by "WM" vgg) 0.0 0.1 ], [ true ]
            [ r [ "mean"; "0" ] true (by "WM" mlp) 0.9 0.79; r ab true (by "WM" mlp) 1.0 1.0 ], [ false ]
            [ r [ "mean"; "0" ] false (naive mlp) 1.0 1.0 ], []
        ]
        case "Layer inputs lie along" [
            // 0.8 and 0.6 of the energy for 2/3 of the vectors.
            energy "[0.5,0.3,0.2]", [ true ]
            energy "[0.3,0.3,0.4]", [ false ]
        ]
        case "Theorem 4.1" [
            forms "100.0099", [ true ]
            forms "99.9901", [ true ]
            forms "100.011", [ false ]
            forms "99.989", [ false ]
        ]
        case "Theorem 4.2" [ ratio "1.0001", [ true ]; ratio "1.0002", [ false ] ]
        trend "Wider networks have a smaller share" "width" dominant
        trend "Wider networks have a lower barrier" "width" excess
        trend "Larger weight decay leaves" "weight decay" dominant
        trend "Larger weight decay gives" "weight decay" excess
        trend "A larger learning rate leaves" "learning rate" dominant
        trend "A larger learning rate gives" "learning rate" excess
        case "Activation matching gives nearly the singular-vector" [
            besideWm rBy 0.31 0.4, [ true ]
            besideWm rBy 0.49 0.4, [ true ]
            besideWm rBy 0.29 0.4, [ false ]
            besideWm rBy 0.51 0.4, [ false ]
        ]
        case "Activation matching gives nearly the distances" [
            besideWm drop 15.1 20.0, [ true ]
            besideWm drop 24.9 20.0, [ true ]
            besideWm drop 14.9 20.0, [ false ]
            besideWm drop 25.1 20.0, [ false ]
        ]
        case "The straight-through estimator reaches" [
            stes (fun s -> barriers s 4.0 0.99) @ barriers "WM" 4.0 3.0, [ true; true ]
            stes (fun s -> barriers s 4.0 1.01) @ barriers "WM" 4.0 0.0, [ false; false ]
        ]
        case "The straight-through estimator does not align" [
            stes (fun s -> rBy s 0.09) @ rBy "WM" 0.9, [ true; true ]
            stes (fun s -> rBy s 0.11) @ rBy "WM" 0.0, [ false; false ]
        ]
        case "Of three models, the straight-through" [
            let of' wm ste =
                [
                    barrier bc true (by "WM" mlp) wm 0.0
                    for s in [ "STE"; "Sinkhorn STE" ] do
                        barrier bc true (by s mlp) ste 0.0
                    // The pairs that the search saw, and ten models, are not asked about.
                    barrier ab true (by "WM" mlp) 5.0 0.0
                    barrier ab true (by "STE" mlp) 5.0 0.0
                    barrier bc true (merged "10" (by "STE" mlp)) 9.0 0.0
                    barrier bc true (merged "10" (by "WM" mlp)) 0.0 0.0
                ]

            of' 0.5 0.51, [ true; true ]
            of' 0.5 0.49, [ false; false ]
        ]
        case "The straight-through estimator leaves the singular vectors" [
            stes (fun s -> [ r bc true (by s mlp) 0.9 0.29 ]) @ [ r bc true (by "WM" mlp) 0.0 0.3 ], [ true; true ]
            stes (fun s -> [ r bc true (by s mlp) 0.0 0.31 ]) @ [ r bc true (by "WM" mlp) 0.9 0.3 ], [ false; false ]
        ]
        for begins, own, other in
            [ "The mean of three models", id, merged "10"; "The mean of ten models", merged "10", id ] do
            let of' wm ste =
                [
                    accuracy [ "mean" ] (own (by "WM" mlp)) wm
                    for s in [ "STE"; "Sinkhorn STE" ] do
                        accuracy [ "mean" ] (own (by s mlp)) ste
                    // The models' own, and means of another number, are not asked about.
                    accuracy [ "0" ] (own (by "WM" mlp)) 0.9
                    accuracy [ "mean" ] (other (by "WM" mlp)) (2.0 * 0.5 - wm)
                    accuracy [ "mean" ] (other (by "STE" mlp)) (2.0 * 0.5 - ste)
                ]

            case begins [ of' 0.5 0.49, [ true; true ]; of' 0.5 0.51, [ false; false ] ]
        case "After weight matching three models lie" [
            landscape 0.881, [ true ]
            landscape 0.879, [ false ]
            landscape 0.95, [ true ]
        ]
    ]

let tests =
    testList "PaperClaims" [
        for case in cases do
            test $"by its rule: {case.Begins} ..." {
                let claim = Claims.all |> List.filter (fun c -> c.Sentence.StartsWith case.Begins) |> List.exactlyOne

                for k, (rows, expected) in List.indexed case.Reports do
                    let found = claim.Judge { Rows = rows }
                    Expect.equal (found |> List.map _.Holds) expected $"report {k}: {found}"
            }

        test "no claim is without such reports" {
            for claim in Claims.all do
                Expect.isTrue (cases |> List.exists (fun case -> claim.Sentence.StartsWith case.Begins)) claim.Sentence
        }
    ]
