/// What each operation reads and gives: which split of the data (run again on other training images, or on other test images, its value
/// changes only where it reads them), and the numbers, beside the core called directly.
module LmcDsl.Tests.Dsl.OperationTests

open System.Threading
open Expecto
open LmcDsl
open LmcDsl.Core.Architectures
open LmcDsl.Core.Data
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Merging
open LmcDsl.Core.Permutations
open LmcDsl.Core.Spectra
open LmcDsl.Core.Training
open LmcDsl.Tests.Fixtures
open TorchSharp

/// A network with a bias, a norm and a flatten, so that every repair has something to do.
let private network (data: DataSet) =
    let shape = data.Shape |> List.map string |> String.concat ","

    Architecture.FromJson
        $$"""{"name":"small","input":[{{shape}}],"nodes":[
           {"name":"p","layer":{"kind":"pooling","function":"Average","kernel":4},"inputs":["input"]},
           {"name":"f","layer":{"kind":"flatten"},"inputs":["p"]},
           {"name":"a","layer":{"kind":"dense","units":6,"bias":true},"inputs":["f"]},
           {"name":"n","layer":{"kind":"batchNorm"},"inputs":["a"]},
           {"name":"r","layer":{"kind":"activation","function":"Relu"},"inputs":["n"]},
           {"name":"b","layer":{"kind":"dense","units":5,"bias":true},"inputs":["r"]},
           {"name":"s","layer":{"kind":"activation","function":"Relu"},"inputs":["b"]},
           {"name":"o","layer":{"kind":"dense","units":10,"bias":true},"inputs":["s"]}]}"""

let private setup =
    { Setup.standard with
        Data = GlyphsData.Glyphs
        Network = network
        Epochs = 1
        BatchSize = 50
        Threads = 1
    }

let private searches =
    [
        WM
        weightMatching (WeightMatchingOptions(MaxSweeps = 1, Starts = 2, Seed = 3L))
        activationMatching (ActivationMatchingOptions(Correlation = true, Examples = 60))
        sinkhornMatching (SinkhornMatchingOptions(Steps = 3))
        straightThrough (StraightThroughOptions(Steps = 2, CheckEvery = 1, BatchSize = 50, CheckOn = 100))
        sinkhornStraightThrough (
            SinkhornStraightThroughOptions(Steps = 2, CheckEvery = 1, BatchSize = 50, CheckOn = 100)
        )
        annealedMatching (AnnealedMatchingOptions(Levels = 3, Starts = 2, Seed = 1L))
        dualSpaceMatching (DualSpaceMatchingOptions(Share = 2.0, Examples = 60, Seed = 1L))
        OutwardWM
        rotatedMatching (RotatedMatchingOptions(MaxSweeps = 1, Power = 0.5))
        tokenMatching (RotatedMatchingOptions(Normalised = true, MaxSweeps = 1))
        learnedRotation (LearnedRotationOptions(Steps = 2, CheckEvery = 1, BatchSize = 50, CheckOn = 100))
    ]

let private metrics =
    [
        R
        BarrierOnTest 3
        BarrierOnTraining 3
        Taylor
        L2
        DistanceFormsMetric.DistanceForms
        OutputBound(0.3, 50)
        Accuracy
        SingularValues
        InputProjections 50
        LandscapeOnTest 2
        SimplexBarrierOf 2
        RByBlock
        AgreementWith AM
        PermutationCycles
        ActivationsOn 60
    ]

/// Merges beside the mean.
let private merges =
    [
        weighted (WeightedMerge [| 0.25; 0.75 |])
        spherical (SphericalMerge 0.25)
        taskArithmetic (TaskArithmeticMerge(System.Nullable 0.4))
        ties (TiesMerge(0.5, 0.8))
        dare (DareMerge(0.5, Elect = true, Seed = 3L))
        byLayer [ "a", [ 1.0; 0.0 ] ]
    ]

/// Searches of several models, none with its defaults.
let private joints =
    [
        mergeMany (MergeManyOptions(MaxSweeps = 1, Seed = 1L))
        universe (UniverseMatchingOptions(MaxSteps = 1, Polish = false))
        rotatedMergeMany (RotatedMatchingOptions(MaxSweeps = 1, Power = 0.5))
    ]

