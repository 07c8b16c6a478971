/// What the library computes of two tiny trained networks, beside numbers from outside: Golden/golden.py computes them in float64 by the
/// definitions, from the same files. Where python3-torch is installed it does so now, else what it gave is read.
module LmcDsl.Tests.Core.GoldenTests

open System
open System.Collections.Generic
open System.IO
open System.Text.Json
open Expecto
open LmcDsl.Core.Architectures
open LmcDsl.Core.Checkpoints
open LmcDsl.Core.Data
open LmcDsl.Core.Matching
open LmcDsl.Core.Measures
open LmcDsl.Core.Merging
open LmcDsl.Core.Permutations
open LmcDsl.Core.Spectra
open LmcDsl.Tests.Fixtures
open TorchSharp

let private folder = Path.Combine(__SOURCE_DIRECTORY__, "..", "Golden")

/// Numbers by where they stand in the JSON, for example `networks/mlp/trained/l2`. Names of states are left out: they are text.
let private numbers (text: string) : (string * float) list =
    let rec leaves path (element: JsonElement) =
        [
            match element.ValueKind with
            | JsonValueKind.Object ->
                for field in element.EnumerateObject() do
                    yield! leaves $"{path}/{field.Name}" field.Value
            | JsonValueKind.Array ->
                for k, item in Seq.indexed (element.EnumerateArray()) do
                    yield! leaves $"{path}/{k}" item
            | _ -> path, element.GetDouble()
        ]

    use document = JsonDocument.Parse text
    leaves "" document.RootElement

let private stored = lazy File.ReadAllText(Path.Combine(folder, "golden.json"))

let private recomputed =
    lazy
        if not (File.Exists python) then
            None
        else
            match runProgram folder python [ "golden.py"; "compute"; "." ] with
            | 0, output, _ -> Some output
            | _, _, errors when errors.Contains "No module named" -> None
            | code, _, errors -> failtest $"golden.py ended with {code}: {errors}"

let private wanted = lazy dict (numbers (recomputed.Value |> Option.defaultValue stored.Value))

let private setting name = int (wanted.Value[$"/{name}"])

let private model name =
    let path = Path.Combine(folder, $"{name}.safetensors")
    ModelFile.Read(ReadOnlySpan(File.ReadAllBytes path), path)

let private data =
    lazy
        let path = Path.Combine(folder, "data.safetensors")
        let file = SafeTensors.Read(ReadOnlySpan(File.ReadAllBytes path), path)
        let split name = new DataSplit(file.Tensors[$"{name}.images"], file.Tensors[$"{name}.labels"])
        split "train", split "test"

/// The permutations that the script found, unit by unit.
let private matched network (groups: PermutationGroup seq) =
    [
        for group in groups ->
            Permutation [
                for i in 0 .. group.Units - 1 ->
                    int (wanted.Value[$"/networks/{network}/activationMatching/covariance/{group.Name}/units/{i}"])
            ]
    ]

let private curve path (found: BarrierCurve) =
    [
        $"{path}/loss", found.Loss
        $"{path}/accuracy", found.Accuracy
        $"{path}/midpointLoss", found.MidpointLoss
        $"{path}/midpointAccuracy", found.MidpointAccuracy
        for k, point in Seq.indexed found.Points do
            $"{path}/losses/{k}", point.Score.Loss
            $"{path}/accuracies/{k}", point.Score.Accuracy
    ]

let private ofPair path (a: ParameterSet) (b: ParameterSet) =
    let train, test = data.Value
    let taylor = TaylorEstimate.AtMidpoint(a, b, test, 50)

    [
        $"{path}/l2", Distance.L2(a, b)
        $"{path}/taylor/firstOrder", taylor.FirstOrder
        $"{path}/taylor/secondOrder", taylor.SecondOrder
        $"{path}/taylor/estimate", taylor.Estimate
        yield! Barrier.Along(a, b, test, setting "points") |> curve $"{path}/barrier"
        for k, found in Seq.indexed (SingularAlignment.Between(a, b, [| 0.0; 0.3 |])) do
            $"{path}/r/{k}/gamma", found.Gamma
            $"{path}/r/{k}/total", found.R

            for layer in found.Layers do
                $"{path}/r/{k}/layers/{layer.Name}", layer.R
        if StatisticsReset.Concerns a.Network then
            let examples = setting "resetExamples"

            yield!
                Barrier.Along(a, b, test, setting "points", resetOn = train, resetExamples = examples)
                |> curve $"{path}/resetBarrier"
    ]

