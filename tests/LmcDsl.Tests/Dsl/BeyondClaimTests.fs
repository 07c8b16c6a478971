/// Every rule of the claims beyond the paper, on made-up reports on both sides of its threshold.
module LmcDsl.Tests.Dsl.BeyondClaimTests

open Expecto
open LmcDsl
open LmcDsl.Beyond

/// A row of a report.
let row measure models aligned labels (value: string) =
    {
        Measure = measure
        Models = models
        Aligned = aligned
        Labels = labels
        Value = Json.parse value
    }

/// A pair of models.
let ab = [ "0"; "1" ]

/// A loss barrier and the excess halfway; the curve has this second derivative there.
let private barrierOf measure aligned labels (loss: float) (midpoint: float) (curvature: float) =
    let side = 1.0 + curvature / 32.0

    row
        measure
        ab
        aligned
        labels
        $$"""{"loss":{{loss}},"accuracy":0,"midpointLoss":{{midpoint}},"midpointAccuracy":0,
            "curve":[{"lambda":0.25,"loss":{{side}},"accuracy":0.5},{"lambda":0.5,"loss":1,"accuracy":0.5},{"lambda":0.75,"loss":{{side}},"accuracy":0.5}]}"""

/// The same where the line is straight.
let barrier aligned labels loss midpoint = barrierOf "barrier" aligned labels loss midpoint 0.0

/// R of dominant singular vectors.
let r models aligned labels (value: float) =
    row
        "singularVectors"
        models
        aligned
        labels
        $$"""{"thresholds":[{"gamma":0,"r":0,"layers":[]},{"gamma":0.3,"r":{{value}},"layers":[]}]}"""

let private score models aligned labels (percent: float) =
    row "score" models aligned labels $$"""{"loss":1,"accuracy":{{percent / 100.0}}}"""

let private distance aligned labels (value: float) = row "distance" ab aligned labels $$"""{"l2":{{value}}}"""

let private letters (claim: Claim) rows =
    claim.Judge { Rows = rows }
    |> List.map (fun e ->
        match e.Finding with
        | AsClaimed -> 'y'
        | NotAsClaimed -> 'n'
        | Undecided _ -> '?'
        | Beside -> '-')
    |> List.toArray
    |> System.String

/// A hundred points whose rank correlation is 0.68, in resamples 0.55 to 0.78: above 0.5, and below 0.8.
let loosely: (float * float) list = [ for k in 0..99 -> float k, float k + 105.0 * float (37 * k % 100) / 100.0 ]

let private claim (parts: string list) =
    Claims.all
    |> List.filter (fun c -> parts |> List.forall (fun (part: string) -> c.Sentence.Contains part))
    |> List.exactlyOne

/// Two pairs of models, alike but for their seeds.
let twice (make: string -> Row list) = [ "0, 1"; "2, 3" ] |> List.collect make

/// Expects a claim's judgements of reports: y as claimed, n not, ? not decided.
let judges (parts: string list) (cases: (Row list * string) list) =
    let found = claim parts

    for k, (rows, expected) in List.indexed cases do
        Expect.equal (letters found rows) expected $"{found.Sentence}, report {k}: {found.Judge { Rows = rows }}"

let private variants =
    [
        "STE", "straight-through estimator with a free copy"
        "Sinkhorn STE", "straight-through estimator over Sinkhorn logits"
    ]

/// One training set-up's rows by a search: excess by its own and by borrowed permutations, R, before a naive barrier of 1.
let private cell seeds rate search own borrowed (value: float) =
    let labels found =
        [
            "network", "MLP"
            "optimiser", "Adam"
            "learning rate", rate
            "batch size", "100"
            "weight decay", "0"
            "found on", found
            "seeds", seeds
        ]

    [
        for found, excess in [ "itself", own; "the first", borrowed ] do
            barrier false (labels found) 1.0 1.0
            barrier true (labels found @ [ "search", search ]) excess excess
            r ab true (labels found @ [ "search", search ]) value
    ]

let private grid search own borrowed (values: float list) =
    twice (fun seeds ->
        [
            for k, value in List.indexed values do
                yield! cell seeds (string k) search own borrowed value
        ])

