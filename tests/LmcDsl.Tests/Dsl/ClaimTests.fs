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
                "curve", Json.Array []
            ]
    }

let private report =
    {
        Rows =
            [
                for width, a, b in [ "1", 3.0, 1.0; "2", 2.0, 2.0; "4", 1.0, 4.0 ] do
                    row "A" "WM" width a
                    row "B" "WM" width b
                    row "A" "STE" width (a + 1.0)
            ]
    }

let private all (_: Subject) = true
let private ofWm (s: Subject) = s.Key "search" = "WM"
let private holds (evidence: Evidence list) = evidence |> List.map (fun e -> e.Where, e.Holds)

let tests =
    testList "Claim" [
        test "a verdict follows from its evidence" {
            let piece holds = { Where = ""; Measured = ""; Holds = holds }
            let verdict = List.map piece >> Claim.verdict
            Expect.equal (verdict [ true; true ]) Holds "all"
            Expect.equal (verdict [ true; false ]) HoldsInPart "some"
            Expect.equal (verdict [ false ]) DoesNotHold "none"
            Expect.equal (verdict []) NotMeasured "nothing"
        }

        test "means are judged in each group" {
            let evidence = Claim.mean [ "network" ] ofWm Quantity.lossBarrier (fun loss -> loss < 2.1) report
            Expect.equal (holds evidence) [ "A", true; "B", false ] "2 and 2.33"
            Expect.stringContains evidence[1].Measured "2.333 ± 1.528" "mean and deviation"
        }

        test "trends are judged by rank correlation" {
            let evidence = Claim.trend "width" [ "network" ] ofWm Quantity.lossBarrier (fun c -> c <= -0.8) report
            Expect.equal (holds evidence) [ "A", true; "B", false ] "A falls, B rises"
        }

        test "one search is judged against another" {
            let evidence = Claim.against [ "network" ] all "WM" [ "STE" ] Quantity.lossBarrier (>) report
            Expect.equal (holds evidence) [ "A, STE", true ] "only where both were measured"
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
    ]
