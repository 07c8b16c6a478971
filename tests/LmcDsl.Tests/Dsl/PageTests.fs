module LmcDsl.Tests.Dsl.PageTests

open System.Text.RegularExpressions
open Expecto
open LmcDsl

let private curve =
    Json.parse
        """{"loss":1.5,"accuracy":30,"midpointLoss":1.25,"midpointAccuracy":25,"curve":[
           {"lambda":0,"loss":0.5,"accuracy":0.9},{"lambda":0.5,"loss":2,"accuracy":0.6},{"lambda":1,"loss":0.5,"accuracy":0.9}]}"""

let private r value =
    Json.parse
        $$"""{"thresholds":[{"gamma":0,"r":{{value}},"layers":[{"name":"fc1.weight","r":{{value}},"kept":3}]}]}"""

let private row measure models aligned value =
    {
        Measure = measure
        Models = models
        Aligned = aligned
        Labels = []
        Value = value
    }

let private report =
    {
        Rows =
            [
                row "barrier" [ "0"; "1" ] false curve
                row "distance" [ "0"; "1" ] false (Json.parse """{"l2":10}""")
                row "distance" [ "0"; "1" ] true (Json.parse """{"l2":8}""")
                row "singularVectors" [ "0"; "1" ] true (r "0.25")
                row "singularVectors" [ "mean"; "0" ] true (r "0.75")
                row "score" [ "0" ] false (Json.parse """{"loss":0.5,"accuracy":0.9}""")
                row "score" [ "mean" ] true (Json.parse """{"loss":0.4,"accuracy":0.95}""")
            ]
    }

let private ops = [ Barrier; Taylor; L2; R; Accuracy ] |> List.map _.Op

let private text =
    {
        Title = "A <title>"
        Command = "do & show"
        Provenance = Json.Object [ "seed", Json.int 1L ]
    }

