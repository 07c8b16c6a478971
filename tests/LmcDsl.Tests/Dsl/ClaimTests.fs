module LmcDsl.Tests.Dsl.ClaimTests

open Expecto
open LmcDsl
open LmcDsl.Paper

let private row network search width value =
    {
        Measure = "barrier"
        Models = [ "0"; "1" ]
        Aligned = true
        Labels = [ "network", network; "width", width; "search", search ]
        Value =
            Json.Object [
                "loss", Json.float value
                "accuracy", Json.float 0.0
                "midpointLoss", Json.float value
                "midpointAccuracy", Json.float 0.0
                "curve", Json.parse """[{"lambda":0.5,"loss":1,"accuracy":0.5}]"""
            ]
    }

let private report =
    {
        Rows =
            [
                for seeds, more in [ "0, 1", 0.0; "2, 3", 0.25 ] do
                    for width, a, b in [ "1", 3.0, 1.0; "2", 2.5, 2.0; "4", 2.0, 4.0; "8", 1.5, 5.0; "16", 1.0, 6.0 ] do
                        let of' network search value =
                            let made = row network search width (value + more)
                            { made with Labels = made.Labels @ [ "seeds", seeds ] }

                        of' "A" "WM" a
                        of' "B" "WM" b
                        of' "A" "STE" (a + 1.0)
            ]
    }

let private all (_: Subject) = true
let private ofWm (s: Subject) = s.Key "search" = "WM"

let private letters (evidence: Evidence list) =
    [
        for e in evidence ->
            e.Where,
            match e.Finding with
            | AsClaimed -> 'y'
            | NotAsClaimed -> 'n'
            | Undecided _ -> '?'
            | Beside -> '-'
    ]

let private takes (evidence: Evidence list) =
    [
        for e in evidence do
            match e.Finding with
            | Undecided takes -> takes
            | _ -> ()
    ]

let private ofLoss = Quantity.lossBarrier