/// Plans that hold every operation of the library between them.
let private plans: Plan<Report> list =
    [
        (train >> align WM >> renormalise >> mergeN 3 >> measureAll metrics) setup
        (train >> keepStatistics >> align WM >> mergeN 3 >> measureAll [ BarrierOnTest 3; LandscapeOnTest 2 ]) setup
        for search in searches do
            (train >> align search >> measure L2) setup
        (train >> alignFirst 1 WM >> measure L2) setup
        for merge in merges do
            (train >> mergeBy merge 2 >> measure Accuracy) setup
        for joint in joints do
            (train >> alignAll 3 joint >> mergeN 3 >> measure Accuracy) setup
    ]

/// What each operation reads, with the splits that its arguments name: training images, test images.
let private reads (node: Node) =
    let statistics = (node.Args.TryItem "resetOn").IsSome

    match node.Op.Name with
    | "train"
    | "activationMatching"
    | "dualSpaceMatching"
    | "straightThrough"
    | "sinkhornStraightThrough"
    | "learnedRotation"
    | "resetStatistics"
    | "renormalise"
    | "trainingBarrier" -> true, false
    | "score"
    | "taylor"
    | "outputBound"
    | "inputProjections"
    | "activations" -> false, true
    | "barrier"
    | "simplexBarrier"
    | "landscape" -> statistics, true
    | "weightMatching"
    | "sinkhornMatching"
    | "mergeMany"
    | "universeMatching"
    | "annealedMatching"
    | "rotatedMatching"
    | "tokenMatching" // reads training text; here there are no tokens to count
    | "rotatedMergeMany"
    | "permute"
    | "turn"
    | "merge"
    | "mergeWeighted"
    | "mergeSpherical"
    | "mergeTaskArithmetic"
    | "mergeTies"
    | "mergeDare"
    | "mergeLayers"
    | "permutationCycles"
    | "distance"
    | "distanceForms"
    | "singularValues"
    | "singularVectors"
    | "blockVectors"
    | "agreement"
    | "report" -> false, false
    | other -> failtest $"{other}: expected an operation whose split is pinned here"

let private draw (seed: int) =
    let split (count: int64) (seed: int64) =
        use generator = LmcDsl.Core.Runtime.Seeds.Generator(seed, "test images")
        let images = torch.randn ([| count; 1L; 28L; 28L |], generator = generator)
        // Classes by how bright an image is, turned about by the seed: other images have other labels too.
        let brightness = images.mean([| 1L; 2L; 3L |]).argsort().argsort()
        new DataSplit(images, (brightness + seed.ToScalar()).remainder(10L.ToScalar()))

    fun (train: int64, test: int64) -> new ImageData(split 120L (int64 seed + train), split 90L (int64 seed + test), 10)

let private runOn (data: ImageData) (node: Node) inputs =
    node.Op.Run
        {
            Args = node.Args
            Inputs = inputs
            OwnsInputs = true
            Data = fun () -> data
            Progress = ignore
            SavePartial = ignore
            LoadPartial = fun () -> None
            Note = ignore
            Keep = fun _ _ -> ()
            Cancel = CancellationToken.None
        }

let private usual () = draw 100 (0L, 1L)

/// Every step of the plans with its inputs' values and its own, on the usual data.
let private evaluated (data: ImageData) : (Node * (unit -> Value list) * Value) list =
    let values = System.Collections.Generic.Dictionary<string, Value>()

    [
        for node in plans |> List.map Plan.node |> Plan.steps do
            // Weight matching permutes in place what it is given: each asks for inputs of its own.
            let inputs () =
                [
                    for input in node.Inputs ->
                        match values[input.Key] with
                        | Parameters model -> Parameters(model.Clone())
                        | document -> document
                ]

            values[node.Key] <- runOn data node (inputs ())
            node, inputs, values[node.Key]
    ]

let private numbers (fields: (string * float) list) =
    Json.Object [ for name, value in fields -> name, Json.float value ]

let private score (s: Score) = [ "loss", s.Loss; "accuracy", s.Accuracy ]

let private layers (items: (string * (string * Json) list) seq) =
    Json.Object [
        "layers", Json.Array [ for name, fields in items -> Json.Object(("name", Json.Text name) :: fields) ]
    ]

let private curve (found: BarrierCurve) =
    Json.Object [
        "loss", Json.float found.Loss
        "accuracy", Json.float found.Accuracy
        "midpointLoss", Json.float found.MidpointLoss
        "midpointAccuracy", Json.float found.MidpointAccuracy
        "curve", Json.Array [ for p in found.Points -> numbers (("lambda", p.Lambda) :: score p.Score) ]
    ]