/// A population of ten models that share something, its mean of n by a search, and R of a pair that no search saw.
let private population shared search (models: float) (mean: int -> float) (unseen: float) =
    twice (fun seeds ->
        [
            for n in 2..10 do
                let labels = [ "shared", shared; "models merged", string n; "seeds", seeds ]
                score [ "0" ] false labels models
                score [ "1" ] false labels models
                score [ "mean" ] true (labels @ [ "search", search ]) (mean n)
            r [ "1"; "2" ] true [ "shared", shared; "seeds", seeds; "search", search ] unseen
        ])

let private naiveMean shared (models: float) (mean: float) =
    twice (fun seeds ->
        let labels = [ "shared", shared; "models merged", "10"; "seeds", seeds ]
        [ score [ "0" ] false labels models; score [ "mean" ] false labels mean ])

let private compared make search other own theirs =
    twice (fun seeds ->
        let labels s = [ "network", "MLP"; "search", s; "seeds", seeds ]
        make (labels search) own @ make (labels other) theirs)

let private ste = "Sinkhorn STE"

/// Barriers by width: before and after.
let private widths (values: (float * float * float) list) =
    twice (fun seeds ->
        [
            for width, before, after in values do
                let labels = [ "width", string width; "network", "MLP"; "seeds", seeds ]
                barrier false labels before before
                barrier true (labels @ [ "search", "WM" ]) after after
        ])

let private power slope = widths [ for w in [ 8.0; 16.0; 32.0; 64.0; 128.0 ] -> w, 2.0, 8.0 * w ** slope ]

/// As many of 10 singular values dominant as said, and an excess, by width.
let private shares (values: (int * float) list) =
    twice (fun seeds ->
        [
            for k, (count, excess) in List.indexed values do
                let labels = [ "width", string (k + 1); "network", "MLP"; "seeds", seeds ]
                let s = [ for i in 1..10 -> if i <= count then "10" else "1" ] |> String.concat ","
                row "singularValues" [ "0" ] false labels $$"""{"layers":[{"name":"fc.weight","values":[{{s}}]}]}"""
                barrier true (labels @ [ "search", "WM" ]) 1.0 excess
        ])