let tests =
    testList "Claim" [
        test "a verdict follows from its evidence" {
            let piece finding = { Where = ""; Measured = ""; Finding = finding }
            let verdict = List.map piece >> Claim.verdict
            let open' = Undecided "more"
            Expect.equal (verdict [ AsClaimed; AsClaimed; Beside ]) Holds "all"
            Expect.equal (verdict [ AsClaimed; NotAsClaimed; open' ]) HoldsInPart "some"
            Expect.equal (verdict [ AsClaimed; open' ]) HoldsWhereDecided "all that could be decided"
            Expect.equal (verdict [ NotAsClaimed; open' ]) DoesNotHold "none that could be decided"
            Expect.equal (verdict [ open'; open'; Beside ]) CannotBeDecided "nothing could be decided"
            Expect.equal (verdict [ Beside ]) NotMeasured "nothing judged"
            Expect.equal (verdict []) NotMeasured "nothing"
        }

        test "a search run with several seeds on the same models is one measurement, their mean" {
            let rows =
                [
                    for again, value in [ "0", 1.0; "1", 3.0 ] do
                        let made = row "A" "STE" "1" value

                        { made with
                            Labels = made.Labels @ [ "seeds", "0, 1"; "seed of the search", again ]
                        }
                ]

            let found = Subject.ofReport { Rows = rows } |> Judge.byMeasurement ofLoss
            Expect.equal (found |> Map.values |> List.ofSeq) [ 2.0 ] "one"
        }

        test "an interval on one side of a rule decides, one across it says how many measurements would" {
            let judge range values =
                let rows =
                    [
                        for k, value in List.indexed values do
                            let made = row "A" "WM" "1" value
                            { made with Labels = made.Labels @ [ "seeds", string k ] }
                    ]

                Judge.mean [ "network" ] all ofLoss range { Rows = rows }

            // Mean 2, deviation 1, t(2) = 4.303: 2 ± 2.484.
            let one = [ 1.0; 2.0; 3.0 ]
            Expect.equal (letters (judge (Bounds.below 4.5) one)) [ "A", 'y' ] "below"
            Expect.equal (letters (judge (Bounds.below 4.4) one)) [ "A", '?' ] "across"
            Expect.equal (letters (judge (Bounds.above 4.5) one)) [ "A", 'n' ] "not above"
            Expect.equal (letters (judge (Bounds.between -0.5 4.5) one)) [ "A", 'y' ] "between"

            Expect.stringContains
                (judge (Bounds.below 4.4) one).Head.Measured
                "2.000 (-0.484 to 4.484); n = 3"
                "as shown"
            // t(n-1) / √n below 2.4: 1.59 at n = 4.
            Expect.equal
                (takes (judge (Bounds.below 4.4) one))
                [ "about 4 measurements of this spread" ]
                "what it takes"
            // Below 0.5: t(17) / √18 = 0.497, t(16) / √17 = 0.514.
            Expect.equal (takes (judge (Bounds.below 2.5) one)) [ "about 18 measurements of this spread" ] "nearer"
            Expect.stringContains (takes (judge (Bounds.below 2.0) one)).Head "1,000" "upon it"
            Expect.stringContains (takes (judge (Bounds.below 9.0) [ 1.0 ])).Head "2 measurements" "one is no interval"
            Expect.equal (letters (judge (Bounds.below 2.0) [ 2.0; 2.0 ])) [ "A", 'n' ] "alike, and not below"
        }

        test "the rows of the mean with each of its models are one measurement" {
            let rows =
                [
                    for m, value in [ "0", 1.0; "1", 3.0 ] do
                        let made = row "A" "WM" "1" value
                        { made with Models = [ "mean"; m ]; Labels = made.Labels @ [ "seeds", "0, 1" ] }
                ]

            let found = Subject.ofReport { Rows = rows } |> Judge.byMeasurement ofLoss
            Expect.equal (found |> Map.values |> List.ofSeq) [ 2.0 ] "one, their mean"
        }

        test "an interval that reaches a bound is within where the bound is, and across where it is not" {
            let place range = Interval.place range { Value = 2.5; Low = 2.0; High = 3.0; Count = 3 }
            Expect.equal (place (Bounds.between 2.0 3.0)) Within "both ends are of the range"
            Expect.equal (place (Bounds.above 2.0)) Across "but not of what is above"
            Expect.equal (place (Bounds.below 3.0)) Across "nor of what is below"
            Expect.equal (place (Bounds.atLeast 3.0)) Across "it has a number of the range"
            Expect.equal (place (Bounds.atMost 2.0)) Across "at its other end too"
            Expect.equal (place (Bounds.above 3.0)) Without "none"
            Expect.equal (place (Bounds.below 2.0)) Without "none at the other end"
        }

        test "resamples draw every item, and their interval ends at 2.5 and 97.5 hundredths" {
            // Three of three draws are the odd one in 1 of 27 resamples, 3.7 %: above 2.5 %, below 5 %.
            let found = Interval.bootstrap List.average [ 0.0; 0.0; 1.0 ]
            Expect.equal (found.Low, found.High) (0.0, 1.0) "up to all of the last"
            let found = Interval.bootstrap List.average [ 0.0; 1.0; 1.0 ]
            Expect.equal (found.Low, found.High) (0.0, 1.0) "down to all of the first"
        }

        test "a line's intervals are those of least squares, worked out by hand" {
            // Through (0, 0), (1, 1), (2, 1): 1/6 + x/2, squares of what is left 1/6, t(1) = 12.7062, squares of x about their mean 2.
            let intercept, slope = Interval.line [ 0.0, 0.0; 1.0, 1.0; 2.0, 1.0 ] |> Option.get
            let near x y = Expect.isLessThan (abs (x - y)) 1e-4 $"{x} and {y}"
            near slope.Value 0.5
            near (slope.High - slope.Value) (12.7062 * sqrt (1.0 / 6.0 / 2.0))
            near intercept.Value (1.0 / 6.0)
            near (intercept.Value - intercept.Low) (12.7062 * sqrt (1.0 / 6.0 * (1.0 / 3.0 + 1.0 / 2.0)))
        }

        test "ranks of what does not vary are not correlated" {
            Expect.equal (Interval.rankCorrelation [ 1.0, 5.0; 2.0, 5.0; 3.0, 5.0 ]) 0.0 "none"
        }

        test "means are judged in each group" {
            let evidence = Judge.mean [ "network" ] ofWm ofLoss (Bounds.below 3.0) report
            // 2.125 and 3.725, each of two measurements 0.25 apart: ± 1.588.
            Expect.equal (letters evidence) [ "A", '?'; "B", '?' ] "both across"
            let evidence = Judge.mean [ "network" ] ofWm ofLoss (Bounds.below 3.8) report
            Expect.equal (letters evidence) [ "A", 'y'; "B", '?' ] "one below"
            Expect.stringContains evidence[0].Measured "2.125 (0.537 to 3.713); n = 2" "mean and interval"
        }

        test "trends are judged by rank correlation over five values or more" {
            let judge keep = Judge.trend "width" [ "network" ] keep ofLoss (Bounds.atMost -0.8) report
            Expect.equal (letters (judge ofWm)) [ "A", 'y'; "B", 'n' ] "A falls, B rises"
            Expect.stringContains (judge ofWm).Head.Measured "rank correlation -1.00 (-1.00 to -1.00)" "as shown"
            Expect.stringContains (judge ofWm).Head.Measured "first to last -2.000" "the effect"
            let four = judge (fun s -> ofWm s && s.Key "width" <> "8")
            Expect.equal (takes four |> List.map (fun t -> t.Contains "5 values")) [ true; true ] "four are no trend"
        }

        test "one search is judged against another, model by model" {
            let judge range = Judge.against [ "network" ] all [ "WM" ] [ "STE" ] ofLoss range report
            // The measurements differ by 0.25, the differences not at all.
            Expect.equal (letters (judge (Bounds.above 0.99))) [ "A, STE", 'y' ] "only where both were measured"
            Expect.equal (letters (judge (Bounds.above 1.01))) [ "A, STE", 'n' ] "above"
        }

        test "a reference that comes first is judged, later ones are shown beside" {
            let judge references = Judge.against [ "network" ] all references [ "STE" ] ofLoss (Bounds.above 0.0) report
            Expect.equal (letters (judge [ "Sinkhorn"; "WM" ])) [ "A, STE", 'y' ] "the first that was measured"
            Expect.equal (letters (judge [ "WM"; "STE" ])) [ "A, STE", 'y'; "A, STE", '-' ] "the others beside"
        }

        test "of two quantities both must be as claimed" {
            let other = { ofLoss with Of = ofLoss.Of >> Option.map ((+) 10.0) }
            let judge one two = letters (Judge.both [ "network" ] ofWm one two (Bounds.below 9.0) report)
            Expect.equal (judge ofLoss ofLoss) [ "A", 'y'; "B", 'y' ] "both"
            Expect.equal (judge ofLoss other) [ "A", 'n'; "B", 'n' ] "the second is not"
            Expect.equal (judge other ofLoss) [ "A", 'n'; "B", 'n' ] "the first is not"
        }

        test "an effect's size is the difference's mean over its deviation" {
            let rows =
                [
                    for seeds, more in [ "0", 1.0; "1", 2.0; "2", 3.0 ] do
                        for search, value in [ "WM", 5.0; "STE", 5.0 + more ] do
                            let made = row "A" search "1" value
                            { made with Labels = made.Labels @ [ "seeds", seeds ] }
                ]

            let evidence = Judge.against [ "network" ] all [ "WM" ] [ "STE" ] ofLoss (Bounds.above 0.0) { Rows = rows }

            // 1, 2 and 3: mean 2, deviation 1.
            Expect.stringContains evidence.Head.Measured "effect size 2.0" "Cohen's d"
        }

        test "the largest is that of the largest mean" {
            let rows =
                [
                    for seeds, one, two in [ "0", 0.0, 2.0; "1", 3.0, 2.5 ] do
                        for width, value in [ "1", one; "2", two ] do
                            let made = row "A" "WM" width value
                            { made with Labels = made.Labels @ [ "seeds", seeds ] }
                ]

            let found = Judge.largest "width" [ "network" ] all ofLoss (Bounds.above 0.0) { Rows = rows }
            Expect.stringContains found.Head.Measured "at width 2; n = 2" "1.5 and 2.25"
        }

        test "a trend is over the measurements that have every value" {
            let rows =
                [
                    for seeds, widths in [ "0", [ 1..5 ]; "1", [ 1..5 ]; "2", [ 1..3 ] ] do
                        for width in widths do
                            let made = row "A" "WM" (string width) (float (-width))
                            { made with Labels = made.Labels @ [ "seeds", seeds ] }
                ]

            let found = Judge.trend "width" [ "network" ] all ofLoss (Bounds.atMost -0.8) { Rows = rows }
            Expect.equal (letters found) [ "A", 'y' ] "decided"
            Expect.stringContains found.Head.Measured "n = 2" "by two of three"
        }

        test "over a number that is none nothing is decided, and what has no place along a trend is not part of it" {
            let rows value place =
                [
                    for seeds in [ "0"; "1" ] do
                        for width, loss in
                            ("3", value) :: (place, -9.0) :: [ for w in [ 1; 2; 4; 5 ] -> string w, float -w ] do
                            let made = row "A" "WM" width loss
                            { made with Labels = made.Labels @ [ "seeds", seeds ] }
                ]

            let trend rows =
                Judge.trend "width" [ "network" ] all ofLoss (Bounds.atMost -0.8) { Rows = rows } |> letters

            let largest rows =
                Judge.largest "width" [ "network" ] all ofLoss (Bounds.atMost 0.0) { Rows = rows } |> letters

            Expect.equal (trend (rows -3.0 "6")) [ "A", 'y' ] "a trend"
            Expect.equal (largest (rows -3.0 "6")) [ "A", 'y' ] "the largest"
            Expect.equal (trend (rows nan "6")) [ "A", '?' ] "a trend over what is no number"
            Expect.equal (largest (rows nan "6")) [ "A", '?' ] "the largest of what is no number"
            Expect.equal (trend (rows -3.0 "–")) [ "A", 'y' ] "without a place"
        }

        test "a premise is of its own place and what is within it, not of one whose name begins alike" {
            let piece where finding = { Where = where; Measured = "1"; Finding = finding }
            let asked _ = [ piece "MLP 1" AsClaimed ]
            let judge _ = [ piece "MLP 1" AsClaimed; piece "MLP 1, WM" AsClaimed; piece "MLP 16" AsClaimed ]
            let found = Judge.given "a low barrier" asked judge { Rows = [] }
            Expect.equal (letters found) [ "MLP 1", 'y'; "MLP 1, WM", 'y'; "MLP 16", '?' ] "which"
        }

        test "where a premise is not as claimed nothing that follows from it is decided" {
            let asked range = Judge.mean [ "network" ] ofWm ofLoss range
            let judge = Judge.against [ "network" ] all [ "WM" ] [ "STE" ] ofLoss (Bounds.above 0.0)
            let given range = Judge.given "a low barrier" (asked range) judge report
            Expect.equal (letters (given (Bounds.below 4.0))) [ "A, STE", 'y' ] "as claimed"
            Expect.equal (letters (given (Bounds.below 0.1))) [ "A, STE", '?' ] "not"
            Expect.equal (letters (given (Bounds.below 2.0))) [ "A, STE", '?' ] "not decided itself"

            Expect.stringContains
                (takes (given (Bounds.below 0.1))).Head
                "a low barrier; here loss barrier (nats): 2.125"
                "why"

            let unasked = Judge.given "a low barrier" (fun _ -> []) judge report
            Expect.stringContains (takes unasked).Head "not measured" "none"
        }

        test "what a place lacks keeps it from counting against a claim, not for it" {
            let judge range = Judge.mean [ "network" ] ofWm ofLoss range
            let lacking (e: Evidence) = if e.Where = "B" then Some "more width" else None
            let left range = Judge.unlessLacking lacking (judge range) report
            Expect.equal (letters (left (Bounds.below 0.1))) [ "A", 'n'; "B", '?' ] "against"
            Expect.equal (letters (left (Bounds.below 9.0))) [ "A", 'y'; "B", 'y' ] "for"
        }

        test "every claim of the paper names an experiment of the script, and a rule" {
            let paper =
                System.IO.File.ReadAllText(
                    System.IO.Path.Combine(__SOURCE_DIRECTORY__, "..", "..", "..", "experiments", "paper.fsx")
                )

            for claim in Claims.all do
                Expect.stringContains paper $"\"{claim.Experiment}.fsx\"" claim.Sentence
                Expect.isTrue (claim.Rule.EndsWith ".") claim.Rule
        }

        test "without reports nothing is measured, and no claim fails" {
            let judged = ClaimsPage.judge Claims.all [ "table1", { Rows = [] } ]
            Expect.all judged (fun (_, _, verdict) -> verdict = NotMeasured) "not measured"
        }

        test "the page counts findings, and tells checks of the code apart" {
            let claim kind sentence finding =
                {
                    Sentence = sentence
                    Rule = "A rule."
                    Kind = kind
                    Experiment = "e"
                    Figure = None
                    Judge = fun _ -> [ { Where = "here"; Measured = "1"; Finding = finding } ]
                }

            let judged =
                ClaimsPage.judge [
                    claim OfNature "First." AsClaimed
                    claim OfCode "Second." AsClaimed
                    claim OfNature "Third." (Undecided "more models")
                ] [ "e", { Rows = [] } ]

            let provenance = Json.parse """{"models":[],"made by":{"code":"0","machine":{"cores":1,"processor":"p"}}}"""

            let text = { Title = "T"; Command = "c"; Provenance = provenance }
            let markdown = ClaimsPage.markdown text "laptop" judged

            let at (part: string) =
                let found = markdown.IndexOf part
                Expect.isGreaterThanOrEqual found 0 part
                found

            let places =
                [
                    "## Findings"
                    "### 1. First."
                    "**holds**"
                    "### 3. Third."
                    "**cannot be decided at this scale**"
                ]
                @ [ "undecided; takes more models"; "## Checks of the code"; "### 2. Second."; "**passed**" ]
                |> List.map at

            Expect.equal places (List.sort places) "in this order"
            let html = ClaimsPage.html text "laptop" judged []
            Expect.stringContains html "1 <span class=\"verdict holds\">holds</span> · 1 <span" "checks do not count"
        }
    ]
