module LmcDsl.Tests.Dsl.LibraryTests

open System.Threading
open Expecto
open LmcDsl
open LmcDsl.Tests.Fixtures

let private setup =
    { Setup.standard with
        Data = Part(Glyphs, 300, 100)
        Network = mlp [ 6; 5 ]
        Epochs = 1
        Threads = 1
    }

let private metrics = Library.metrics @ [ AgreementWith AM ]

/// A plan with every metric of the library, and the report of a tiny network.
let private measured =
    lazy
        (let plan = (train >> align WM >> mergeN 3 >> measureAll metrics) setup

         inFolder (fun folder ->
             use runner = new Runner({ Store = Store.Open folder; Tell = ignore; Cancel = CancellationToken.None })

             runner.Run [ plan ] |> List.exactlyOne))

// The names of a value's fields, those of lists once: `curve[accuracy,lambda,loss],loss`.
let rec private shape (json: Json) =
    match json with
    | Json.Object fields ->
        fields |> List.map (fun (name, value) -> name + shape value) |> List.sort |> String.concat ","
    | Json.Array(first :: _) ->
        match shape first with
        | "" -> ""
        | inner -> $"[{inner}]"
    | _ -> ""

let tests =
    testList "Library" [
        test "every metric shows a number in the default tables, wherever it is measured" {
            let report = measured.Value

            for metric in metrics do
                let alone = { Rows = report.Rows |> List.filter (fun row -> row.Measure = metric.Op.Name) }
                Expect.isNonEmpty alone.Rows $"{metric.Word}: rows"
                Expect.all alone.Rows _.Failure.IsNone $"{metric.Word}: measured"

                let cells =
                    Table.ofReport [ metric.Op ] alone
                    |> List.collect (fun table ->
                        table.Rows
                        |> List.collect (
                            List.skip (table.Columns |> List.findIndex (fun c -> c = "state" || c = "model") |> (+) 1)
                        ))

                Expect.exists cells (fun cell -> (Number.tryParse cell).IsSome) $"{metric.Word}: a number"
        }

        test "values are stored under the names that they have always had" {
            let shapes =
                [
                    for name, rows in measured.Value.Rows |> List.groupBy _.Measure |> List.sortBy fst ->
                        $"{name}: {shape rows.Head.Value}"
                ]

            Expect.equal
                shapes
                [
                    "activations: groups[correlation,kernel,name,weighted]"
                    "agreement: agreement,layers[agreement,name]"
                    "barrier: accuracy,curve[accuracy,lambda,loss],loss,midpointAccuracy,midpointLoss"
                    "blockVectors: blocks[kept,kind,r],gamma"
                    "distance: l2"
                    "distanceForms: layers[direct,name,spectral]"
                    "inputProjections: layers[name,shares,values]"
                    "landscape: accuracy,loss,models[x,y],x,y"
                    "outputBound: layers[bound,dominantPart,largestRatio,measured,name]"
                    "permutationCycles: groups[cycles,name,stay,units]"
                    "score: accuracy,loss"
                    "simplexBarrier: loss,mixtures[accuracy,excess,loss,shares]"
                    "singularValues: layers[name,values]"
                    "singularVectors: thresholds[gamma,layers[kept,name,r],r]"
                    "taylor: estimate,firstOrder,secondOrder"
                    "trainingBarrier: accuracy,curve[accuracy,lambda,loss],loss,midpointAccuracy,midpointLoss"
                    "trainingCurve: epochs[accuracy,learningRate,loss]"
                ]
                "names"
        }

        test "words of the command line are told apart, and a near miss is told" {
            for words in
                [
                    Library.metrics |> List.map _.Word
                    Library.searches |> List.map _.Word
                    Library.merges |> List.map _.Word
                    Library.dataSets |> List.map _.Name
                ] do
                Expect.equal (List.distinct words) words "each its own"

            Expect.equal (Library.search "--search" "wm").Name "WM" "found"
            Expect.equal (Library.dataSet "--data" "mnist:20+10").Name "mnist:20+10" "a part"

            failsWith [ "--search"; "expected one of am"; "'sinkhron'"; "nearest: sinkhorn" ] (fun () ->
                Library.search "--search" "sinkhron" |> ignore)

            failsWith [ "--data"; "found 'imagenet'" ] (fun () -> Library.dataSet "--data" "imagenet" |> ignore)
        }

        test "a search's options are changed by their names only" {
            let seeded = Search.withOption "seed" (Json.int 5L) WM
            Expect.equal seeded.Options["seed"].Int 5 "changed"
            failsWith [ "wm"; "'sed'"; "seed" ] (fun () -> Search.withOption "sed" (Json.int 5L) WM |> ignore)
        }
    ]
