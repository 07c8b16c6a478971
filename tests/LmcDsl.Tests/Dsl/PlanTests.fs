module LmcDsl.Tests.Dsl.PlanTests

open System.IO
open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Matching
open LmcDsl.Core.Training
open LmcDsl.Tests.Fixtures

let private setup = { Setup.standard with Threads = 2 }
let private mainJob = train >> align WM >> mergeN 3 >> measure R
let private keyOf plan = (Plan.node plan).Key
let private steps plan = Plan.steps [ Plan.node plan ]
let private trainings plan = steps plan |> List.filter (fun node -> node.Op.Name = "train")

/// Every field of a set-up, changed: each must give other models.
let private changes: (string * (Setup -> Setup)) list =
    [
        "Data", fun s -> { s with Data = Mnist }
        "Network", fun s -> { s with Network = mlp [ 512; 512; 511 ] }
        "Epochs", fun s -> { s with Epochs = 11 }
        "BatchSize", fun s -> { s with BatchSize = 64 }
        "LearningRate", fun s -> { s with LearningRate = 2e-3 }
        "WeightDecay", fun s -> { s with WeightDecay = 1e-4 }
        "Optimizer", fun s -> { s with Optimizer = Sgd() }
        "Optimizer's own field", fun s -> { s with Optimizer = Adam(0.8) }
        "Augmentation", fun s -> { s with Augmentation = Augmentation.FlipCrop }
        "Schedule", fun s -> { s with Schedule = Cosine() }
        "Seeds", fun s -> { s with Seeds = Listed [ 7L; 8L; 9L ] }
        "Device", fun s -> { s with Device = "cuda" }
        "Threads", fun s -> { s with Threads = 1 }
        "Precision", fun s -> { s with Precision = Precision.Mixed }
        "Shared", fun s -> { s with Shared = Some(SharedStart(1L, 2)) }
    ]

