module LmcDsl.Tests.Dsl.QuantityTests

open System.IO
open Expecto
open LmcDsl
open LmcDsl.Tests.Fixtures

let private row measure models aligned labels (value: string) =
    {
        Measure = measure
        Models = models
        Aligned = aligned
        Labels = labels
        Value = Json.parse value
    }

let private distance aligned labels value = row "distance" [ "0"; "1" ] aligned labels $$"""{"l2":{{value}}}"""

/// Two seeds of one network: distances 10 and 20 as trained, 8 and 15 by WM.
let private report =
    {
        Rows =
            [
                for seed, before, after in [ "0", "10", "8"; "1", "20", "15" ] do
                    distance false [ "network", "A"; "seeds", seed ] before
                    distance true [ "network", "A"; "seeds", seed; "search", "WM" ] after
                row "barrier" [ "0"; "1" ] true [ "network", "B" ] """{"failed":"no luck"}"""
            ]
    }

let private columns =
    [
        Column.mean Quantity.l2Before
        Column.mean Quantity.l2
        Column.mean Quantity.reduction
        Column.count
    ]

let tests =
    testList "Quantity" [
        test "a summary table has mean and deviation over what is not a key, and leaves out what was not measured" {
            let table =
                Table.summary "T" [ "network"; "search" ] (Column.mean Quantity.lossBarrier :: columns) _.Aligned report

            Expect.equal table.Columns [ "network"; "search"; "L2 before"; "L2"; "L2 drop (%)"; "n" ] "columns"
            Expect.equal table.Rows [ [ "A"; "WM"; "15.00 ± 7.07"; "11.50 ± 4.95"; "22.50 ± 3.54"; "2" ] ] "rows"
        }

        test "the paired test is a column, starred where it finds a difference" {
            let shifted =
                { Quantity.l2 with
                    Of = fun s -> Quantity.l2.Of s |> Option.map (fun x -> x + 5.0 + x / 1000.0)
                }

            let p = (Column.paired "p" Quantity.l2 shifted).Cell(Subject.ofReport report)
            Expect.stringEnds p "*" "different"

            Expect.equal
                ((Column.paired "p" Quantity.l2 Quantity.l2).Cell(Subject.ofReport report))
                "–"
                "no difference at all"
        }

        test "failed measurements have a table of their own, and no part in others" {
            Expect.equal
                (Table.failures report).Rows
                [ [ "barrier"; "0, 1, aligned"; "B"; "no luck" ] ]
                "which, and why"

            Expect.isFalse (Subject.ofReport report |> List.exists (fun s -> s.Key "network" = "B")) "no subject"
        }

        test "a folder of results tells what failed in its own run, and not in one before" {
            inFolder (fun folder ->
                let write (report: Report) =
                    let exhibits = { Tables = []; Figures = [] }

                    Results.write folder false "x" "X" (Results.provenance "command" []) [] [] exhibits report
                    |> ignore

                    File.Exists(Path.Combine(folder, "failed-measurements.csv"))

                Expect.isTrue (write report) "some failed"

                let sound =
                    { report with
                        Rows = report.Rows |> List.filter (fun row -> row.Failure.IsNone)
                    }

                Expect.isFalse (write sound) "none did")
        }

        test "layers become rows" {
            let forms = Measure.derived<{| Layers: {| Name: string; D: float |} list |}> "forms"
            let layer = Measure.derived<{| Name: string; D: float |}> "formsOfLayer"

            let report =
                {
                    Rows =
                        [
                            row
                                "forms"
                                [ "0" ]
                                false
                                [ "x", "y" ]
                                """{"layers":[{"name":"fc1.weight","d":1},{"name":"fc2.weight","d":3}]}"""
                        ]
                }

            let byLayer =
                Measure.byLayer
                    (fun (f: {| Layers: {| Name: string; D: float |} list |}) ->
                        [ for l: {| Name: string; D: float |} in f.Layers -> l.Name, l ])
                    layer
                    forms
                    report

            let mean = Column.mean (layer |> Measure.quantity "d" 1 _.D)
            let table keys = (Table.summary "T" keys [ mean ] (fun _ -> true) byLayer).Rows
            Expect.equal (table [ "layer" ]) [ [ "fc1"; "1.0" ]; [ "fc2"; "3.0" ] ] "each"
            Expect.equal (table [ "x" ]) [ [ "y"; "2.0 ± 1.4" ] ] "over both"
        }

        test "a value that lacks a field of its type is not read as zero" {
            let measure = Measure.derived<{| A: float; B: float |}> "pairOfNumbers"
            failsWith [ "pairOfNumbers"; "b" ] (fun () -> Measure.read measure (Json.parse """{"a":1}""") |> ignore)
            let back = Measure.read measure (Json.parse """{"b":"NaN","a":1}""")
            Expect.isTrue (System.Double.IsNaN back.B) "what JSON lacks comes back"
        }

        test "tables are written for papers and for programs" {
            let table =
                {
                    Title = "A & B"
                    Columns = [ "a_b"; "γ (%)" ]
                    Rows = [ [ "x, \"y\""; "1.0 ± 0.5" ]; [ "z"; "–" ] ]
                }

            let latex = TableText.latex "t" table
            Expect.stringContains latex "\\begin{tabular}{lr}" "text left, numbers right"
            Expect.stringContains latex "a\\_b & $\\gamma$ (\\%) \\\\" "escaped"
            Expect.stringContains latex "1.0 $\\pm$ 0.5" "plus or minus"
            Expect.equal (TableText.csv table) "a_b,γ (%)\r\n\"x, \"\"y\"\"\",1.0 ± 0.5\r\nz,–\r\n" "quoted"
        }
    ]
