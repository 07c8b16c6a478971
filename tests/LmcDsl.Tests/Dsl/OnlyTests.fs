module LmcDsl.Tests.Dsl.OnlyTests

open Expecto
open LmcDsl
open LmcDsl.Core.Runtime

let private setup = { Setup.standard with Data = Glyphs; Network = mlp [ 4 ]; Threads = 1 }

let private searches =
    [
        for search in [ WM; AM ] ->
            setup |> (train >> labelled "kind" "small net" >> align search >> measureAll [ L2; R ])
    ]

let private widths = setup |> (train >> measure L2 |> sweep (Width(fun w -> mlp [ w ])) [ 4; 8 ])

let private titles plans = plans |> List.map Plan.node |> Plan.steps |> List.map _.Title

let private refused asked =
    try
        Only.rows asked [ searches; [ widths ] ] |> ignore
        failtest "expected a refusal"
    with :? LmcException as error ->
        error.Message

let tests =
    testList "Only" [
        test "rows that have the label, and what they need alone" {
            match Only.rows [ "search", "AM" ] [ searches; [ widths ] ] with
            | [ [ plan ]; [] ] ->
                let rows = ReportStep.rows plan
                Expect.isNonEmpty rows "there are some"

                for row, _ in rows do
                    Expect.contains (Report.labelsOfJson row["labels"]) ("search", "AM") "of that search"

                let of' (plans: Plan<Report> list) = plans |> List.collect ReportStep.rows |> List.map (snd >> _.Key)
                let all = of' searches
                Expect.isTrue (of' [ plan ] |> List.forall (fun key -> List.contains key all)) "keys are as they were"
                Expect.contains (titles [ plan ]) "match activations of 1 to 0" "its search is needed"
                Expect.isFalse (titles [ plan ] |> List.exists _.StartsWith("match weights")) "the other is not"
            | other -> failtest $"expected one plan in the first group, found {other |> List.map List.length}"
        }

        test "labels are asked for together; none asks for all" {
            match Only.rows [ "kind", "small net"; "search", "WM" ] [ searches ] with
            | [ [ plan ] ] -> Expect.equal (ReportStep.rows plan |> List.length) 2 "L2 and R by WM"
            | _ -> failtest "expected one plan"

            Expect.equal (Only.rows [] [ searches ]) [ searches ] "as it was"
        }

        test "of several values of one label each will do" {
            let count asked =
                Only.rows asked [ searches; [ widths ] ] |> List.concat |> List.collect ReportStep.rows |> List.length

            let wm, am = count [ "search", "WM" ], count [ "search", "AM" ]
            Expect.equal (count [ "search", "WM"; "search", "AM" ]) (wm + am) "both searches"
            Expect.equal (count [ "search", "WM"; "search", "AM"; "kind", "small net" ]) (wm + am) "of the kind"
            Expect.stringContains (refused [ "search", "WM"; "search", "MA" ]) "found 'MA'" "none is passed over"
        }

        test "what no row has is told with what there is" {
            Expect.stringContains (refused [ "serch", "WM" ]) "kind, search, width" "labels"
            Expect.stringContains (refused [ "search", "STE" ]) "(WM; AM)" "values"
            Expect.stringContains (refused [ "search", "WM"; "width", "8" ]) "together" "never together"
        }

        test "a label and a value, which may hold spaces and signs" {
            Expect.equal (Only.parse "network=VGG11 / CIFAR-10") ("network", "VGG11 / CIFAR-10") "spaces"
            Expect.equal (Only.parse "a=b=c") ("a", "b=c") "the first sign"

            for word in [ "search"; "=WM"; "" ] do
                Expect.throwsT<LmcException> (fun () -> Only.parse word |> ignore) word
        }
    ]
