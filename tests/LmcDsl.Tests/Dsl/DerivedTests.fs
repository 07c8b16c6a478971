/// Quantities that follow from what was measured, on made-up reports, beside values worked out by hand.
module LmcDsl.Tests.Dsl.DerivedTests

open Expecto
open LmcDsl

let private row measure models aligned labels (value: string) =
    {
        Measure = measure
        Models = models
        Aligned = aligned
        Labels = labels
        Value = Json.parse value
    }

/// One subject's number.
let private only (quantity: Quantity) keep rows =
    Subject.ofReport { Rows = rows } |> List.filter keep |> List.map quantity.Of |> List.exactlyOne

let private every (_: Subject) = true
let private aligned (s: Subject) = s.Aligned

let private near what expected (found: float option) =
    Expect.floatClose Expecto.Accuracy.high (Option.get found) expected what

let private spectra =
    """{"layers":[{"name":"fc1.weight","values":[10,3,2.9,1]},{"name":"fc2.weight","values":[4,1.2,1]}]}"""

let private landscape =
    // a at (0, 0), b at (3, 0), c at (0, 3): the mean at (1, 1). Rows are by y, so that x and y cannot be mistaken for each other.
    """{"models":[{"x":0,"y":0},{"x":3,"y":0},{"x":0,"y":3}],"x":[-1,0,1,2,3],"y":[0,1,3],
       "loss":[[1,1,1,1,1],[1,1,1,1,1],[1,1,1,1,1]],
       "accuracy":[[0.11,0.9,0.13,0.14,0.8],[0.21,0.22,0.6,0.24,0.25],[0.31,0.7,0.33,0.34,0.35]]}"""