let private plane points (found: LandscapeScores) =
    let rows value =
        Json.Array [ for row in found.Scores |> Seq.map value |> Seq.chunkBySize points -> Json.floats row ]

    Json.Object [
        "models", Json.Array [ for p in found.Models -> numbers [ "x", p.X; "y", p.Y ] ]
        "x", Json.floats found.X
        "y", Json.floats found.Y
        "loss", rows _.Loss
        "accuracy", rows _.Accuracy
    ]

let private units (found: PermutationSet) =
    Json.Object [ for g, p in Seq.zip found.Network.Groups found.Permutations -> g.Name, Json.ints p.Sources ]

let private search (found: SearchResult) =
    found.Permutations |> units, found.Objective |> Seq.map Json.float |> List.ofSeq

/// What the core gives where the operation's arguments and inputs are these: a document, a model, or nothing where it is not asked here.
let private direct (data: ImageData) (node: Node) (inputs: Value list) : Value option =
    let models =
        inputs
        |> List.choose (function
            | Parameters m -> Some m
            | Document _ -> None)

    let documents =
        inputs
        |> List.choose (function
            | Document d -> Some d
            | Parameters _ -> None)

    let number name = node.Args[name].Int
    let train, test = data.Train, data.Test

    let resetOn, examples =
        match node.Args.TryItem "resetOn" with
        | Some examples -> train, examples.Int
        | None -> null, 0

    let aligned (found: SearchResult) =
        let groups, objective = search found

        Json.Object [
            "groups", groups
            "sweeps", Json.int (int64 found.Sweeps)
            "objective", Json.Array objective
            "stopped", Json.Text(string found.Stopped)
        ]

    let pair (measure: ParameterSet * ParameterSet -> Json) = Some(Document(measure (models[0], models[1])))

    // On a network of permutations alone no group is turned.
    let turned (found: Transformation) = [ "groups", units found.Permutations; "turns", Json.Object [] ]

    let rotated (found: SearchResult) =
        match aligned found with
        | Json.Object fields ->
            Json.Object(turned (nonNull found.Transformation) @ List.filter (fst >> (<>) "groups") fields)
        | other -> other

    let together (found: JointResult) =
        Json.Object [
            "models",
            Json.Array(
                if found.Transformations.IsEmpty then
                    [ for p in found.Permutations -> units p ]
                else
                    [ for t in found.Transformations -> Json.Object(turned t) ]
            )
            "sweeps", Json.int (int64 found.Sweeps)
            "objective", Json.floats found.Objective
            "stopped", Json.Text(string found.Stopped)
        ]

    // Of one of several models its own, else what was found for the pair.
    let own () =
        match node.Args.TryItem "model" with
        | Some index -> documents.Head["models"].Items[index.Int]
        | None -> documents.Head

    let setOf (network: Network) (found: Json) =
        let groups = found.TryItem "groups" |> Option.defaultValue found
        PermutationSet(network, [ for g in network.Groups -> Permutation(groups[g.Name].Items |> List.map _.Int) ])

    match node.Op.Name with
    | "barrier" -> pair (fun (a, b) -> curve (Barrier.Along(a, b, test, number "points", null, resetOn, examples)))
    | "trainingBarrier" ->
        pair (fun (a, b) -> curve (Barrier.Along(a, b, train, number "points", null, resetOn, examples)))
    | "taylor" ->
        pair (fun (a, b) ->
            let t = TaylorEstimate.AtMidpoint(a, b, test)

            numbers [
                "estimate", t.FirstOrder + t.SecondOrder
                "firstOrder", t.FirstOrder
                "secondOrder", t.SecondOrder
            ])
    | "score" -> Some(Document(numbers (score (Evaluator.Evaluate(models[0], test)))))
    | "distance" -> pair (fun (a, b) -> numbers [ "l2", Distance.L2(a, b) ])
    | "distanceForms" ->
        pair (fun (a, b) ->
            layers [
                for l in SpectralForm.Between(a, b) ->
                    l.Name, [ "direct", Json.float l.Direct; "spectral", Json.float l.Spectral ]
            ])
    | "outputBound" ->
        pair (fun (a, b) ->
            layers [
                for l in LayerBound.Between(a, b, test, node.Args["gamma"].Float, number "examples") ->
                    l.Name,
                    [
                        "measured", Json.float l.Measured
                        "bound", Json.float l.Bound
                        "dominantPart", Json.float l.DominantPart
                        "largestRatio", Json.float l.LargestRatio
                    ]
            ])
    | "singularValues" ->
        Some(Document(layers [ for l in Spectrum.Of models[0] -> l.Name, [ "values", Json.floats l.Values ] ]))
    | "activations" ->
        pair (fun (a, b) ->
            Json.Object [
                "groups",
                Json.Array [
                    for g in ActivationAgreement.Between(a, b, test, number "examples") ->
                        Json.Object [
                            "name", Json.Text g.Name
                            "correlation", Json.float g.Correlation
                            "weighted", Json.float g.Weighted
                            "kernel", Json.float g.Kernel
                        ]
                ]
            ])
    | "inputProjections" ->
        let found = InputProjection.Of(models[0], test, number "examples")
        let fields (l: LayerProjection) = [ "values", Json.floats l.Values; "shares", Json.floats l.Shares ]
        Some(Document(layers [ for l in found -> l.Name, fields l ]))
    | "singularVectors" ->
        pair (fun (a, b) ->
            let gammas = [| for gamma in node.Args["gammas"].Items -> gamma.Float |]

            let threshold (t: AlignmentAtThreshold) =
                Json.Object [
                    "gamma", Json.float t.Gamma
                    "r", Json.float t.R
                    "layers",
                    Json.Array [
                        for l in t.Layers ->
                            Json.Object [
                                "name", Json.Text l.Name
                                "r", Json.float l.R
                                "kept", Json.int (int64 l.Kept)
                            ]
                    ]
                ]

            Json.Object [
                "thresholds", Json.Array [ for t in SingularAlignment.Between(a, b, gammas) -> threshold t ]
            ])
    | "landscape" ->
        let points = number "points"
        let a, b, c = models[0], models[1], models[2]

        Landscape.Over(a, b, c, test, points, resetOn = resetOn, resetExamples = examples)
        |> plane points
        |> Document
        |> Some
    | "weightMatching" ->
        pair (fun (a, b) ->
            aligned (WeightMatching.Match(a, b, Json.toValue<WeightMatchingOptions> node.Args["options"])))
    | "sinkhornMatching" ->
        pair (fun (a, b) ->
            aligned (SinkhornMatching.Match(a, b, Json.toValue<SinkhornMatchingOptions> node.Args["options"])))
    | "activationMatching" ->
        pair (fun (a, b) ->
            aligned (
                ActivationMatching.Match(a, b, train, Json.toValue<ActivationMatchingOptions> node.Args["options"])
            ))
    | "dualSpaceMatching" ->
        pair (fun (a, b) ->
            aligned (DualSpaceMatching.Match(a, b, train, Json.toValue<DualSpaceMatchingOptions> node.Args["options"])))
    | "straightThrough" ->
        pair (fun (a, b) ->
            aligned (StraightThrough.Match(a, b, train, Json.toValue<StraightThroughOptions> node.Args["options"])))
    | "sinkhornStraightThrough" ->
        pair (fun (a, b) ->
            let options = Json.toValue<SinkhornStraightThroughOptions> node.Args["options"]
            aligned (SinkhornStraightThrough.Match(a, b, train, options)))
    | "annealedMatching" ->
        pair (fun (a, b) ->
            aligned (AnnealedMatching.Match(a, b, Json.toValue<AnnealedMatchingOptions> node.Args["options"])))
    | "rotatedMatching"
    | "tokenMatching" ->
        pair (fun (a, b) ->
            rotated (RotatedMatching.Match(a, b, Json.toValue<RotatedMatchingOptions> node.Args["options"])))
    | "learnedRotation" ->
        pair (fun (a, b) ->
            rotated (LearnedRotation.Match(a, b, train, Json.toValue<LearnedRotationOptions> node.Args["options"])))
    | "mergeMany" ->
        let options = Json.toValue<MergeManyOptions> node.Args["options"]
        Some(Document(together (MergeManyMatching.Match(List.toArray models, options))))
    | "universeMatching" ->
        let options = Json.toValue<UniverseMatchingOptions> node.Args["options"]
        Some(Document(together (UniverseMatching.Match(List.toArray models, options))))
    | "rotatedMergeMany" ->
        let options = Json.toValue<RotatedMatchingOptions> node.Args["options"]
        Some(Document(together (RotatedMergeManyMatching.Match(List.toArray models, options))))
    | "blockVectors" ->
        pair (fun (a, b) ->
            let gamma = node.Args["gamma"].Float
            let found = SingularAlignment.Between(a, b, gamma)
            let layers = List.ofSeq found[0].Layers
            let kinds = BlockKind.Of a.Network.Architecture

            // All of a kind's pairs of vectors count alike, whichever layer they are of.
            let block kind (own: LayerAlignment list) =
                let kept = own |> List.sumBy _.Kept

                Json.Object [
                    "kind", Json.Text kind
                    "r", Json.float ((own |> List.sumBy _.Agreement) / float kept)
                    "kept", Json.int (int64 kept)
                ]

            Json.Object [
                "gamma", Json.float gamma
                "blocks",
                Json.Array [
                    for kind, own in layers |> List.groupBy (fun layer -> kinds[layer.Name.Replace(".weight", "")]) ->
                        block kind own
                ]
            ])
    | "simplexBarrier" ->
        let found = SimplexBarrier.Over(List.toArray models, test, number "parts", null, resetOn, examples)

        Json.Object [
            "loss", Json.float (found |> Seq.map _.Excess |> Seq.max)
            "mixtures",
            Json.Array [
                for m in found ->
                    Json.Object [
                        "shares", Json.floats m.Shares
                        "loss", Json.float m.Score.Loss
                        "accuracy", Json.float m.Score.Accuracy
                        "excess", Json.float m.Excess
                    ]
            ]
        ]
        |> Document
        |> Some
    | "turn" ->
        // On a network of permutations alone it is what they do.
        Some(Parameters((setOf models[0].Network (own ())).Apply models[0]))
    | "merge" -> Some(Parameters(Average.Of(List.toArray models)))
    | "mergeWeighted" -> Some(Parameters((WeightedMerge [| 0.25; 0.75 |]).Merge(List.toArray models)))
    | "mergeSpherical" -> Some(Parameters((SphericalMerge 0.25).Merge(List.toArray models)))
    | "mergeTaskArithmetic" -> Some(Parameters((TaskArithmeticMerge(System.Nullable 0.4)).Merge(List.toArray models)))
    | "mergeTies" -> Some(Parameters((TiesMerge(0.5, 0.8)).Merge(List.toArray models)))
    | "mergeDare" -> Some(Parameters((DareMerge(0.5, Elect = true, Seed = 3L)).Merge(List.toArray models)))
    | "mergeLayers" ->
        Some(Parameters((LayerMerge [| WeightsOfLayer("a", [| 1.0; 0.0 |]) |]).Merge(List.toArray models)))
    | "permutationCycles" ->
        let group (name, units: Json list) =
            let lengths = Cycles.Lengths(Permutation(units |> List.map _.Int)) |> List.ofSeq

            Json.Object [
                "name", Json.Text name
                "units", Json.int (int64 units.Length)
                "stay", Json.int (lengths |> List.filter ((=) 1) |> List.length |> int64)
                "cycles", Json.ints (lengths |> List.filter (fun length -> length > 1))
            ]

        match documents.Head["groups"] with
        | Json.Object groups ->
            let groups = [ for name, units in groups -> group (name, units.Items) ]
            Some(Document(Json.Object [ "groups", Json.Array groups ]))
        | _ -> None
    | "resetStatistics" ->
        let model = models[0].Clone()
        StatisticsReset.Apply(model, train, number "examples")
        Some(Parameters model)
    | "renormalise" ->
        let model = models[0].Clone()
        Renormalisation.Apply(model, List.tail models, train, number "examples")
        Some(Parameters model)
    | "permute" ->
        let model = models[0]
        let set = setOf model.Network (own ())

        let set =
            match node.Args.TryItem "firstGroups" with
            | Some groups -> PartialAlignment.First(set, groups.Int)
            | None -> set

        Some(Parameters(set.Apply model))
    | "agreement" ->
        let sources (document: Json) =
            match document["groups"] with
            | Json.Object groups -> [ for name, units in groups -> name, units.Items ]
            | _ -> []

        let alike =
            [
                for (name, one), (_, other) in List.zip (sources documents[0]) (sources documents[1]) ->
                    name, List.zip one other |> List.filter (fun (i, j) -> i = j) |> List.length, one.Length
            ]

        let share same all = Json.float (float same / float all)

        Json.Object [
            "agreement", share (alike |> List.sumBy (fun (_, n, _) -> n)) (alike |> List.sumBy (fun (_, _, n) -> n))
            "layers",
            Json.Array [
                for name, same, all in alike -> Json.Object [ "name", Json.Text name; "agreement", share same all ]
            ]
        ]
        |> Document
        |> Some
    | _ -> None