let tests =
    testList "Plan" [
        test "the main job type-checks with F#'s own >> and makes this plan" {
            let golden = File.ReadAllText(Path.Combine(__SOURCE_DIRECTORY__, "main-job.plan.txt"))
            Expect.equal (Plan.show (mainJob setup) + "\n") golden "golden"
        }

        test "composing runs nothing: the plan of a data set that is nowhere can be made" {
            let plan = mainJob { setup with Data = Mnist; Epochs = 1_000_000 }
            Expect.equal (trainings plan).Length 3 "three models"
        }

        for n in [ 1; 2; 3; 10 ] do
            test $"mergeN {n} decides how many models are trained" {
                let plan = (train >> align WM >> mergeN n >> measureAll [ Accuracy; R; L2 ]) setup
                Expect.equal (trainings plan).Length n "trained"
            }

        test "without mergeN a pair is measured" {
            Expect.equal (trainings ((train >> measure L2) setup)).Length 2 "members 0 and 1"
        }

        for field, change in changes do
            test $"whatever changes a value is in its key: {field}" {
                let one, other = (train setup).Member 0, (train (change setup)).Member 0
                Expect.notEqual (keyOf other) (keyOf one) "another key"
            }

        test "every field of a set-up is covered by the list above" {
            let covered = changes |> List.map (fun (name, _) -> name.Split(' ').[0].Replace("'s", "")) |> set
            let fields = FSharp.Reflection.FSharpType.GetRecordFields typeof<Setup> |> Array.map _.Name |> set
            Expect.equal covered fields "all fields"
        }

        test "options of a search and of a metric are in the key" {
            let withSearch search = (train >> align search >> mergeN 2 >> measure L2) setup |> keyOf
            let other = weightMatching (WeightMatchingOptions(Seed = 1L))
            Expect.notEqual (withSearch other) (withSearch WM) "seed of the search"
            let withMetric metric = (train >> align WM >> mergeN 2 >> measure metric) setup |> keyOf

            let keys =
                [ R; SingularVectors [ 0.0 ]; Barrier; BarrierOnTest 11; Taylor; L2; Accuracy ] |> List.map withMetric

            Expect.equal (List.distinct keys) keys "each its own"
        }

        test "the same description has the same key, made twice" {
            Expect.equal (keyOf (mainJob setup)) (keyOf (mainJob setup)) "same"
        }

        test "reports that say two things of the same models are found before anything runs" {
            let by search = (train >> align search >> mergeN 2 >> measureAll [ L2; Accuracy ]) setup
            Expect.equal (conflicts [ by WM; by WM; mainJob setup ]) [] "the same steps agree"
            Expect.equal (conflicts [ by WM; by AM ]) [] "rows of two searches have different labels"
            let seeded = weightMatching (WeightMatchingOptions(Seed = 1L))

            Expect.equal
                (conflicts [ by WM; by seeded ])
                [ "L2 of 0 and 1, aligned"; "score of mean, aligned" ]
                "one search with two options does not"

            let named = (train >> alignAs "WM, seed 1" seeded >> mergeN 2 >> measureAll [ L2; Accuracy ]) setup
            Expect.equal (conflicts [ by WM; named ]) [] "unless it has another name"
        }

        test "titles are not part of a key" {
            let op version = Op.make "op" version 0.1 (fun _ -> Document Json.Null)
            let make title : Plan<Report> = Plan.make (op 1) title Args.none []
            Expect.equal (keyOf (make "a")) (keyOf (make "b")) "same key"
            let other: Plan<Report> = Plan.make (op 2) "a" Args.none []
            Expect.notEqual (keyOf other) (keyOf (make "a")) "the version is"
        }

        test "steps that two pipelines share are one step" {
            let one = mainJob setup |> Plan.node
            let other = (train >> align WM >> mergeN 3 >> measure L2) setup |> Plan.node
            let together = Plan.steps [ one; other ]
            Expect.equal (together |> List.filter (fun node -> node.Op.Name = "train") |> List.length) 3 "trained once"

            Expect.equal
                (together |> List.filter (fun node -> node.Op.Name = "weightMatching") |> List.length)
                2
                "matched once"
        }

        test "batch-norm statistics are recomputed after merging, where there are any and unless kept" {
            let resets pipeline network =
                steps (pipeline { setup with Network = network; Data = Glyphs })
                |> List.filter (fun node -> node.Op.Name = "resetStatistics")
                |> List.length

            let plain = train >> align WM >> mergeN 2 >> measure Accuracy
            let kept = train >> align WM >> keepStatistics >> mergeN 2 >> measure Accuracy
            let withNorm = resnet20 0.25 Norm.Batch
            Expect.equal (resets plain withNorm) 2 "the mean aligned and the mean as trained"
            Expect.equal (resets kept withNorm) 0 "kept"
            Expect.equal (resets plain (mlp [ 4 ])) 0 "an MLP has none"
            Expect.equal (resets plain (resnet20 0.25 Norm.Layer)) 0 "nor has layer norm"
        }

        test "any search can be aligned by" {
            let ops search = steps ((train >> align search >> mergeN 2 >> measure L2) setup) |> List.map _.Op.Name
            Expect.contains (ops WM) "weightMatching" "by weights"
            Expect.contains (ops AM) "activationMatching" "by activations"
            Expect.contains (ops STE) "straightThrough" "straight through"
            Expect.contains (ops SinkhornWM) "sinkhornMatching" "by weights, relaxed"
        }

        test "a search can begin at what another one found" {
            let found search =
                steps ((train >> align search >> mergeN 2 >> measure L2) setup)
                |> List.filter (fun node -> node.Op.Name.EndsWith "Matching" || node.Op.Name = "straightThrough")
                |> List.map (fun node -> node.Op.Name, node.Inputs |> List.map _.Op.Name)

            let models = [ "train"; "train" ]

            Expect.equal
                (found (STE |> startingFrom (WM |> startingFrom AM)))
                [
                    "activationMatching", models
                    "weightMatching", models @ [ "activationMatching" ]
                    "straightThrough", models @ [ "weightMatching" ]
                ]
                "one after another"

            failsWith [ "startingFrom"; "AM" ] (fun () -> found (AM |> startingFrom WM) |> ignore)
        }

        test
            "a search that begins at a chain of others goes back to the chain's first, and all see the images that they are given" {
            let chain = STE |> startingFrom AM
            let seeing = givenImages 100 (STE |> startingFrom (WM |> startingFrom AM))
            let rec words (search: Search) = search.Word :: (search.Start |> Option.map words |> Option.defaultValue [])

            let rec images (search: Search) =
                search.Images :: (search.Start |> Option.map images |> Option.defaultValue [])

            Expect.equal
                (words (SinkhornSTE |> startingFrom chain |> startingFrom WM))
                [ "sinkhorn-ste"; "ste"; "am"; "wm" ]
                "in turn"

            Expect.equal (images seeing) [ Some 100; None; Some 100 ] "weight matching reads none"
        }

        test "what is measured on several models is of the models as they are by then" {
            let inputs metric =
                let population = (train >> align WM >> mergeN 3) setup

                [
                    for about, step in ReportStep.rows (measure metric population) do
                        about["aligned"].Boolean, step.Inputs |> List.map _.Op.Name
                ]

            let trained, moved = [ "train"; "train"; "train" ], [ "train"; "permute"; "permute" ]
            Expect.equal (inputs LandscapePlane) [ false, trained; true, moved ] "the plane"
            Expect.equal (inputs SimplexBarrier) [ false, trained; true, moved ] "mixtures of all"

            Expect.equal
                (inputs Taylor)
                [ true, [ "train"; "permute" ]; true, [ "train"; "permute" ]; true, [ "permute"; "permute" ] ]
                "what is measured at the end only"

            let means =
                [
                    for about, step in ReportStep.rows (measure Accuracy ((train >> align WM >> mergeN 2) setup)) do
                        if about["models"] = Json.texts [ "mean" ] then
                            about["aligned"].Boolean, step.Inputs.Head.Inputs |> List.map _.Op.Name
                ]

            Expect.equal means [ false, [ "train"; "train" ]; true, [ "train"; "permute" ] ] "the mean"
        }

        test "agreement is with what the other search finds on the models as trained" {
            let population = (train >> align WM >> mergeN 2) setup
            let row = ReportStep.rows (measure (AgreementWith AM) population) |> List.exactlyOne |> snd
            let found = row.Inputs |> List.map (fun node -> node.Op.Name, node.Inputs |> List.map _.Op.Name)

            Expect.equal
                found
                [ "train", []; "weightMatching", [ "train"; "train" ]; "activationMatching", [ "train"; "train" ] ]
                "neither sees what the other did"
        }

        test "on the first images is on so many training images" {
            let population = train { setup with Data = Glyphs }
            let args = ((Metric.onFirst 50 TrainingBarrier).Args population).Json
            Expect.equal args["data"].["name"].String "glyphs:50+1" "a part"
        }

        test "networks of the catalogue are those that they are called by" {
            let sizes (network: DataSet -> Architecture) =
                (Network(network Cifar10)).Parameters |> Seq.filter (fun p -> p.Shape.Length > 1) |> Seq.length

            let of' network = network 0.0625 Norm.Batch
            // Weights of convolutions, of shortcuts and of the last layers.
            Expect.equal (sizes (of' vgg11)) 9 "8 and the last"
            Expect.equal (sizes (of' vgg16)) 14 "13 and the last"
            Expect.equal (sizes (of' resnet20)) 22 "19, 2 shortcuts and the last"
            Expect.equal (sizes (of' resnet50)) 54 "49, 4 shortcuts and the last"
        }

        test "several models are matched together by one step, of as many as asked for" {
            let joint = (train >> alignAll 3 Universe >> mergeN 3 >> measure L2) setup
            let searches = steps joint |> List.filter (fun node -> node.Op.Name = "universeMatching")
            Expect.equal (searches |> List.map _.Inputs.Length) [ 3 ] "once, of three"
            failsWith [ "alignAll"; "2 or more"; "found 1" ] (fun () -> (train >> alignAll 1 Universe) setup |> ignore)

            failsWith [ "alignAll 3"; "0..2"; "member 3" ] (fun () ->
                (train >> alignAll 3 MergeMany >> mergeN 4 >> measure L2) setup |> ignore)
        }

        test "renormalisation is a step of the mean and its parents, before statistics are reset" {
            let plan =
                (train >> renormalise >> mergeN 2 >> measure Accuracy)
                    { setup with Network = resnet20 0.25 Norm.Batch; Data = Glyphs }

            let step = steps plan |> List.find (fun node -> node.Op.Name = "resetStatistics")
            let before = step.Inputs.Head
            Expect.equal before.Op.Name "renormalise" "first"
            Expect.equal (before.Inputs |> List.map _.Op.Name) [ "merge"; "train"; "train" ] "with its parents"
        }

        test "labels are on every row, the search's on aligned ones only" {
            let plan = (train >> labelled "network" "small" >> align WM >> mergeN 2 >> measure L2) setup

            let labels =
                [
                    for row in (Plan.node plan).Args["rows"].Items ->
                        row["aligned"].Boolean, Report.labelsOfJson row["labels"]
                ]

            Expect.equal labels [ false, [ "network", "small" ]; true, [ "network", "small"; "search", "WM" ] ] "both"
        }

        test "member 0 is the reference: it is not permuted" {
            let population = (train >> align WM) setup
            Expect.equal (keyOf (population.Member 0)) (keyOf (population.Trained 0)) "as trained"
            Expect.equal (Plan.node (population.Member 1)).Op.Name "permute" "the others are"
        }

        test "what a later stage would lose is refused, with the order that is meant" {
            for name, stage in
                [
                    "align", align WM
                    "alignAll", alignAll 2 MergeMany
                    "keepStatistics", keepStatistics
                    "repairOn", repairOn 10
                    "renormalise", renormalise
                ] do
                failsWith [ name; "before mergeN"; $"train >> {name}" ] (fun () ->
                    (train >> mergeN 2 >> stage >> measure L2) setup |> ignore)
        }

        test "mistakes are told when the pipeline is applied, before anything runs" {
            failsWith [ "mergeN"; "found 0" ] (fun () -> (train >> mergeN 0) setup |> ignore)
            failsWith [ "epochs"; "found 0" ] (fun () -> train { setup with Epochs = 0 } |> ignore)
            failsWith [ "mlp"; "1 or more" ] (fun () -> train { setup with Network = mlp [ 0 ] } |> ignore)

            failsWith [ "seeds"; "expected 3"; "found 2" ] (fun () ->
                mainJob { setup with Seeds = Listed [ 1L; 2L ] } |> ignore)
        }
    ]