let tests =
    testList "BeyondClaims" [
        test "permutations on another training set-up: what they leave of the naive barrier" {
            for search, name in ("WM", "weight matching") :: variants do
                judges [ $"Permutations that "; name; "serve models" ] [
                    grid search 0.0 0.49 [ 0.5; 0.5 ], "y"
                    grid search 0.0 0.51 [ 0.5; 0.5 ], "n"
                    cell "0, 1" "1" search 0.0 0.1 0.5, "?"
                    grid "AM" 0.0 0.1 [ 0.5 ], ""
                ]
        }

        test "what a search keeps of its gain on another set-up, beside weight matching" {
            for search, name in variants do
                // Weight matching keeps 0.5 / 0.9; the other 0.5 / 1 or 0.6 / 1.
                judges [ name; "lose more on another" ] [
                    grid "WM" 0.1 0.5 [ 0.5 ] @ grid search 0.0 0.5 [ 0.5 ], "y"
                    grid "WM" 0.1 0.5 [ 0.5 ] @ grid search 0.0 0.4 [ 0.5 ], "n"
                    grid search 0.0 0.5 [ 0.5 ], ""
                ]
        }

        test "how much R varies over set-ups, by its mean" {
            for search, name in variants do
                judges [ "R varies more"; name ] [
                    // The same deviation about a smaller mean varies more.
                    grid "WM" 0.0 0.0 [ 0.4; 0.5 ] @ grid search 0.0 0.0 [ 0.1; 0.2 ], "y"
                    grid "WM" 0.0 0.0 [ 0.1; 0.2 ] @ grid search 0.0 0.0 [ 0.4; 0.5 ], "n"
                ]
        }

        test "published numbers are met within 0.05" {
            for aligned, words, number in [ false, "without permutation", 0.013; true, "after weight matching", -0.003 ] do
                let ofWidth width excess =
                    twice (fun seeds ->
                        let labels = [ "network", $"MLP {width} / MNIST"; "seeds", seeds ]
                        [ barrier aligned (if aligned then labels @ [ "search", "WM" ] else labels) 1.0 excess ])

                let of' = ofWidth 8192

                judges [ "wide MLP"; words ] [
                    ofWidth 512 (number + 0.051), "?"
                    ofWidth 512 (number + 0.049), "y"
                    of' (number + 0.049), "y"
                    of' (number - 0.049), "y"
                    of' (number + 0.051), "n"
                    of' (number - 0.051), "n"
                ]
        }

        test "the mean of ten beside its models, and up to which n it holds" {
            let of' last = population "nothing" "WM" 90.0 (fun n -> if n <= last then 88.1 else 87.9) 0.5
            judges [ "mean of ten aligned" ] [ of' 10, "y"; of' 6, "n" ]
            let measured last = ((claim [ "mean of ten aligned" ]).Judge { Rows = of' last }).Head.Measured
            Expect.stringContains (measured 6) "the mean of up to 6 is within 2 points" "six"
            Expect.stringContains (measured 1) "no mean is within 2 points" "none"
        }

        test "R of pairs that no search saw against what the mean of ten lacks" {
            let of' (values: (float * float) list) =
                [
                    for k, (mean, unseen) in List.indexed values do
                        yield! population $"{k}" "WM" 90.0 (fun _ -> mean) unseen
                ]

            let rising = [ for k in 1..12 -> 50.0 + float k, 0.05 * float k ]
            let falling = [ for k in 1..12 -> 50.0 + float k, 0.9 - 0.05 * float k ]
            let loose = loosely |> List.map (fun (x, y) -> 50.0 + x / 10.0, y / 250.0)

            judges [ "R of pairs" ] [
                of' rising, "y"
                of' falling, "n"
                of' loose, "n"
                of' (List.truncate 4 rising), ""
            ]
        }

        test "the naive mean against what models share" {
            let order = [ "nothing"; "initialisation"; "1 epochs"; "3 epochs"; "10 epochs" ]
            let of' means = List.map2 (fun shared mean -> naiveMean shared 90.0 mean) order means |> List.concat

            judges [ "their naive mean" ] [
                of' [ 10.0; 20.0; 30.0; 40.0; 50.0 ], "y"
                of' [ 50.0; 20.0; 30.0; 40.0; 10.0 ], "n"
                // Rank correlations of 0.9 and 0.7.
                of' [ 10.0; 20.0; 40.0; 30.0; 50.0 ], "y"
                of' [ 10.0; 20.0; 50.0; 30.0; 40.0 ], "n"
                naiveMean "nothing" 90.0 10.0, ""
            ]
        }

        test "explanations of the straight-through estimator, each beside what it is measured against" {
            let beside parts make other good bad theirs =
                judges parts [
                    compared make ste other good theirs, "y"
                    compared make ste other bad theirs, "n"
                    compared make "STE" other good theirs, ""
                ]

            beside [ "aligns dominant" ] (fun l v -> [ r ab true l v ]) "WM" 0.21 0.19 0.4

            let activations (unit: float -> float) (variance: float -> float) labels (value: float) =
                [
                    row
                        "activations"
                        ab
                        true
                        labels
                        $$"""{"groups":[{"name":"fc1","correlation":{{unit value}},"weighted":{{variance value}},"kernel":0.9}]}"""
                ]

            let constant _ = 0.9
            beside [ "units that do alike" ] (activations id constant) "AM" 0.31 0.29 0.6
            beside [ "alike that vary most" ] (activations constant id) "AM" 0.31 0.29 0.6
            beside [ "less curved" ] (fun l v -> [ barrierOf "barrier" true l 1.0 0.0 v ]) "WM" -1.9 -2.1 -2.0

            let drop (labels: (string * string) list) percent =
                [
                    distance false (labels |> List.filter (fst >> (<>) "search")) 100.0
                    distance true labels (100.0 - percent)
                ]

            beside [ "brings the models nearer" ] drop "WM" 5.1 4.9 10.0

            let agreement (value: float) =
                twice (fun seeds ->
                    let labels = [ "search", ste; "seeds", seeds ]
                    [ row "agreement" ab true labels $$"""{"agreement":{{value}},"layers":[]}""" ])

            judges [ "the units that weight matching matches" ] [ agreement 0.51, "y"; agreement 0.49, "n" ]
        }

        test "how well a search generalises, by the number of images" {
            for search, name in [ "AM", "Activation matching"; ste, "The straight-through" ] do
                let of' (gaps: (string * float) list) =
                    twice (fun seeds ->
                        [
                            for images, gap in gaps do
                                let labels = [ "images", images; "search", search; "seeds", seeds ]
                                barrier true labels 1.0 (0.3 + gap)
                                barrierOf "trainingBarrier" true labels 1.0 0.3 0.0
                        ])

                judges [ name; "generalises" ] [ of' [ "100", 0.051; "1000", 0.049 ], "ny" ]
        }

        test "the power of the width, and the width of a tenth, are those of the law behind the numbers" {
            let curves = Law.curves "MLP" { Rows = power -1.5 }
            Expect.floatClose Expecto.Accuracy.high (Law.slope curves) -1.5 "slope"
            // 8 w^-1.5 = 0.2.
            Expect.floatClose Expecto.Accuracy.high (Law.tenth curves) (40.0 ** (1.0 / 1.5)) "width"
            Expect.hasLength curves 2 "one for each pair"

            judges [ "falls as a power" ] [
                power -0.5, "y"
                power 0.5, "n"
                power 0.05, "n"
                widths [ 8.0, 2.0, 0.0; 16.0, 2.0, 0.0 ], "?"
            ]
            // 8 w^-0.5 = 0.2 at 1,600.
            judges [ "below a tenth" ] [ power -1.5, "y"; power -0.5, "n"; power 0.5, "n" ]

            // Where the least width is narrow enough already it is the width itself, whatever it is.
            for width in [ 8.0; 16.0; 32.0; 64.0; 0.125 ] do
                let rows = widths [ width, 2.0, 0.1; 2.0 * width, 2.0, 0.05 ]
                Expect.equal (Law.tenth (Law.curves "MLP" { Rows = rows })) width "the least one"
                judges [ "below a tenth" ] [ rows, "y" ]
        }

        test "barriers at the floor do not bend the law" {
            let rows = widths [ 8.0, 2.0, 1.0; 16.0, 2.0, 0.5; 32.0, 2.0, 0.25; 64.0, 2.0, 0.0015; 128.0, 2.0, 0.0 ]
            Expect.floatClose Expecto.Accuracy.high (Law.slope (Law.curves "MLP" { Rows = rows })) -1.0 "slope"
        }

        test "the share of dominant vectors by width, and against the barrier" {
            let falling = [ 9, 5.0; 8, 4.0; 6, 3.0; 4, 2.0; 2, 1.0 ]
            let turned = List.map2 (fun (share, _) (_, excess) -> share, excess) falling (List.rev falling)
            judges [ "smaller share" ] [ shares falling, "y"; shares (List.rev falling), "n" ]
            // The largest barriers in another order: rank correlations of 0.9 and 0.7.
            let mixed excesses = List.map2 (fun (share, _) excess -> share, excess) falling excesses |> shares

            judges [ "predicts the barrier" ] [
                shares falling, "y"
                shares turned, "n"
                mixed [ 5.0; 4.0; 2.0; 3.0; 1.0 ], "y"
                mixed [ 5.0; 4.0; 1.0; 3.0; 2.0 ], "n"
            ]
        }

        test "every claim names an experiment of the script and has a rule" {
            let script =
                System.IO.File.ReadAllText(
                    System.IO.Path.Combine(__SOURCE_DIRECTORY__, "..", "..", "..", "experiments", "beyond.fsx")
                )

            for claim in Claims.all do
                Expect.stringContains script $"\"{claim.Experiment}.fsx\"" claim.Sentence
                Expect.isTrue (claim.Rule.EndsWith ".") claim.Rule
                Expect.equal (letters claim []) "" "nothing is found of nothing"

            Expect.equal
                (Claims.all |> List.map _.Sentence |> List.distinct |> List.length)
                Claims.all.Length
                "one each"
        }
    ]
