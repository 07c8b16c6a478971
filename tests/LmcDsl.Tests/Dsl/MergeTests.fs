/// Merges beside the mean as stages, and what stages would lose.
module LmcDsl.Tests.Dsl.MergeTests

open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Merging
open LmcDsl.Tests.Fixtures

let private setup = { Setup.standard with Data = Glyphs; Network = mlp [ 4 ]; Threads = 1 }
let private rows plan = ReportStep.rows plan

let private labels plan =
    [
        for row, _ in rows plan -> [ for m in row["models"].Items -> m.String ], Report.labelsOfJson row["labels"]
    ]

let private refused parts pipeline = failsWith parts (fun () -> setup |> pipeline |> ignore)

let tests =
    testList "Merge stages" [
        test "rows of the merged model say by what, rows of the others are those of any merge" {
            let report merge = (train >> align WM >> merge >> measureAll [ L2; Accuracy ]) setup
            let mean, ties = report (mergeN 2), report (mergeBy TIES 2)
            let ofMean = labels mean |> List.filter (fun (models, _) -> models <> [ "mean" ])
            let ofTies = labels ties |> List.filter (fun (models, _) -> models <> [ "mean" ])
            Expect.equal ofTies ofMean "pairs and members"

            Expect.equal
                (labels ties |> List.filter (fun (models, _) -> models = [ "mean" ]) |> List.map snd)
                [ [ "merge", "TIES" ]; [ "search", "WM"; "merge", "TIES" ] ]
                "merged, naive and aligned"

            Expect.isEmpty (conflicts [ mean; ties; report (mergeBy Spherical 2) ]) "side by side in one table"
        }

        test "options are in the key, and two of one method need names" {
            let ties density = ties (TiesMerge density)
            let report merge = (train >> align WM >> merge >> measure Accuracy) setup
            let one, other = report (mergeBy (ties 0.2) 2), report (mergeBy (ties 0.5) 2)
            Expect.notEqual (Plan.node one).Key (Plan.node other).Key "other options, other values"
            Expect.isNonEmpty (conflicts [ one; other ]) "cannot stand in one table"
            let named name density = report (mergeAs name (ties density) 2)
            Expect.isEmpty (conflicts [ named "a fifth" 0.2; named "half" 0.5 ]) "with names they can"
        }

        test "weights make as many models as there are, and must be weights" {
            let plan = (train >> align WM >> mergeWith [ 0.5; 0.3; 0.2 ] >> measure Accuracy) setup
            let trained = Plan.steps [ Plan.node plan ] |> List.filter isTraining
            Expect.equal trained.Length 3 "three models"
            refused [ "mergeWith"; "sum to 1"; "0.5; 0.6" ] (train >> mergeWith [ 0.5; 0.6 ] >> measure Accuracy)
            refused [ "mergeWith"; "sum to 1" ] (train >> mergeWith [ 0.5; 0.5001 ] >> measure Accuracy)
            refused [ "mergeWith" ] (train >> mergeWith [] >> measure Accuracy)
            refused [ "mergeBy"; "found 0" ] (train >> mergeBy TIES 0 >> measure Accuracy)
        }

        test "a note says on how many images statistics are recomputed, where there are any" {
            let notes network =
                Notes.ofPlans [
                    (train >> repairOn 77 >> renormalise >> mergeN 2 >> measure Accuracy)
                        { setup with Network = network }
                ]

            let normed (data: DataSet) =
                Build.network "normed" [ Build.flatten; Build.dense 4; Build.batchNorm; Build.relu; Build.output ] data

            Expect.equal
                (notes normed)
                [
                    "glyphs: batch-norm statistics of merged networks are recomputed on up to 77 or 10,000 training examples."
                ]
                "of the mean and of what is renormalised"

            Expect.equal (notes (mlp [ 4 ])) [] "an MLP has none"
        }

        test "a table of positions keeps the number in the keys of what was measured, and no note tells of it" {
            let options =
                TransformerOptions(
                    Layers = 1,
                    Width = 8,
                    Heads = 2,
                    Context = 4,
                    Positions = PositionEncoding.Sinusoidal
                )

            let ofText = { setup with Data = TinyShakespeare; Network = gptOf options }

            Expect.equal (train ofText).ResetOn (Some 10_000) "as it was measured"

            let notes = Notes.ofPlans [ (train >> mergeN 2 >> measure Accuracy) ofText ] |> String.concat " "

            Expect.isFalse (notes.Contains "batch-norm") "none to tell of"
        }

        test "statistics are recomputed after any merge" {
            let network =
                { setup with
                    Network = resnet20 0.25 LmcDsl.Core.Architectures.Norm.Batch
                    Data = Cifar10
                }

            let plan = (train >> mergeBy Spherical 2 >> measure Accuracy) network
            let titles = Plan.steps [ Plan.node plan ] |> List.map _.Title
            Expect.contains titles "spherical interpolation of 2, naive, statistics reset" "as after the mean"
        }

        test "the first groups only are a step of their own" {
            let plan = (train >> alignFirst 1 WM >> measure L2) setup
            let all = (train >> align WM >> measure L2) setup
            let permutes plan = Plan.steps [ Plan.node plan ] |> List.filter (fun n -> n.Op.Name = "permute")
            Expect.equal (permutes plan).Head.Args (Json.parse """{"firstGroups":1}""") "so many"
            Expect.notEqual (permutes plan).Head.Key (permutes all).Head.Key "another value"
            Expect.equal (permutes plan).Head.Inputs[1].Key (permutes all).Head.Inputs[1].Key "of one search"
            Expect.contains (snd (List.last (labels plan))) ("search", "WM, first 1 groups") "said in tables"
            refused [ "alignFirst"; "-1" ] (train >> alignFirst -1 WM >> measure L2)
        }

        test "a stage that would take another's place is refused, with both written out" {
            refused
                [ "mergeBy"; "mergeN 3"; "Write one of the two" ]
                (train >> mergeN 3 >> mergeBy TIES 2 >> measure L2)

            refused [ "mergeN"; "mergeN 3" ] (train >> mergeN 3 >> mergeN 2 >> measure L2)
            refused [ "mergeWith"; "mergeN 2" ] (train >> mergeN 2 >> mergeWith [ 1.0 ] >> measure L2)
            refused [ "pairs"; "pairs [ 0, 1 ]" ] (train >> pairs [ 0, 1 ] >> pairs [ 0, 2 ] >> measure L2)
            refused [ "repairOn"; "keepStatistics" ] (train >> keepStatistics >> repairOn 5 >> mergeN 2 >> measure L2)
            refused [ "keepStatistics"; "repairOn 5" ] (train >> repairOn 5 >> keepStatistics >> mergeN 2 >> measure L2)
            refused [ "repairOn"; "repairOn 5" ] (train >> repairOn 5 >> repairOn 6 >> mergeN 2 >> measure L2)
            refused [ "labelled"; "'a'"; "'x' and 'y'" ] (train >> labelled "a" "x" >> labelled "a" "y" >> measure L2)

            refused
                [ "sweep over epochs"; "which it would hide" ]
                (train >> measure L2 |> sweep Epochs [ 1; 2 ] |> sweep Epochs [ 3 ])

            refused [ "pairs"; "1 with itself" ] (train >> pairs [ 1, 1 ] >> measure L2)
        }

        test "aligned once more, the rows say by what, and no one search stands behind them" {
            let plan = (train >> align WM >> align AM >> measure L2) setup
            Expect.contains (snd (List.last (labels plan))) ("search", "WM, then AM") "both"
            refused [ "agreement"; "aligned one by one" ] (train >> align WM >> align AM >> measure (AgreementWith WM))
        }

        test "a seed that comes twice is refused: a model would be measured against itself" {
            for seeds in [ [ 1L; 1L; 2L ]; [ 4L; 5L; 4L ] ] do
                failsWith [ "seeds"; "twice"; "against itself" ] (fun () ->
                    { setup with Seeds = Listed seeds } |> (train >> measure L2) |> ignore)
        }
    ]
