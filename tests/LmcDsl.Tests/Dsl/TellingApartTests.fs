/// Rows, numbers and files that could be taken for one another are told apart, or refused before anything runs.
module LmcDsl.Tests.Dsl.TellingApartTests

open System.IO
open Expecto
open LmcDsl
open LmcDsl.Core.Matching
open LmcDsl.Tests.Fixtures

let private setup =
    { Setup.standard with
        Data = Part(Glyphs, 20, 10)
        Network = mlp [ 4 ]
        Epochs = 1
    }

let private row measure models aligned labels (value: string) =
    {
        Measure = measure
        Models = models
        Aligned = aligned
        Labels = labels
        Value = Json.parse value
    }

let private distance models aligned labels = row "distance" models aligned labels """{"l2":1.0}"""
let private score models = row "score" models false [] """{"loss":1.0,"accuracy":0.5}"""

let private own name heading =
    let measure = Measure.make name 1 (fun context -> {| Value = float context.Inputs.Length |})
    measure |> Metric.on Looks.pairs name Metric.plain [ measure |> Measure.quantity heading 2 _.Value ]

let private refused parts pipeline = failsWith parts (fun () -> setup |> pipeline |> ignore)

let tests =
    testList "Telling apart" [
        test "a label that some rows lack is a column, and a part of what figures call rows; a search is not" {
            let rows =
                [
                    distance [ "0"; "1" ] false []
                    distance [ "0"; "1" ] false [ "rate", "0.01" ]
                    distance [ "0"; "1" ] true [ "search", "WM" ]
                ]

            let table = Table.pairs [ L2.Op ] { Rows = rows }
            Expect.equal (List.truncate 3 table.Columns) [ "rate"; "pair"; "state" ] "columns"
            Expect.equal (table.Rows |> List.map List.head |> List.sort) [ "0.01"; "–"; "–" ] "cells"
            let variant = Report.variant rows
            Expect.equal (rows |> List.map variant) [ "naive"; "naive, 0.01"; "aligned" ] "variants"
            let two = rows @ [ distance [ "0"; "1" ] true [ "search", "AM" ] ]
            Expect.equal (two |> List.map (Report.variant two) |> List.last) "aligned, AM" "two searches"
        }

        test "names that tables have for something else are no labels" {
            for name in [ "state"; "pair"; "models"; "aligned"; "" ] do
                refused [ "labelled"; $"'{name}'" ] (train >> labelled name "mine" >> measure L2)

                failsWith [ "sweep over"; $"'{name}'" ] (fun () ->
                    sweepOver name string [ 1 ] (fun _ -> train >> measure L2) setup |> ignore)
        }

        test "a merge's name may be a label already" {
            let population = setup |> (train >> labelled "merge" "mine" >> mergeBy TIES 2)
            Expect.equal (population.Labels |> List.filter (fst >> (=) "merge")) [ "merge", "TIES" ] "once"
        }

        test "the number of measurements is that behind the other columns" {
            let report =
                {
                    Rows =
                        [
                            for pair in [ [ "0"; "1" ]; [ "0"; "2" ]; [ "1"; "2" ] ] do
                                distance pair false []
                            for parent in [ "0"; "1" ] do
                                row "singularVectors" [ "mean"; parent ] false [] "{}"
                        ]
                        @ [ for k in [ "0"; "1"; "2"; "3" ] -> score [ k ] ]
                }

            let count columns =
                (Table.summary "T" [ "state" ] columns (fun _ -> true) report).Rows |> List.exactlyOne |> List.last

            Expect.equal (count [ Column.mean Quantity.l2; Column.count ]) "3" "pairs"
            let both = [ Column.mean Quantity.l2; Column.mean Quantity.accuracy ]
            Expect.equal (count (both @ [ Column.count ])) "3–4" "from the fewest to the most"
            Expect.equal (count (both @ [ Column.countOf Quantity.accuracy ])) "4" "of one"
        }

        test "the first so many training examples are not for what reads test examples" {
            failsWith [ "onFirst 50"; "barrier"; "test examples" ] (fun () ->
                measure (Metric.onFirst 50 Barrier) (train setup) |> ignore)
        }

        test "permutations of all groups alone stand for a search's" {
            for align' in [ alignFirst 1 WM; align RotatedWM ] do
                refused [ "agreement"; "all groups" ] (train >> align' >> measure (AgreementWith WM))
                refused [ "all groups" ] (train >> align' >> measure PermutationCycles)

                failsWith [ "alignLike"; "search for permutations" ] (fun () ->
                    train setup |> alignLike "itself" (setup |> (train >> align')) |> ignore)
        }

        test "pairs are of members from 0 on" { refused [ "pairs"; "-1" ] (train >> pairs [ -1, 0 ] >> measure L2) }

        test "two numbers of one heading are refused before anything runs, and what results call something else" {
            let plans metrics = [ (train >> measureAll metrics) setup ]

            let refused parts metrics = failsWith parts (fun () -> RunTogether.requireHeadings (plans metrics))

            refused [ "'value'"; "one"; "other" ] [ own "one" "value"; own "other" "value" ]
            refused [ "one"; "'models'" ] [ own "one" "models" ]
            RunTogether.requireHeadings (plans [ own "one" "value"; own "other" "another value"; L2; Barrier; R ])
            RunTogether.requireHeadings (plans [ L2; L2 ])
        }

        test "every metric of the library has headings of its own" {
            let three = train >> align WM >> mergeN 3
            RunTogether.requireHeadings [ for metric in Library.metrics -> (three >> measure metric) setup ]
        }

        test "an experiment without anything to measure is refused" {
            let plans pipeline =
                RunTogether.plansOf (Experiment.create "mine" "Mine" setup [ pipeline ]) { Size = Laptop; Adapt = id }

            for pipeline in
                [
                    train >> measureAll []
                    train >> pairs [] >> measure L2
                    train >> measure L2 |> sweep Epochs []
                    train >> mergeN 1 >> measure L2
                ] do
                failsWith [ "mine"; "something to measure" ] (fun () -> plans pipeline |> ignore)

            Expect.isNonEmpty (plans (train >> measure L2)) "something"
        }

        test "of two metrics on one measurement both are shown" {
            let measure = Measure.make "mine" 1 (fun _ -> {| One = 1.0; Other = 2.0 |})
            let on quantity = measure |> Metric.on Looks.pairs "mine" Metric.plain [ quantity ]
            let one = on (measure |> Measure.quantity "one" 2 _.One)
            let other = on (measure |> Measure.quantity "other" 2 _.Other)
            let shown = Table.shown [ one.Op; other.Op; one.Op ] { Rows = [] }
            Expect.equal (shown |> List.map _.Heading) [ "one"; "other" ] "headings"
        }

        test "two figures or tables of one name have a file each, and a later run takes away what it did not write" {
            inFolder (fun folder ->
                let table title cell = { Title = title; Columns = [ "x" ]; Rows = [ [ cell ] ] }
                let figure caption = Draw.figure "f" caption (Draw.layout "x" "y") []

                let write tables figures =
                    let exhibits = { Tables = tables; Figures = figures }

                    Results.write folder false "x" "X" (Results.provenance "command" []) [] [] exhibits { Rows = [] }
                    |> ignore

                let has file = File.Exists(Path.Combine(folder, file))
                write [ table "T" "1"; table "t" "2"; table "Other" "3" ] [ figure "first"; figure "second" ]
                Expect.isTrue (has "t.csv" && has "t-2.csv" && has "other.csv") "a file each"
                let page = File.ReadAllText(Path.Combine(folder, "index.html"))
                Expect.stringContains page "id=\"f-2\"" "both drawn"
                File.WriteAllText(Path.Combine(folder, "mine.csv"), "of somebody else")
                write [ table "T" "1" ] []
                Expect.isTrue (has "t.csv" && has "mine.csv") "what is written, and what was never ours"
                Expect.isFalse (has "t-2.csv" || has "other.csv") "what an earlier run wrote")
        }

        test "a sweep's map is of pairs of models, without the mean and its parents" {
            let rows =
                [
                    for a in [ "1"; "2" ] do
                        for b in [ "1"; "2" ] do
                            let labels = [ "a", a; "b", b ]
                            row "distance" [ "0"; "1" ] false labels """{"l2":2.0}"""
                            row "distance" [ "mean"; "0" ] false labels """{"l2":4.0}"""
                ]

            let map = HeatMap.ofSweep [ Quantity.l2 ] { Rows = rows } |> List.exactlyOne

            let cells =
                [
                    for annotation in map.Chart.GetInlineHtml().Split("\"text\":\"").[1..] -> annotation.Split('"').[0]
                ]

            Expect.equal
                (cells |> List.filter (fun text -> text = "2.00"))
                [ "2.00"; "2.00"; "2.00"; "2.00" ]
                "means of pairs"
        }

        test "each argument that changes a set-up is known with what the others change" {
            let arguments = Arguments.parse "x.fsx" [ "--epochs"; "7"; "--seeds"; "4"; "5"; "--set"; "Width=9" ]
            let written = arguments.Assignments |> List.map fst
            Expect.equal written [ "--seeds"; "--epochs 7"; "--set Width=9" ] "as they are written"
            let without = snd arguments.Assignments[1] setup
            Expect.equal (without.Epochs, without.Seeds) (setup.Epochs, Listed [ 4L; 5L ]) "but for the epochs"
            let all = arguments.Change setup
            Expect.equal (all.Epochs, all.Seeds) (7, Listed [ 4L; 5L ]) "all"
        }

        test "options of all searches are within what they say" {
            let bad = weightMatching (WeightMatchingOptions(MaxSweeps = -1))
            use memory = new InMemory(System.Threading.CancellationToken.None)
            let population = setup |> (train >> align bad)

            failsWith [ "weight matching"; "passes of 1 or more" ] (fun () ->
                memory.Value(Plan.node (population.Alignment.Value 1)) |> ignore)
        }
    ]