let tests =
    testList "Derived" [
        test "the dominant share counts singular values of at least gamma times their own layer's largest" {
            let share gamma =
                only (Quantity.dominantShare gamma) every [ row "singularValues" [ "0" ] false [] spectra ]
            // At 0.3: 10 and 3 of the first (3 is 0.3 of 10), 4 and 1.2 of the second: 4 of 7.
            near "0.3" (100.0 * 4.0 / 7.0) (share 0.3)
            near "0.29: 2.9 too" (100.0 * 5.0 / 7.0) (share 0.29)
            near "0" 100.0 (share 0.0)
            near "1" (100.0 * 2.0 / 7.0) (share 1.0)
        }

        test "the reduction of L2 is from the same models as trained, in per cent" {
            let rows =
                [
                    row "distance" [ "0"; "1" ] false [ "network", "A" ] """{"l2":80}"""
                    row "distance" [ "0"; "1" ] false [ "network", "B" ] """{"l2":10}"""
                    row "distance" [ "0"; "2" ] false [ "network", "A" ] """{"l2":20}"""
                    row "distance" [ "0"; "1" ] true [ "network", "A"; "search", "WM" ] """{"l2":60}"""
                ]

            near "1 - 60/80" 25.0 (only Quantity.reduction aligned rows)
            near "before" 80.0 (only Quantity.l2Before aligned rows)
            near "after" 60.0 (only Quantity.l2 aligned rows)

            for subject in Subject.ofReport { Rows = rows } |> List.filter (aligned >> not) do
                Expect.isNone (Quantity.reduction.Of subject) "models as trained have none"

            let equal =
                [
                    row "distance" [ "0"; "1" ] false [] """{"l2":0}"""
                    row "distance" [ "0"; "1" ] true [ "search", "WM" ] """{"l2":0}"""
                ]

            for subject in Subject.ofReport { Rows = equal } do
                Expect.isNone (Quantity.reduction.Of subject) "equal models have none"
        }

        test "the naive barrier is that of the same models as trained; the midpoint's numbers are those at 1/2, or none" {
            let curve at loss =
                $$"""{"loss":{{loss}},"accuracy":7,"midpointLoss":-0.25,"midpointAccuracy":3,"curve":[
                   {"lambda":0,"loss":1,"accuracy":0.9},{"lambda":{{at}},"loss":2,"accuracy":0.45},{"lambda":0.7,"loss":1,"accuracy":0.8}]}"""

            let rowsAt at =
                [
                    row "barrier" [ "0"; "1" ] false [ "network", "A" ] (curve at "2.5")
                    row "barrier" [ "0"; "1" ] true [ "network", "A"; "search", "WM" ] (curve at "0.5")
                ]

            let rows = rowsAt "0.5"

            near "as trained" 2.5 (only Quantity.naiveBarrier aligned rows)
            near "aligned" 0.5 (only Quantity.lossBarrier aligned rows)
            near "excess" -0.25 (only Quantity.midpointLoss aligned rows)
            near "points" 7.0 (only Quantity.accuracyBarrier aligned rows)
            near "at 1/2" 45.0 (only Quantity.midpointAccuracy aligned rows)

            for quantity in [ Quantity.midpointLoss; Quantity.midpointAccuracy ] do
                Expect.isNone (only quantity aligned (rowsAt "0.4")) "of an even number of points 1/2 is none"
        }

        test "the middle of a line is its point nearest to 1/2, and the curvature there is from the quarters beside it" {
            let value =
                """{"loss":3,"accuracy":7,"midpointLoss":-0.25,"midpointAccuracy":3,"curve":[
                   {"lambda":0,"loss":9,"accuracy":0.9},{"lambda":0.25,"loss":3,"accuracy":0.8},{"lambda":0.46,"loss":7,"accuracy":0.7},
                   {"lambda":0.5,"loss":1,"accuracy":0.6},{"lambda":0.75,"loss":2,"accuracy":0.5},{"lambda":1,"loss":8,"accuracy":0.4}]}"""

            let of' quantity measure = only quantity every [ row measure [ "0"; "1" ] false [] value ]
            near "at lambda 0.5" 60.0 (of' Quantity.midpointAccuracy "barrier")
            // Slopes -8 and 4 over quarters: 12 over a quarter.
            near "second difference" 48.0 (of' Quantity.curvature "barrier")
            near "training barrier" 3.0 (of' Quantity.trainingBarrier "trainingBarrier")
            near "training excess" -0.25 (of' Quantity.trainingMidpoint "trainingBarrier")
        }

        test "a training's last numbers are those of its last epoch, and perplexity is e to the loss" {
            let curve =
                """{"epochs":[{"loss":2,"accuracy":0.5,"learningRate":0.1},{"loss":1,"accuracy":0.75,"learningRate":0.05}]}"""

            let of' quantity measure value = only quantity every [ row measure [ "0" ] false [] value ]
            near "loss" 1.0 (of' Quantity.lastTrainingLoss "trainingCurve" curve)
            near "accuracy" 75.0 (of' Quantity.lastTrainingAccuracy "trainingCurve" curve)
            near "perplexity" (exp 1.5) (of' Quantity.perplexity "score" """{"loss":1.5,"accuracy":0.75}""")
        }

        test "of several layers the largest counts, and two forms of a distance differ by a share of it" {
            let of' quantity measure value = only quantity every [ row measure [ "0"; "1" ] false [] value ]

            let bound name ratio =
                $$"""{"name":"{{name}}","measured":1,"bound":2,"dominantPart":1,"largestRatio":{{ratio}}}"""

            let bounds = $$"""{"layers":[{{bound "a" "0.25"}},{{bound "b" "0.75"}}]}"""
            near "the bound's largest ratio" 0.75 (of' Quantity.largestRatio "outputBound" bounds)

            let forms =
                """{"layers":[{"name":"a","direct":4,"spectral":4.000002},{"name":"b","direct":1,"spectral":1.000001}]}"""

            // Two millionths of 4 are a half, one of 1 is one.
            let found = of' Quantity.largestDifference "distanceForms" forms |> Option.get
            Expect.isLessThan (abs (found - 1.0)) 1e-6 "the larger share"
        }

        test "units that stay are counted over all groups" {
            let value =
                """{"groups":[{"name":"a","units":10,"stay":5,"cycles":[3,2]},{"name":"b","units":2,"stay":2,"cycles":[]}]}"""

            let of' quantity = only quantity every [ row "permutationCycles" [ "0"; "1" ] true [] value ]
            near "7 of 12" (100.0 * 7.0 / 12.0) (of' Quantity.stay)
            near "two" 2.0 (of' Quantity.cycles)
            near "the longest" 3.0 (of' Quantity.longestCycle)
        }

        test "scores, the Taylor estimate, R and agreement are what their operations gave, in their units" {
            let of' quantity measure value = only quantity every [ row measure [ "0"; "1" ] false [] value ]
            near "loss" 0.5 (of' Quantity.loss "score" """{"loss":0.5,"accuracy":0.75}""")
            near "accuracy" 75.0 (of' Quantity.accuracy "score" """{"loss":0.5,"accuracy":0.75}""")
            let taylor = """{"estimate":3,"firstOrder":1,"secondOrder":2}"""
            near "Taylor" 3.0 (of' Quantity.taylor "taylor" taylor)
            near "agreement" 40.0 (of' Quantity.agreement "agreement" """{"agreement":0.4,"layers":[]}""")
            let r = """{"thresholds":[{"gamma":0,"r":0.1,"layers":[]},{"gamma":0.3,"r":0.7,"layers":[]}]}"""
            near "R at 0" 0.1 (of' (Quantity.r 0.0) "singularVectors" r)
            near "R at 0.3" 0.7 (of' (Quantity.r 0.3) "singularVectors" r)
            Expect.isNone (of' (Quantity.r 0.5) "singularVectors" r) "not measured"
        }

        test "differences of singular values are between each two models, layer by layer, over the first's length" {
            let values a b =
                $$"""{"layers":[{"name":"fc1.weight","values":{{a}}},{"name":"fc2.weight","values":{{b}}}]}"""

            let found =
                Spectra.differences
                    {
                        Rows =
                            [
                                row "singularValues" [ "0" ] false [ "network", "A" ] (values "[4,3]" "[1,0]")
                                row "singularValues" [ "1" ] false [ "network", "A" ] (values "[4,2]" "[1,2]")
                                row "singularValues" [ "2" ] false [ "network", "A" ] (values "[1,3]" "[1,0]")
                                row "singularValues" [ "0" ] false [ "network", "B" ] (values "[9,9]" "[9,9]")
                                row "score" [ "0" ] false [ "network", "A" ] """{"loss":1,"accuracy":1}"""
                            ]
                    }

            let shown =
                [
                    for s in Subject.ofReport found ->
                        s.Models, s.Labels, Option.get (Quantity.spectrumDifference.Of s) / 100.0
                ]

            // |(0, 1)| / 5, |(0, 2)| / 1; |(3, 0)| / 5, 0; |(3, -1)| / sqrt 20, |(0, 2)| / sqrt 5.
            let wanted =
                [
                    [ "0"; "1" ], "fc1", 0.2
                    [ "0"; "1" ], "fc2", 2.0
                    [ "0"; "2" ], "fc1", 0.6
                    [ "0"; "2" ], "fc2", 0.0
                    [ "1"; "2" ], "fc1", sqrt 10.0 / sqrt 20.0
                    [ "1"; "2" ], "fc2", 2.0 / sqrt 5.0
                ]

            Expect.equal shown.Length wanted.Length "pairs of one network, and its layers"

            for (models, labels, x), (pair, layer, y) in List.zip shown wanted do
                Expect.equal (models, labels) (pair, [ "network", "A"; "layer", layer ]) "which"
                Expect.floatClose Expecto.Accuracy.high x y $"{pair}, {layer}"
        }

        test "the energy of dominant vectors is their share of it over their share of the vectors" {
            let found =
                Spectra.inputEnergy
                    0.3
                    {
                        Rows =
                            [
                                row
                                    "inputProjections"
                                    [ "0" ]
                                    false
                                    [ "network", "A" ]
                                    """{"layers":[{"name":"fc1.weight","values":[10,3,2,1],"shares":[0.3,0.15,0.03,0.02]}]}"""
                                row "score" [ "0" ] false [] """{"loss":1,"accuracy":1}"""
                            ]
                    }

            let only = Subject.ofReport found |> List.exactlyOne
            Expect.equal only.Labels [ "network", "A"; "layer", "fc1" ] "layer"
            near "two of four" 50.0 (Quantity.dominantVectors.Of only)
            near "0.45 of 0.5" 90.0 (Quantity.dominantEnergy.Of only)
            near "0.9 / 0.5" 1.8 (Quantity.energyPerVector.Of only)
        }

        test "the centre of a landscape is the grid's point nearest to the mean, beside the models' own points" {
            let rows = [ row "landscape" [ "0"; "1"; "2" ] true [ "search", "WM" ] landscape ]
            near "at (1, 1)" 60.0 (only Quantity.centreAccuracy every rows)
            near "90, 80 and 70" 80.0 (only Quantity.cornerAccuracy every rows)
        }
    ]
