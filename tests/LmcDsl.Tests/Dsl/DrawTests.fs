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

        test "36 series differ in colour or marker, whatever their dashes" {
            let looks = [ for k in 0..35 -> Draw.colour k, Draw.symbol k ]
            Expect.equal (List.distinct looks).Length 36 "none alike"
        }

        test "whiskers and bands are deviations about the mean, and a line goes through its places in their order" {
            // 1 and 3 at either place: mean 2, deviation sqrt 2.
            let report =
                {
                    Rows =
                        [
                            for width in [ "10"; "2" ] do
                                for seeds, value in [ "0", "1"; "1", "3" ] do
                                    row [ "0"; "1" ] true [ "width", width; "seeds", seeds ] value
                        ]
                }

            let all (_: Subject) = true

            let bars =
                (Draw.bars "b" "B." "width" [ "state" ] [ Quantity.l2 ] all report |> Option.get).Chart.GetInlineHtml()

            Expect.stringContains bars "\"array\":[1.4142135623730951,1.4142135623730951]" "one deviation"
            Expect.stringContains bars "\"y\":[2.0,2.0]" "means"

            let lines =
                (Draw.lines "l" "L." "width" "linear" [ "state" ] Quantity.l2 all report |> Option.get)
                    .Chart.GetInlineHtml()

            Expect.stringContains lines "\"x\":[2.0,10.0]" "2 before 10"
            Expect.stringContains lines "\"x\":[2.0,10.0,10.0,2.0]" "there and back"
            Expect.stringContains lines "3.414213562373095" "a deviation above"
            Expect.stringContains lines "0.5857864376269049" "and one below"
        }

        test "places on a plane are marked across and up" {
            let figure =
                Draw.contour "c" "C." "z" [ 0.0; 5.0 ] [ 0.0; 7.0 ] [ [ 1.0; 2.0 ]; [ 3.0; 4.0 ] ] [
                    "a", 1.0, 6.0
                    "b", 4.0, 3.0
                ]

            let html = figure.Chart.GetInlineHtml()
            Expect.stringContains html "\"x\":[1.0,4.0]" "across"
            Expect.stringContains html "\"y\":[6.0,3.0]" "up"
        }

        test "curves of trainings are over epochs from 1, and inputs' projections are roots of their shares" {
            let of' measure value =
                {
                    Rows =
                        [
                            {
                                Measure = measure
                                Models = [ "0" ]
                                Aligned = false
                                Labels = []
                                Value = Json.parse value
                            }
                        ]
                }

            let html figures = (figures: Figure list) |> List.map _.Chart.GetInlineHtml() |> String.concat "\n"

            let curves =
                """{"epochs":[{"loss":2,"accuracy":0.5,"learningRate":0.1},{"loss":1,"accuracy":0.75,"learningRate":0.1}]}"""

            let drawn = html (Curves.Op.Draws(of' "trainingCurve" curves))
            Expect.stringContains drawn "\"x\":[1.0,2.0]" "epochs"
            Expect.stringContains drawn "\"y\":[2.0,1.0]" "losses"
            Expect.stringContains drawn "\"y\":[50.0,75.0]" "accuracies in per cent"

            let projections = """{"layers":[{"name":"fc1.weight","values":[4,2],"shares":[0.25,0.0625]}]}"""
            let drawn = html (Spectra.projectionFigures (of' "inputProjections" projections))
            Expect.stringContains drawn "\"x\":[1.0,0.5]" "over the largest"
            Expect.stringContains drawn "\"y\":[0.5,0.25]" "root mean squares"
        }

        test "the map of R is of aligned pairs, at the largest threshold" {
            let r models aligned value =
                let threshold gamma value =
                    $$"""{"gamma":{{gamma}},"r":0,"layers":[{"name":"fc1.weight","r":{{value}},"kept":3}]}"""

                let value = $$"""{"thresholds":[{{threshold "0" "0.125"}},{{threshold "0.3" value}}]}"""

                {
                    Measure = "singularVectors"
                    Models = models
                    Aligned = aligned
                    Labels = (if aligned then [ "search", "WM" ] else [])
                    Value = Json.parse value
                }

            let report =
                {
                    Rows =
                        [
                            r [ "0"; "1" ] false "0.01"
                            r [ "0"; "2" ] false "0.02"
                            r [ "0"; "1" ] true "0.75"
                            r [ "0"; "2" ] true "0.5"
                        ]
                }

            let maps = R.Op.Draws report |> List.filter _.Id.StartsWith("r-map")
            let map = List.exactlyOne maps
            Expect.stringContains map.Caption "γ = 0.3" "the threshold"
            Expect.stringContains (map.Chart.GetInlineHtml()) "[[0.5],[0.75]]" "pairs by rows, the first on top"
        }
    ]