let tests =
    testList "Page" [
        test "labels that differ between rows are columns, and the drop of L2 is from the naive row of the same setting" {
            let distance models aligned labels value =
                { row "distance" models aligned (Json.parse $$"""{"l2":{{value}}}""") with
                    Labels = labels
                }

            let setting network = [ "data", "glyphs"; "network", network ]

            let rows =
                [
                    distance [ "0"; "1" ] false (setting "A") "10"
                    distance [ "0"; "1" ] false (setting "B") "20"
                    distance [ "0"; "1" ] true (setting "A" @ [ "search", "WM" ]) "8"
                    distance [ "0"; "1" ] true (setting "A" @ [ "search", "AM" ]) "9"
                    distance [ "0"; "1" ] true (setting "B" @ [ "search", "WM" ]) "5"
                ]

            let table = Table.pairs [ L2.Op ] { Rows = rows }

            Expect.equal
                table.Columns
                [ "network"; "search"; "pair"; "state"; "L2"; "L2 drop (%)" ]
                "no column for the data"

            Expect.equal
                table.Rows
                [
                    [ "A"; "–"; "0, 1"; "naive"; "10.00"; "–" ]
                    [ "A"; "WM"; "0, 1"; "aligned"; "8.00"; "20.00" ]
                    [ "A"; "AM"; "0, 1"; "aligned"; "9.00"; "10.00" ]
                    [ "B"; "–"; "0, 1"; "naive"; "20.00"; "–" ]
                    [ "B"; "WM"; "0, 1"; "aligned"; "5.00"; "75.00" ]
                ]
                "rows"

            Expect.equal (Report.toJson { Rows = rows } |> Report.ofJson) { Rows = rows } "written and read again"
        }

        test "the tables hold the numbers, and the reduction of L2" {
            let pairs = Table.pairs ops report

            Expect.equal
                pairs.Columns
                [
                    "pair"
                    "state"
                    "loss barrier (nats)"
                    "excess loss at λ=1/2 (nats)"
                    "acc. barrier (pp)"
                    "acc. at λ=1/2 (%)"
                    "L2"
                    "L2 drop (%)"
                    "R (γ=0)"
                ]
                "columns"

            Expect.equal
                pairs.Rows
                [
                    [ "0, 1"; "naive"; "1.500"; "1.250"; "30.00"; "60.00"; "10.00"; "–"; "–" ]
                    [ "0, 1"; "aligned"; "–"; "–"; "–"; "–"; "8.00"; "20.00"; "0.250" ]
                ]
                "rows"

            Expect.equal (Table.parents ops report).Rows [ [ "mean, 0"; "aligned"; "0.750" ] ] "the mean and its parent"

            Expect.equal
                (Table.singles ops report).Rows
                [ [ "0"; "0.5000"; "90.00" ]; [ "mean, aligned"; "0.4000"; "95.00" ] ]
                "scores"
        }

        test "members stand in the order of their numbers" {
            let pair other = row "distance" [ "0"; other ] false (Json.parse """{"l2":1}""")
            let table = Table.pairs [ L2.Op ] { Rows = [ pair "10"; pair "2"; pair "1" ] }
            Expect.equal (table.Rows |> List.map List.head) [ "0, 1"; "0, 2"; "0, 10" ] "2 before 10"
        }

        test "a table is Markdown" {
            let lines = (TableText.markdown (Table.singles ops report)).Split '\n'
            Expect.equal lines[2] "| model | loss (nats) | accuracy (%) |" "heading"
            Expect.equal lines[4] "| 0 | 0.5000 | 90.00 |" "row"
        }

        test "a report survives JSON, and joining drops what is there twice" {
            Expect.equal (Report.ofJson (Report.toJson report)) report "same"
            Expect.equal (Report.concat [ report; report ]) report "once"
            let other = { Rows = [ row "distance" [ "0"; "1" ] true (Json.parse """{"l2":7}""") ] }
            Expect.equal (Report.concat [ report; other ]).Rows.Length 8 "what says something else is there too"
        }

        test "the page asks nothing of the network, and holds the script, the figures and the provenance" {
            let shown = Results.ofOps ops report
            let html = Page.html text shown.Tables shown.Figures
            let outside = Regex.Matches(html, """(?:src|href)\s*=\s*["'](?!data:)([^"']*)""")
            // plotly.js writes links of its own at run time, as text within the script.
            let inPage = Regex.Replace(html, "(?s)<script>.*?</script>", "")
            Expect.isEmpty (Regex.Matches(inPage, """(?:src|href)\s*=\s*["'](?!data:)""")) $"of {outside.Count} in all"
            Expect.stringContains html "plotly.js v" "plotly within"
            Expect.stringContains html "A &lt;title&gt;" "texts are escaped"
            Expect.stringContains html "do &amp; show" "the command"

            for id in [ "loss-along-line"; "accuracy-along-line"; "r-per-layer" ] do
                Expect.stringContains html $"<div id=\"{id}\"" "figure"
        }

        test
            "the page is light or dark, tables move within their own frame, and how it came about takes one line until it is asked for" {
            let provenance = Json.Object [ "code", Json.Text "0.2.0+a 'b' \"c\"" ]
            let html = Page.html { text with Provenance = provenance } (Results.ofOps ops report).Tables []
            Expect.stringContains html "prefers-color-scheme: dark" "both"
            Expect.stringContains html "color-scheme: light dark" "both, for the browser's own parts"
            Expect.equal (Regex.Matches(html, "<div class=\"wide\"><table>").Count) 3 "each table"
            Expect.stringContains html "<details><summary>" "folded"
            let folded = html.Substring(html.IndexOf "<details>")
            Expect.isFalse (folded.Contains "\\u00") "signs are written as they are"
            Expect.stringContains html "0.2.0+a &#39;b&#39;" "and escaped as HTML does"
        }

        test "over whole numbers there are marks at whole numbers only, over powers at the places" {
            let at epochs value =
                { row "distance" [ "0"; "1" ] true (Json.parse $$"""{"l2":{{value}}}""") with
                    Labels = [ "epochs", epochs ]
                }

            let drawn axis places =
                let rows = places |> List.mapi (fun k place -> at place (string (k + 1)))
                let figure = Draw.lines "x" "" "epochs" axis [] Quantity.l2 (fun _ -> true) { Rows = rows }
                (Option.get figure).Chart.GetInlineHtml()

            Expect.stringContains (drawn "linear" [ "1"; "2"; "3" ]) "\"tickvals\":[1.0,2.0,3.0]" "few places"
            let many = drawn "linear" [ for k in 1..30 -> string k ]
            Expect.stringContains many "\"dtick\":3.0" "whole steps"
            Expect.stringContains (drawn "log" [ "0.05"; "0.1" ]) "\"ticktext\":[\"0.05\",\"0.1\"]" "at the places"
            Expect.isFalse ((drawn "linear" [ "0.5"; "1" ]).Contains "tickvals") "others as they come"
        }

        test "a sweep over two fields has a map of each quantity, and other reports have none" {
            let cell rate width value =
                { row "distance" [ "0"; "1" ] true (Json.parse $$"""{"l2":{{value}}}""") with
                    Labels = [ "learning rate", rate; "width", width; "search", "WM" ]
                }

            let rows = [ cell "0.1" "8" "1"; cell "0.1" "16" "2"; cell "0.2" "8" "3"; cell "0.2" "16" "4" ]
            let maps rows = HeatMap.ofSweep [ Quantity.l2 ] { Rows = rows }
            let figure = List.exactlyOne (maps rows)
            let html = figure.Chart.GetInlineHtml()
            Expect.stringContains html "[[1.0,3.0],[2.0,4.0]]" "its numbers, by width and rate"
            Expect.stringContains figure.Caption "L2 over learning rate and width, aligned by WM" "what it is"

            let again =
                rows
                |> List.map (fun row ->
                    { row with
                        Labels = row.Labels @ [ "seeds", "1" ]
                        Value = Json.parse """{"l2":7}"""
                    })

            let naive =
                rows
                |> List.map (fun row ->
                    { row with
                        Aligned = false
                        Labels = List.truncate 2 row.Labels
                        Value = Json.parse """{"l2":100}"""
                    })

            let several = (List.exactlyOne (maps (naive @ rows @ again))).Chart.GetInlineHtml()
            Expect.stringContains several "[[4.0,5.0],[4.5,5.5]]" "means over seeds, of aligned rows alone"
            Expect.isEmpty (maps (List.truncate 2 rows)) "one field"
            Expect.isEmpty (maps [ row "distance" [ "0"; "1" ] true (Json.parse """{"l2":1}""") ]) "none"
        }

        test
            "many long names are written upwards, with room for them, and no numbers beside one another that do not fit" {
            let map (columns: string list) =
                HeatMap.draw "map" "" "R" 2 ("layer", columns) ("pair", [ "0–1"; "0–2" ]) (fun _ _ -> Some 0.5)

            let few, many = map [ "fc1"; "fc2" ], map [ for k in 1..20 -> $"block{k}.output.weight" ]
            Expect.equal few.Chart.Height 420 "a few"
            Expect.isGreaterThan many.Chart.Height 500 "many"

            let numbers (figure: Figure) =
                System.Text.RegularExpressions.Regex.Count(figure.Chart.GetInlineHtml(), "0\\.50")

            Expect.equal (numbers few, numbers many) (4, 0) "numbers in cells"
        }

        test "the same report gives the same page" {
            let shown = Results.ofOps ops report
            let page () = Page.html text shown.Tables shown.Figures
            Expect.equal (page ()) (page ()) "same bytes"
        }

        test "a report without curves has no figure of them" {
            let ids rows = (Results.ofOps ops { Rows = rows }).Figures |> List.map _.Id
            Expect.equal (ids []) [] "none"
            Expect.equal (ids [ row "singularVectors" [ "0"; "1" ] true (r "0.25") ]) [ "r-per-layer" ] "only R"
        }
    ]