/// Whether two documents say the same, numbers to float32's rounding.
let rec private alike (found: Json) (expected: Json) =
    match found, expected with
    | Json.Object left, Json.Object right ->
        // Fields are equal in any order.
        let left, right = List.sortBy fst left, List.sortBy fst right
        List.map fst left = List.map fst right && List.forall2 (fun (_, x) (_, y) -> alike x y) left right
    | Json.Array left, Json.Array right -> left.Length = right.Length && List.forall2 alike left right
    | Json.Number _, Json.Number _ -> abs (found.Float - expected.Float) <= 1e-5 * max 1.0 (abs expected.Float)
    | _ -> found = expected

let tests =
    testList "Operations" [
        test "every operation reads the split that it should, and no other" {
            use data = usual ()
            use otherTrain = draw 100 (2L, 1L)
            use otherTest = draw 100 (0L, 3L)
            let steps = evaluated data

            for node, inputs, value in steps do
                let encoded = Value.encode value |> snd
                let on data = runOn data node (inputs ()) |> Value.encode |> snd
                let found = on otherTrain <> encoded, on otherTest <> encoded
                Expect.equal found (reads node) $"{node.Title} ({node.Op.Name}) reads (training, test) images"

            // Those of the golden keys are all that there are.
            let all =
                System.IO.File.ReadLines(System.IO.Path.Combine(__SOURCE_DIRECTORY__, "keys.txt"))
                |> Seq.filter (fun line -> not (line.StartsWith '#'))
                |> Seq.map (fun line -> line.Split(' ').[1])
                |> set

            let ran = steps |> List.map (fun (node, _, _) -> node.Op.Name) |> set
            Expect.equal ran all "every operation of the library was run"
        }

        test "what each operation gives is what the core gives, by its arguments" {
            use data = usual ()

            for node, inputs, value in evaluated data do
                match direct data node (inputs ()), value with
                | None, _ -> ()
                | Some(Document expected), Document found ->
                    Expect.isTrue (alike found expected) $"{node.Title}: found {found}, expected {expected}"
                | Some(Parameters expected), Parameters found ->
                    Expect.isLessThan (difference found.Flat expected.Flat) 1e-5 node.Title
                | _ -> failtest $"{node.Title}: expected a value of another kind"
        }

        test "defaults are those that stored results were made with" {
            let text (value: obj) =
                match value with
                | :? Json as json -> Json.text json
                | value -> Json.text (Json.ofValue value)

            for found, expected in
                [
                    text (WeightMatchingOptions()), """{"maxSweeps":1000,"seed":0,"starts":1}"""
                    text (ActivationMatchingOptions()), """{"batch":500,"correlation":false,"examples":10000}"""
                    text (DualSpaceMatchingOptions()),
                    """{"batch":500,"examples":10000,"maxSweeps":1000,"reheats":1,"seed":0,"share":0.2,"starts":1}"""
                    text (SinkhornMatchingOptions()),
                    """{"iterations":20,"learningRate":0.1,"noise":0.1,"polish":false,"seed":0,"starts":1,"steps":200,"tau":1,"weightDecay":0.01}"""
                    text (StraightThroughOptions()),
                    """{"batchSize":500,"checkEvery":25,"checkOn":5000,"drawLambda":false,"learningRate":0.001,"seed":0,"starts":1,"steps":500}"""
                    text (SinkhornStraightThroughOptions()),
                    """{"batchSize":500,"checkEvery":25,"checkOn":5000,"drawLambda":false,"iterations":20,"learningRate":0.1,"noise":0.1,"seed":0,"starts":1,"steps":300,"tau":1}"""
                    text Mean.Options, """{"weights":[]}"""
                    text Spherical.Options, """{"share":0.5}"""
                    text TaskArithmetic.Options, """{"scale":null}"""
                    text TIES.Options, """{"density":0.2,"scale":1}"""
                    text DARE.Options, """{"density":0.5,"elect":false,"scale":null,"seed":0}"""
                    text DareTIES.Options, """{"density":0.5,"elect":true,"scale":null,"seed":0}"""
                    text Layers.Options, """{"layers":[]}"""
                    text (MergeManyOptions()), """{"maxSweeps":100,"seed":0}"""
                    text (UniverseMatchingOptions()), """{"maxSteps":100,"polish":true,"seed":0,"tolerance":0.0001}"""
                ] do
                Expect.equal found expected "in the keys"

            let population = train setup
            let args (metric: Metric) = metric.Args population |> _.Json
            Expect.equal (args R) (args (SingularVectors [ 0.0; 0.3 ])) "thresholds of R"
            Expect.equal (args BarrierMetric.Barrier) (args (BarrierOnTest 25)) "lambdas of a barrier"
        }
    ]