let private resetStatistics path (a: ParameterSet) (b: ParameterSet) =
    use middle = Average.Of [| a; b |]
    StatisticsReset.Apply(middle, fst data.Value, setting "splitReset/examples", setting "splitReset/batch")

    [
        for spec, view in Seq.zip a.Network.Parameters middle.Views do
            if not spec.Learned then
                for i, value in Seq.indexed (view.data<float32>().ToArray()) do
                    $"{path}/{spec.Name}/{i}", float value
    ]

/// All that the script computes of one network, as the library has it.
let private compute network : (string * float) list =
    let path = $"/networks/{network}"
    use a = model $"{network}-a"
    use b = model $"{network}-b"
    use aligned = PermutationSet(a.Network, matched network a.Network.Groups).Apply b
    let test = snd data.Value

    [
        for k, m in List.indexed [ a; b ] do
            let score = Evaluator.Evaluate(m, test, 50)
            $"{path}/scores/{k}/loss", score.Loss
            $"{path}/scores/{k}/accuracy", score.Accuracy
        yield! ofPair $"{path}/trained" a b
        yield! ofPair $"{path}/aligned" a aligned
        if StatisticsReset.Concerns a.Network then
            yield! resetStatistics $"{path}/resetStatistics" a aligned
    ]

/// The totals over groups of the script's activation matching, and the library's.
let private activationCosts network correlation =
    let kind = if correlation then "correlation" else "covariance"
    use a = model $"{network}-a"
    use b = model $"{network}-b"

    let total what =
        a.Network.Groups
        |> Seq.sumBy (fun g -> wanted.Value[$"/networks/{network}/activationMatching/{kind}/{g.Name}/{what}"])

    let options = ActivationMatchingOptions(Correlation = correlation, Batch = 40)
    let found = ActivationMatching.Match(a, b, fst data.Value, options)
    [ total "before"; total "after" ], [ for value in found.Objective -> value ]

// Float32 beside float64: sums of some hundred terms, and twice that where derivatives are.
let private isClose (path: string) (found: float) (expected: float) =
    let tolerance = if path.Contains "taylor" then 2e-4 else 5e-5
    abs (found - expected) <= tolerance * max 1.0 (abs expected)

let private agree (found: (string * float) list) (expected: IDictionary<string, float>) =
    for path, value in found do
        Expect.isTrue (isClose path value expected[path]) $"{path}: found {value}, expected {expected[path]}"

let tests =
    testList "Golden" [
        for network in [ "mlp"; "resnet" ] do
            test $"{network}: L2, R, barriers, Taylor estimate and statistics are those computed outside" {
                let found = compute network
                agree found wanted.Value

                let all =
                    wanted.Value.Keys
                    |> Seq.filter (fun key ->
                        key.StartsWith $"/networks/{network}/" && not (key.Contains "activationMatching"))
                    |> set

                Expect.equal (set (List.map fst found)) all "each number that the script gives was compared"
            }

            for correlation in [ false; true ] do
                let kind = if correlation then "correlation" else "covariance"

                test $"{network}: activation matching's costs by {kind} are those computed outside" {
                    let expected, found = activationCosts network correlation

                    for x, y in List.zip found expected do
                        Expect.isTrue (isClose "" x y) $"found {found}, expected {expected}"
                }

        test "the stored numbers are what the script gives" {
            match recomputed.Value with
            | None -> skiptest "python3-torch is not installed"
            | Some text ->
                let again = dict (numbers text)
                let before = numbers stored.Value
                Expect.equal (List.length before) again.Count "as many"

                for path, value in before do
                    let near = abs (value - again[path]) <= 1e-6 * max 1.0 (abs value)
                    Expect.isTrue near $"{path}: stored {value}, now {again[path]}"
        }
    ]
