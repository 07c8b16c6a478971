module LmcDsl.Tests.Dsl.DrawTests

open Expecto
open LmcDsl

let private row models aligned labels (value: string) =
    {
        Measure = "distance"
        Models = models
        Aligned = aligned
        Labels = labels
        Value = Json.parse $$"""{"l2":{{value}}}"""
    }

let tests =
    testList "Draw" [
        test "bars stand at pairs of models, which look like numbers, and a series is named by the keys that it has" {
            let report =
                {
                    Rows = [ row [ "0"; "1" ] false [] "4"; row [ "1"; "2" ] true [ "search", "WM" ] "3" ]
                }

            let figure =
                Draw.bars "distance" "Distances." "pair" [ "state"; "search" ] [ Quantity.l2 ] (fun _ -> true) report
                |> Option.get

            let html = figure.Chart.GetInlineHtml()
            Expect.stringContains html "\"type\":\"category\"" "no axis of numbers"
            Expect.stringContains html "\"name\":\"naive\"" "without a search"
            Expect.stringContains html "\"name\":\"aligned, WM\"" "with one"
        }
    ]
