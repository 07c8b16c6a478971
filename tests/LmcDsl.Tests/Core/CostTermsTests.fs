/// How much updates have added to costs.
module LmcDsl.Tests.Core.CostTermsTests

open Expecto
open LmcDsl.Core.Matching

let tests =
    testList "CostTerms" [
        test "what updates added is a multiple of the costs' own terms, until those are computed whole again" {
            let mutable terms = CostTerms()
            Expect.equal terms.Updated 0.0 "nothing yet"
            terms.Computed 100.0
            terms.Add 200.0
            terms.Add 150.0
            Expect.equal terms.Updated 3.5 "both"
            terms.Computed 50.0
            Expect.equal terms.Updated 0.0 "computed whole"
            terms.Add 100.0
            Expect.equal terms.Updated 2.0 "of fewer terms"
        }
    ]
