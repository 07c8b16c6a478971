/// When costs that were updated are computed whole once more.
module LmcDsl.Tests.Core.CostTermsTests

open Expecto
open LmcDsl.Core.Matching

let tests =
    testList "CostTerms" [
        test "costs have drifted once more than three times their terms were added" {
            let mutable terms = CostTerms()
            terms.Computed 100.0
            terms.Add 200.0
            terms.Add 100.0
            Expect.isFalse terms.HaveDrifted "three times"
            terms.Add 1.0
            Expect.isTrue terms.HaveDrifted "more"
            terms.Computed 100.0
            Expect.isFalse terms.HaveDrifted "computed whole"
        }
    ]
